"""Two searches worked out by hand, rollout by rollout: what another formula, constant or count of visits would change.

UCT is Q + 2 * sqrt(ln N / n), with N the visits of the parent. Three first steps: `wrong` prints 6, `right` prints 4 or 5,
and after `dead` nothing runs.
"""

import pytest

from rstar_math.config import SearchConfig
from rstar_math.records import End, Problem, Tree
from rstar_math.scripted import ExactJudge, InProcessSandbox, ScriptedPolicy, ScriptedScorer
from rstar_math.search.expansion import Doors
from rstar_math.search.forest import grow

STEPS = {
    "wrong": "<code>\nx = 6\n<end_of_step>",
    "right": "<code>\nx = 4\n<end_of_step>",
    "dead": "<code>\nx = 0\n<end_of_step>",
    "six": "print(x)\n<end_of_code>",
    "four": "print(x * 1)\n<end_of_code>",
    "five": "print(x + 1)\n<end_of_code>",
}
#: What the PPM says of a path that ends in this step.
PRIORS = {"four": 0.2, "five": 0.5, "six": 0.0, "wrong": 0.5, "right": -0.2, "dead": 0.1}


def doors(*first: str) -> Doors:
    def says(written: str) -> list[str]:
        if written.endswith("<end_of_output>\n"):
            return [f"<answer>\\boxed{{{written.rsplit('<output>', 1)[1].split('<', 1)[0]}}}\n<end_of_answer>"]
        if STEPS["dead"] in written:
            return ["x = 1 / 0\n<end_of_step>"]
        if STEPS["wrong"] in written:
            return [STEPS["six"]]
        if STEPS["right"] in written:
            return [STEPS["four"], STEPS["five"]]
        return [STEPS[name] for name in first]

    def worth(written: str) -> float:
        return next(prior for name, prior in PRIORS.items() if STEPS[name].partition("\n<end")[0] in written)

    return Doors(ScriptedPolicy(says), InProcessSandbox(), ScriptedScorer(worth), ExactJudge())


async def grown(plan: SearchConfig, *first: str, seed: int = 0) -> Tree:
    (tree,) = await grow(Problem("p", "What is 2 + 2?", "4"), doors(*first), plan, seed)
    return tree


def name(tree: Tree, index: int) -> str:
    return next((name for name, text in STEPS.items() if tree.nodes[index].step.text == text), "answer")


def paths(tree: Tree) -> list[str]:
    """Each rollout by the last step that has a name."""
    found = []
    for rollout in tree.rollouts:
        answered = rollout.end is End.ANSWER
        found.append(name(tree, tree.nodes[rollout.leaf].parent if answered else rollout.leaf))
    return found


def counts(tree: Tree) -> dict[str, tuple[int, float]]:
    """N and q of the root and of every step with a name."""
    found = {name(tree, index): (node.visits, node.value) for index, node in enumerate(tree.nodes) if index}
    found.pop("answer")
    return found | {"root": (tree.nodes[0].visits, tree.nodes[0].value)}


async def test_a_terminal_guided_search_of_nine_rollouts() -> None:
    """Unvisited children come first, in the order that the seed draws: looked at are seeds where `four` is. Then:

    | rollout | N | UCT of dead | UCT of right             | below it, N, four, five  | ends in | value |
    |---|---|---|---|---|---|---|
    | 1, 2    |   | unvisited                              | four is drawn            | dead, four | -1, +1 |
    | 3       | 2 | -1 + 1.665  =  0.665 | 1 + 1.665     = 2.665    | five is unvisited | five | -1 |
    | 4       | 3 | -1 + 2.096  =  1.096 | 0/2 + 1.482   = 1.482    | 2: 2.665, 0.665 | four | +1 |
    | 5       | 4 | -1 + 2.355  =  1.355 | 1/3 + 1.360   = 1.693    | 3: 2.482, 1.096 | four | +1 |
    | 6       | 5 | -1 + 2.537  =  1.537 | 2/4 + 1.269   = 1.769    | 4: 2.360, 1.355 | four | +1 |
    | 7       | 6 | -1 + 2.677  =  1.677 | 3/5 + 1.197   = 1.797    | 5: 2.269, 1.537 | four | +1 |
    | 8       | 7 | -1 + 2.790  =  1.790 | 4/6 + 1.139   = 1.806    | 6: 2.197, 1.677 | four | +1 |
    | 9       | 8 | -1 + 2.884  =  1.884 | 5/7 + 1.090   = 1.804    |                 | dead | -1 |

    With c = 4 it is `dead` in rollout 4 (3.192 against 2.965), with one visit of the parent too many in rollout 8 (1.884
    against 1.844), and with one of the child too many not even in rollout 9 (1.039 against 1.734).
    """
    plan = SearchConfig(rollouts=9, candidates=16)
    trees = [await grown(plan, "dead", "right", seed=seed) for seed in range(8)]
    as_drawn = [tree for tree in trees if "four" in paths(tree)[:2]]
    assert as_drawn
    for tree in as_drawn:
        assert sorted(paths(tree)[:2]) == ["dead", "four"]
        assert paths(tree)[2:] == ["five", "four", "four", "four", "four", "four", "dead"]
        assert [rollout.value for rollout in tree.rollouts[2:]] == [-1, 1, 1, 1, 1, 1, -1]
        ends = {leaf: rollout.end for leaf, rollout in zip(paths(tree), tree.rollouts, strict=True)}
        assert ends == {"dead": End.DEAD_END, "four": End.ANSWER, "five": End.ANSWER}
        assert counts(tree) == {"root": (9, 3), "dead": (2, -2), "right": (7, 5), "four": (6, 6), "five": (1, -1)}


async def test_a_ppm_guided_search_of_nine_rollouts() -> None:
    """Every q starts at the PPM's score, as one visit; the root has none, so rollouts 1 and 2 go by Q alone (ln 0, ln 1):

    | rollout | N | wrong                  | right                   | dead                    | below right | ends in |
    |---|---|---|---|---|---|---|
    | 1 | 0 |  0.5                         | -0.2                    |  0.1                    |       | six, -1  |
    | 2 | 1 | -0.5/2        = -0.25        | -0.2                    |  0.1                    |       | dead, -1 |
    | 3 | 2 | -0.25 + 1.177 =  0.927       | -0.2    + 1.665 = 1.465 | -0.45  + 1.177 = 0.727  | 1: 0.2, 0.5 | five, -1 |
    | 4 | 3 | -0.25 + 1.482 =  1.232       | -0.6    + 1.482 = 0.882 | -0.45  + 1.482 = 1.032  |       | six, -1  |
    | 5 | 4 | -0.5  + 1.360 =  0.860       | -0.6    + 1.665 = 1.065 | -0.45  + 1.665 = 1.215  |       | dead, -1 |
    | 6 | 5 | -0.5  + 1.465 =  0.965       | -0.6    + 1.794 = 1.194 | -0.633 + 1.465 = 0.832  | 2: 1.865, 0.927 | four, +1 |
    | 7 | 6 | -0.5  + 1.546 =  1.046       | -0.067  + 1.546 = 1.479 | -0.633 + 1.546 = 0.912  | 3: 2.082, 1.232 | four, +1 |
    | 8 | 7 | -0.5  + 1.611 =  1.111       |  0.2    + 1.395 = 1.595 | -0.633 + 1.611 = 0.977  | 4: 2.093, 1.415 | four, +1 |
    | 9 | 8 | -0.5  + 1.665 =  1.165       |  0.36   + 1.290 = 1.650 | -0.633 + 1.665 = 1.032  | 5: 2.069, 1.544 | four, +1 |

    With c = 4 rollout 9 ends in `five` (3.338 against 3.337).
    """
    plan = SearchConfig(rollouts=9, candidates=16, annotation="ppm")
    tree = await grown(plan, "wrong", "right", "dead")
    assert paths(tree) == ["six", "dead", "five", "six", "dead", "four", "four", "four", "four"]
    assert [rollout.value for rollout in tree.rollouts] == [-1, -1, -1, -1, -1, 1, 1, 1, 1]
    expected = {"wrong": (3, -1.5), "dead": (3, -1.9), "right": (6, 2.8), "six": (3, -2), "four": (5, 4.2)}
    expected |= {"five": (2, -0.5), "root": (9, -1)}
    found = counts(tree)
    assert set(found) == set(expected)
    for step, (visits, value) in expected.items():
        assert found[step] == (visits, pytest.approx(value)), step

"""The search of one problem, with everything around it scripted."""

import math
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from artefacts import flip_a_bit

from rstar_math.config import GradingConfig, SearchConfig
from rstar_math.errors import StageError
from rstar_math.grading import ProcessJudge
from rstar_math.records import End, Grade, Problem, Tree, Verdict
from rstar_math.scripted import ExactJudge, InProcessSandbox, Script, ScriptedPolicy, ScriptedScorer
from rstar_math.search.expansion import Doors
from rstar_math.search.forest import grow
from rstar_math.search.storage import read_trees, write_trees
from rstar_math.search.tree import GrowingTree, Sprout, choose, uct

PROBLEM = Problem("p", "What is 2 + 2?", "4")
ADD = "<code>\nx = 2 + 2\n<end_of_step>"
TIMES = "<code>\nx = 2 * 3\n<end_of_step>"
CRASH = "<code>\nx = 1 / 0\n<end_of_step>"
PRINT = "print(x)\n<end_of_code>"


def tell(transcript: str) -> list[str]:
    """2 + 2 or 2 * 3, then print, then the printed number as the answer."""
    if transcript.endswith("<end_of_output>\n"):
        output = transcript.rsplit("<output>", 1)[1].split("<", 1)[0]
        return [f"<answer>It is \\boxed{{{output}}}.\n<end_of_answer>"]
    return [PRINT] if "<end_of_step>" in transcript else [ADD, TIMES, CRASH]


def doors(script: Script = tell, **given: object) -> Doors:
    return replace(Doors(ScriptedPolicy(script), InProcessSandbox(), None, ExactJudge()), **given)


async def grow_one(plan: SearchConfig, with_doors: Doors | None = None, problem: Problem = PROBLEM) -> Tree:
    (tree,) = await grow(problem, with_doors or doors(), plan, seed=1)
    return tree


def texts(tree: Tree) -> list[str]:
    return [node.step.text for node in tree.nodes[1:]]


async def test_only_candidates_whose_code_runs_become_children() -> None:
    tree = await grow_one(SearchConfig(rollouts=4, candidates=16))
    assert {tree.nodes[child].step.text for child in tree.children(0)} == {ADD, TIMES}
    assert tree.cost.failed_executions >= 1


async def test_a_candidate_runs_after_the_code_of_all_previous_steps() -> None:
    tree = await grow_one(SearchConfig(rollouts=8, candidates=8))
    printed = {tree.nodes[child].step.output for top in tree.children(0) for child in tree.children(top)}
    assert printed == {"4", "6"}


async def test_identical_candidates_become_one_child() -> None:
    tree = await grow_one(SearchConfig(rollouts=8, candidates=16))
    assert all(len(tree.children(top)) == 1 for top in tree.children(0))


async def test_every_rollout_gives_each_node_on_its_path_one_visit_and_its_value() -> None:
    tree = await grow_one(SearchConfig(rollouts=9, candidates=16))
    assert tree.nodes[0].visits == 9
    for index, node in enumerate(tree.nodes):
        through = [rollout for rollout in tree.rollouts if index == 0 or index in tree.path(rollout.leaf)]
        assert node.visits == len(through)
        assert node.value == sum(rollout.value for rollout in through)


async def test_right_answers_are_plus_one_and_wrong_ones_minus_one() -> None:
    tree = await grow_one(SearchConfig(rollouts=8, candidates=16))
    values = {tree.nodes[rollout.leaf].answer: rollout.value for rollout in tree.rollouts}
    assert values == {"4": 1.0, "6": -1.0}


async def test_a_dead_end_is_backed_up_as_minus_one() -> None:
    def dead_after_times(transcript: str) -> list[str]:
        return ["print(undefined)\n<end_of_code>"] if "2 * 3" in transcript else tell(transcript)

    tree = await grow_one(SearchConfig(rollouts=6, candidates=16), doors(dead_after_times))
    dead = [rollout for rollout in tree.rollouts if rollout.end is End.DEAD_END]
    assert dead
    for rollout in dead:
        assert rollout.value == -1.0
        assert tree.nodes[rollout.leaf].step.text == TIMES
        assert tree.nodes[rollout.leaf].q == -1.0


async def test_the_depth_limit_counts_steps_and_ends_a_rollout_as_wrong() -> None:
    def endless(transcript: str) -> list[str]:
        return [f"x = {transcript.count('<end_of_step>')}\n<end_of_step>"]

    tree = await grow_one(SearchConfig(rollouts=1, candidates=1, depth=16), doors(endless))
    (rollout,) = tree.rollouts
    assert (rollout.end, rollout.value) == (End.DEPTH, -1.0)
    assert len(tree.path(rollout.leaf)) == 16


async def test_a_solution_of_exactly_the_depth_limit_is_an_answer() -> None:
    tree = await grow_one(SearchConfig(rollouts=1, candidates=1, depth=3))
    assert [rollout.end for rollout in tree.rollouts] == [End.ANSWER]


async def test_a_root_where_nothing_ran_is_asked_again() -> None:
    tree = await grow_one(SearchConfig(rollouts=3, candidates=2), doors(lambda _: [CRASH]))
    assert [rollout.leaf for rollout in tree.rollouts] == [0, 0, 0]
    assert tree.cost.expansions == 3


async def test_a_finished_expansion_is_never_generated_again() -> None:
    tree = await grow_one(SearchConfig(rollouts=50, candidates=16))
    assert tree.cost.expansions == 5  # the root, two steps, two code ends


async def test_a_cut_off_candidate_is_dropped() -> None:
    tree = await grow_one(SearchConfig(rollouts=1, candidates=4), doors(lambda _: ["<code>\nx = 2 +"]))
    assert len(tree.nodes) == 1


async def test_the_word_boxed_in_a_code_step_makes_no_answer() -> None:
    def boxed_comment(transcript: str) -> list[str]:
        return ["<code>\n# \\boxed{4}\nx = 4\n<end_of_step>"] if "x = 4" not in transcript else tell(transcript)

    tree = await grow_one(SearchConfig(rollouts=1, candidates=1), doors(boxed_comment))
    assert tree.nodes[1].answer is None


async def test_printing_the_word_error_is_no_failure() -> None:
    def prints_error(transcript: str) -> list[str]:
        return tell(transcript) if "<output>" in transcript else ["<code>\nprint('error')\n<end_of_code>"]

    tree = await grow_one(SearchConfig(rollouts=1, candidates=1), doors(prints_error))
    assert tree.nodes[1].step.output == "error"


async def test_an_answer_that_nobody_can_decide_is_never_rewarded() -> None:
    class Undecided:
        async def grade(self, *_: object) -> Grade:
            return Grade(Verdict.UNREADABLE, "no reading")

    tree = await grow_one(SearchConfig(rollouts=2, candidates=8), doors(judge=Undecided()))
    assert {rollout.value for rollout in tree.rollouts} == {-1.0}
    assert tree.cost.undecided > 0


async def test_with_ppm_annotation_q_starts_at_the_ppms_score_as_one_visit() -> None:
    worth = ScriptedScorer(lambda transcript: 0.75 if "x = 2 + 2" in transcript else -0.25)
    tree = await grow_one(SearchConfig(rollouts=1, candidates=16, annotation="ppm"), doors(scorer=worth))
    (visited,) = {tree.path(rollout.leaf)[0] for rollout in tree.rollouts}
    for child in tree.children(0):
        node = tree.nodes[child]
        prior = 0.75 if node.step.text == ADD else -0.25
        assert node.prior == prior
        assert (node.visits, node.value) == ((2, prior + tree.rollouts[0].value) if child == visited else (1, prior))


async def test_while_making_data_a_terminals_value_is_the_ground_truths_whatever_the_ppm_says() -> None:
    tree = await grow_one(
        SearchConfig(rollouts=4, candidates=16, annotation="ppm"), doors(scorer=ScriptedScorer(lambda _: -0.9))
    )
    right = [rollout for rollout in tree.rollouts if tree.nodes[rollout.leaf].answer == "4"]
    assert right
    assert all(rollout.value == 1.0 and tree.nodes[rollout.leaf].q == 1.0 for rollout in right)


async def test_at_test_time_the_ground_truth_is_not_consulted_and_the_ppm_values_the_end() -> None:
    plan = SearchConfig(rollouts=4, candidates=16, annotation="ppm")
    worth = ScriptedScorer(lambda transcript: 0.5 if "2 * 3" in transcript else 0.1)
    one = await grow_one(plan, doors(scorer=worth, judge=None))
    other = await grow_one(plan, doors(scorer=worth, judge=None), PROBLEM._replace(answer="6"))
    assert one.nodes == other.nodes
    assert {node.verdict for node in one.nodes} == {None}
    assert {rollout.value for rollout in one.rollouts} <= {0.5, 0.1}


async def test_a_hard_problem_goes_on_to_the_higher_totals_and_an_easy_one_does_not() -> None:
    plan = SearchConfig(rollouts=2, candidates=16, escalate_to=(4, 6))
    hopeless = await grow_one(plan, problem=PROBLEM._replace(answer="5"))
    solved = await grow_one(plan)
    assert (len(hopeless.rollouts), len(solved.rollouts)) == (6, 2)


async def test_an_unsolved_problem_gets_another_tree_with_another_seed() -> None:
    plan = SearchConfig(rollouts=2, candidates=16, trees=2)
    hopeless = await grow(PROBLEM._replace(answer="5"), doors(), plan, seed=1)
    assert len({tree.seed for tree in hopeless}) == 2
    assert len(await grow(PROBLEM, doors(), plan, seed=1)) == 1


@pytest.mark.parametrize(
    ("threshold", "grown"),
    # Of 4 half may yet be right, as many as are asked for; of 6 only 2.
    [(0.5, [4]), (0.6, [2]), (0.3, [6]), (0.2, [6, 4]), (0.0, [6, 6])],
)
async def test_a_synthetic_problem_gets_no_rollouts_that_the_noise_filter_would_throw_away(threshold, grown) -> None:
    """Solved after 80 of 128 rollouts, at most 38% of its trajectories are right, and it is dropped for that. Then it got no
    second look at all, though 16 right ones after 16 wrong ones are enough."""
    plan = SearchConfig(rollouts=2, candidates=16, escalate_to=(4, 6), trees=2, noise_threshold=threshold)
    trees = await grow(PROBLEM._replace(answer="5", synthetic=True), doors(), plan, seed=1)
    assert [len(tree.rollouts) for tree in trees] == grown
    assert len(await grow(PROBLEM._replace(synthetic=True), doors(), plan, seed=1)) == 1


async def test_all_boxes_of_an_answer_are_what_the_judge_gets() -> None:
    """The last one alone was kept: "5 or 6" was right beside 6, and "2 and 3" wrong beside its own list."""

    def two(transcript: str) -> list[str]:
        if transcript.endswith("<end_of_output>\n"):
            return ["<answer>It is \\boxed{5} or \\boxed{4}.\n<end_of_answer>"]
        return tell(transcript)

    tree = await grow_one(SearchConfig(rollouts=2), doors(two))
    assert {node.answer for node in tree.nodes} == {None, "5; 4"}
    assert {node.verdict for node in tree.nodes} == {None, Verdict.WRONG}


async def test_code_that_ended_is_asked_for_its_answer_again_where_its_words_could_not_be_read() -> None:
    """One unreadable draw made a dead end of it for good, and every later visit counted against steps that were right."""
    said = iter(["<answer>It is 4.\n<end_of_answer>", "<answer>It is \\boxed{4}."])

    def stammering(transcript: str) -> list[str]:
        if transcript.endswith("<end_of_output>\n"):
            return [next(said, "<answer>It is \\boxed{4}.\n<end_of_answer>")]
        return [PRINT] if "<end_of_step>" in transcript else [ADD]

    tree = await grow_one(SearchConfig(rollouts=4), doors(stammering))
    assert [rollout.end for rollout in tree.rollouts] == [End.DEAD_END, End.DEAD_END, End.ANSWER, End.ANSWER]
    assert [node.verdict for node in tree.nodes if node.answer] == [Verdict.CORRECT]


async def test_worked_examples_stand_before_the_problem_for_the_policy_and_not_for_the_ppm() -> None:
    """A model of one's own that was never trained in the text format was asked without any, and all four rounds ran on
    trees of nothing."""
    seen: dict[str, list[str]] = {"policy": [], "ppm": []}

    def heard(who: str, transcript: str) -> None:
        seen[who].append(transcript)

    def policy(transcript: str) -> list[str]:
        heard("policy", transcript)
        return tell(transcript)

    scorer = ScriptedScorer(lambda transcript: heard("ppm", transcript) or 0.5)
    plan = SearchConfig(rollouts=2, annotation="ppm", few_shot="Like this.\n")
    await grow_one(plan, doors(policy, scorer=scorer))
    assert all(each.startswith("Like this.\n<|user|>:") and each.count("Like this.") == 1 for each in seen["policy"])
    assert seen["ppm"] and all(each.startswith("<|user|>:") for each in seen["ppm"])


async def test_two_runs_write_equal_bytes(tmp_path) -> None:
    for number in range(2):
        trees = await grow(PROBLEM, doors(), SearchConfig(rollouts=12, candidates=4), seed=3)
        write_trees(tmp_path, number, [replace(tree, cost=replace(tree.cost, seconds=0.0)) for tree in trees])
    first, second = sorted(tmp_path.iterdir())
    assert first.read_bytes() == second.read_bytes()


async def test_trees_come_back_from_disk_as_they_were(tmp_path) -> None:
    trees = await grow(PROBLEM, doors(), SearchConfig(rollouts=5, candidates=16), seed=3)
    write_trees(tmp_path, 0, trees)
    assert list(read_trees(tmp_path)) == trees


def test_uct_is_the_papers_formula() -> None:
    child = Sprout(parent=0, step=None, depth=1, visits=4, value=2.0)  # type: ignore[arg-type]
    assert uct(child, 16, 2.0, "first") == pytest.approx(0.5 + 2 * math.sqrt(math.log(16) / 4))


@pytest.mark.parametrize(("unvisited", "expected"), [("first", math.inf), ("no-bonus", 0.0)])
def test_an_unvisited_child_comes_first_or_has_no_bonus(unvisited, expected) -> None:
    assert uct(Sprout(0, None, 1), 9, 2.0, unvisited) == expected  # type: ignore[arg-type]


def test_ties_are_broken_at_random_from_the_trees_own_stream() -> None:
    tree = GrowingTree(PROBLEM, 0)
    tree.nodes[0].children = []
    children = [tree.attach(0, None, prior=None, answer=None) for _ in range(4)]  # type: ignore[arg-type]
    draws = [choose(tree, children, 2.0, "first", Random(seed)) for seed in range(50)]
    assert set(draws) == set(children)
    assert draws == [choose(tree, children, 2.0, "first", Random(seed)) for seed in range(50)]


async def test_the_verdict_of_a_shared_answer_is_asked_once_a_node() -> None:
    class Counting(ExactJudge):
        asked = 0

        async def grade(self, prediction: str, gold: str, tolerance: float = 0.0) -> Grade:
            self.asked += 1
            return await super().grade(prediction, gold, tolerance)

    judge = Counting()
    await grow_one(SearchConfig(rollouts=40, candidates=16), doors(judge=judge))
    assert judge.asked == 2


async def test_a_problems_own_tolerance_counts_in_the_search_and_is_kept_with_its_tree(tmp_path: Path) -> None:
    near = PROBLEM._replace(answer="4.9", tolerance=1.0)
    async with ProcessJudge(GradingConfig()) as judge:
        tree = await grow_one(SearchConfig(rollouts=8, candidates=16), doors(judge=judge), near)
    assert {tree.nodes[rollout.leaf].answer: rollout.value for rollout in tree.rollouts} == {"4": 1.0, "6": -1.0}
    write_trees(tmp_path, 0, [tree])
    assert list(read_trees(tmp_path)) == [tree]


async def test_a_flipped_bit_of_a_part_is_named_and_never_read_as_other_trees(tmp_path: Path) -> None:
    """Until its stage was finished nothing knew its bytes: Parquet decoded many a flipped bit to another tree, and the
    manifest then made it the right one."""
    write_trees(tmp_path, 0, await grow(PROBLEM, doors(), SearchConfig(rollouts=5, candidates=16), seed=3))
    (part,) = tmp_path.iterdir()
    written = part.read_bytes()
    for share in range(300):
        flip_a_bit(part, share / 300)
        with pytest.raises(StageError, match=rf"{part.name} is damaged .*delete it and start again"):
            list(read_trees(tmp_path))
        part.write_bytes(written)


async def test_whatever_decoding_damaged_trees_comes_to_is_one_message(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 ended the run with a traceback. A name without a checksum is what older versions gave."""
    write_trees(tmp_path, 0, await grow(PROBLEM, doors(), SearchConfig(rollouts=5, candidates=16), seed=3))
    (part,) = tmp_path.iterdir()
    part = part.rename(tmp_path / "part-00000.parquet")
    written, named = part.read_bytes(), 0
    for share in range(300):
        flip_a_bit(part, share / 300)
        try:
            list(read_trees(tmp_path))
        except StageError as error:
            assert str(error).startswith(f"{part} is damaged")
            named += 1
        part.write_bytes(written)
    assert named

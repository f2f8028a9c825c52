"""rStar's mutual reasoning: five actions, what their answers are worth, a second model, one answer, no ground truth."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path

import pytest
from planting import plant

from rstar_math.cluster import actors
from rstar_math.cluster.actors import SearchActor
from rstar_math.config import CONF, GradingConfig, MutualConfig, SandboxConfig
from rstar_math.errors import ConfigError, EngineError, QuestionKills
from rstar_math.grading import ProcessJudge
from rstar_math.mutual.choice import choose_consistent
from rstar_math.mutual.discriminator import Completion, Discriminator, Judged, Spent, cut
from rstar_math.mutual.judged import judge_all, read_judged
from rstar_math.mutual.reading import read_ways
from rstar_math.mutual.tasks import read_task, task_folder
from rstar_math.mutual.ways import ways
from rstar_math.records import End, Problem, Proposal, Rollout, Sampling, Step, Transcript, Tree
from rstar_math.scripted import ExactJudge, InProcessSandbox, ScriptedPolicy
from rstar_math.search.actions import Reasoning
from rstar_math.search.expansion import Doors
from rstar_math.search.forest import grow
from rstar_math.search.task import EXAMPLES, SOLUTION, SUBQUESTION, THOUGHT, Task
from rstar_math.text import join

TASK = Task("test", depth=3)
PROBLEM = Problem("p", "How many?", "7")
#: What is said after each mark, in turn; the last one is said for the rest.
SAID = {
    "Thought:": ["two and five", "two and five", "it is all. The answer is 7.", "it is all. The answer is 8."],
    "Solution:": ["so. The answer is 7.", "or. The answer is 8.", "thus. The answer is 7.", "hence. The answer is 7."],
    "Subquestion:": ["What is two?", "Now we can answer the question: how many?"],
    "Subanswer:": ["Two is 2. The answer is 2."],
    "Again:": ["It is 2. The answer is 2."],
    "Conditions:": ["There are some."],
}


@dataclass
class Lines:
    """A policy that goes through its lines in turn, and notes what it was asked."""

    said: Mapping[str, Sequence[str]] = field(default_factory=lambda: SAID)
    asked: list[str] = field(default_factory=list)

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        written = join(transcript)
        self.asked.append(written)
        assert sampling.stops == ("\n",)
        lines = self.said.get(written.rsplit("\n", 1)[-1].split(" ")[0], [])
        return [Proposal(f" {lines[min(n, len(lines) - 1)]}\n", 3) for n in range(count)] if lines else []


def doors(policy: object) -> Doors:
    return Doors(policy, InProcessSandbox(), comparing=ExactJudge())  # type: ignore[arg-type]


async def grown(rollouts: int, policy: object = None, **knobs) -> Tree:
    plan = Reasoning(rollouts=rollouts, depth=3, **{"task": TASK, "thoughts": 4, "votes": 4} | knobs)
    (tree,) = await grow(PROBLEM._replace(answer=""), doors(policy or Lines()), plan, 0)
    return tree


def below(tree: Tree, parent: int) -> list[str]:
    return [tree.nodes[child].step.text for child in tree.children(parent)]


async def test_the_root_gets_thoughts_a_solution_subquestions_and_conditions_but_nothing_to_answer_again() -> None:
    tree = await grown(1)
    assert below(tree, 0) == [
        "Thought: two and five\n",
        "Thought: it is all. The answer is 7.\n",
        "Thought: it is all. The answer is 8.\n",
        "Solution: so. The answer is 7.\n",
        "Subquestion: What is two?\nSubanswer: Two is 2. The answer is 2.\n",
        "Subquestion: Now we can answer the question: how many?\nSubanswer: Two is 2. The answer is 2.\n",
        "Conditions: There are some.\n",
    ]


def worths(tree: Tree) -> dict[str, float | None]:
    return {tree.nodes[child].step.text: tree.nodes[child].prior for child in tree.children(0)}


async def test_an_answer_is_worth_the_share_of_the_drawn_lines_that_agree() -> None:
    tree = await grown(1)
    worth = worths(tree)
    assert worth["Solution: so. The answer is 7.\n"] == 0.75  # 7, 8, 7, 7
    assert (
        worth["Thought: it is all. The answer is 7.\n"] == 0.25
    )  # of four thoughts two state no answer and one states 8
    assert worth["Thought: two and five\n"] is None
    assert [node.prior for node in tree.nodes if "Now we can" in node.step.text][:1] == [1.0]


async def test_an_answer_that_one_line_of_five_states_is_not_certain() -> None:
    """Shares were of the answers stated: the only thought of five with an answer was worth 1, more than any vote."""
    said = {
        "Thought:": ["two", "and", "five", "make", "seven. The answer is 7."],
        "Solution:": ["so. The answer is 8.", "no idea", "no idea", "so. The answer is 8.", "so. The answer is 8."],
    }
    worth = worths(await grown(1, Lines(said), thoughts=5, votes=5))
    assert worth["Thought: seven. The answer is 7.\n"] == 0.2
    assert worth["Solution: so. The answer is 8.\n"] == 0.6


async def test_a_line_that_was_cut_off_or_whose_code_fails_was_drawn_too() -> None:
    class CutOff(Lines):
        async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
            drawn = await super().propose(transcript, count, sampling)
            return drawn[:1] + [replace(proposal, text=proposal.text.rstrip("\n")) for proposal in drawn[1:]]

    said = {"Solution:": ["so. The answer is 7.", "and so on and", "and so on and", "and so on and"]}
    assert worths(await grown(1, CutOff(said)))["Solution: so. The answer is 7.\n"] == 0.25
    said = {"Solution:": ["The answer is `2 + 5` = 7.", "The answer is `2 + y` = 7.", "no idea"]}
    found = worths(await grown(1, Lines(said), task=replace(TASK, code=True)))
    assert found == {"Solution: The answer is `2 + 5` = 7.\n": 0.25}


async def test_only_the_last_subquestion_ends_a_path_and_its_answer_is_the_answer() -> None:
    tree = await grown(1)
    answers = {node.step.text: node.answer for node in tree.nodes if node.step.text.startswith(SUBQUESTION)}
    assert answers["Subquestion: What is two?\nSubanswer: Two is 2. The answer is 2.\n"] is None
    assert list(answers.values())[1] == "2"


async def test_again_follows_a_subquestion_alone_and_conditions_the_root_alone() -> None:
    tree = await grown(60)
    before = {"Again:": set(), "Conditions:": set()}
    for node in tree.nodes[1:]:
        mark = node.step.text.split(" ")[0]
        if mark in before:
            before[mark].add(tree.nodes[node.parent].step.text.split(" ")[0] if node.parent else "")
    assert before == {"Again:": {"Subquestion:"}, "Conditions:": {""}}


async def test_a_rollout_backs_up_its_confidence_and_nothing_where_no_answer_came() -> None:
    tree = await grown(40)
    for rollout in tree.rollouts:
        leaf = tree.nodes[rollout.leaf]
        assert rollout.value == (leaf.prior if rollout.end is End.ANSWER else 0.0)
        assert rollout.end is End.ANSWER or len(tree.path(rollout.leaf)) == 3  # the depth, exactly
    assert tree.nodes[0].value == pytest.approx(sum(rollout.value for rollout in tree.rollouts))
    assert tree.nodes[0].visits == 40


async def test_every_child_is_tried_before_any_is_tried_twice() -> None:
    tree = await grown(7)
    assert sorted(tree.nodes[child].visits for child in tree.children(0)) == [1] * 7


async def test_a_model_that_says_nothing_useful_leaves_dead_ends() -> None:
    tree = await grown(3, Lines({"Thought:": ["  "], "Solution:": ["no idea"]}))
    assert [rollout.end for rollout in tree.rollouts] == [End.DEAD_END] * 3


async def test_actions_that_are_left_out_are_not_asked_for() -> None:
    policy = Lines()
    await grown(5, policy, actions=("solution",))
    assert {asked.rsplit("\n", 1)[-1] for asked in policy.asked} == {"Solution:"}


async def test_a_path_is_asked_on_with_its_lines_and_each_line_with_its_own_examples() -> None:
    policy = Lines()
    await grown(30, policy, task=replace(TASK, examples={"thought": "T\n\n", "subanswer": "S\n\n"}))
    assert "T\n\nQuestion: How many?\nThought:" in policy.asked
    assert "S\n\nQuestion: How many?\nSubquestion: What is two?\nSubanswer:" in policy.asked
    assert "T\n\nQuestion: How many?\nThought: two and five\nThought:" in policy.asked
    assert "Question: How many?\nThought: two and five\nSolution:" in policy.asked


async def test_drawn_solutions_count_each_and_one_without_an_answer_is_a_dead_end() -> None:
    said = {"Solution:": ["a. The answer is 7.", "a. The answer is 7.", "b. The answer is 8.", "who knows"]}
    (tree,) = await grow(PROBLEM, doors(Lines(said)), Reasoning(kind="solutions", rollouts=4, task=TASK), 0)
    assert Counter(tree.nodes[r.leaf].answer for r in tree.rollouts) == {"7": 2, "8": 1, None: 1}


# --- no ground truth


async def test_the_same_trees_and_answers_come_out_whatever_the_ground_truth() -> None:
    plan, chosen, trees = MutualConfig(strategies=("mutual",), votes=4, thoughts=4, rollouts=16), [], []
    for gold in ("7", "8", ""):
        actor = SearchActor(SandboxConfig(), GradingConfig())
        actor._doors = replace(doors(ScriptedPolicy(_drawn)), judge=ExactJudge())
        readings = ways(plan, TASK, second=True)
        (tree,) = await actor.grow(PROBLEM._replace(answer=gold), readings[0].plan, 0, graded=False)
        judged = await Discriminator(ScriptedPolicy(_drawn), ExactJudge(), TASK, plan, 0).judge(tree)
        rows = await read_ways(tree, readings, judged, "strict", ExactJudge())
        chosen.append([row.choice for row in rows.values()])
        trees.append([(node.step, node.value, node.visits) for node in tree.nodes])
        assert tree.problem.answer == gold  # the record keeps it, for grading alone
    assert chosen[0] == chosen[1] == chosen[2]
    assert trees[0] == trees[1] == trees[2]


def _drawn(written: str) -> Sequence[str]:
    return [f" {line}\n" for line in SAID[written.rsplit("\n", 1)[-1].split(" ")[0]]]


async def test_a_search_is_not_even_told_the_ground_truth(monkeypatch) -> None:
    class Eavesdropper(Lines):
        async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
            assert "secret" not in join(transcript)
            return await super().propose(transcript, count, sampling)

    compared: list[str] = []

    class Noting(ExactJudge):
        async def grade(self, prediction: str, gold: str, tolerance: float = 0.0):
            compared.extend((prediction, gold))
            return await super().grade(prediction, gold, tolerance)

    actor = SearchActor(SandboxConfig(), GradingConfig())
    actor._doors = Doors(Eavesdropper(), InProcessSandbox(), judge=Noting(), comparing=Noting())
    plan = Reasoning(rollouts=8, task=TASK, votes=4, thoughts=4)
    told = []
    monkeypatch.setattr(actors, "grow", lambda problem, *rest: told.append(problem.answer) or grow(problem, *rest))
    await actor.grow(PROBLEM._replace(answer="secret"), plan, 0, graded=False)
    assert told == [""]
    assert compared
    assert "secret" not in compared


# --- the second model


def path(*lines: str) -> tuple[Step, ...]:
    return tuple(Step(line) for line in lines)


def test_reasoning_leaves_out_conditions_subquestions_and_answers_on_the_way() -> None:
    steps = path(
        "Conditions: Two here. Five there.\n",
        "Subquestion: What is two?\nSubanswer: Two is 3. The answer is 3.\n",
        "Again: Two is 2. Really. The answer is 2.\n",
        "Thought: 2 + 5.0 = 7.\n",
        "Solution: It is 7. The answer is 7.\n",
    )
    assert TASK.sentences(steps) == ["Two is 2.", "Really.", "2 + 5.0 = 7.", "It is 7.", "The answer is 7."]


@pytest.mark.parametrize(
    ("words", "share", "given"),
    [
        ("a b c d e f The answer is 8.", 0.2, 2),
        ("a b c d e f The answer is 8.", 0.5, 5),
        ("a b c d e f The answer is 8.", 0.8, 6),
        ("x: 3 + 4 = 7. The answer is 7.", 0.4, 4),  # in the midst of a sum
        ("The answer is 8.", 0.8, 0),
        ("4 + 6 = 10. The answer is 10. Checked. The answer is 10.", 0.8, 5),
        ("a b (The answer is 8).", 0.8, 2),
    ],
)
def test_a_share_of_the_words_is_given_and_nothing_of_the_answers_statement(words, share, given) -> None:
    assert cut(words.split(), share, "The answer is") == given


def told(**lines: str) -> Tree:
    """Four steps, three of which end trajectories, and a rollout for each time that one was found."""
    texts = {"a": "Thought: one. two. three.\n", "b": "Solution: four. The answer is 7.\n"}
    texts |= {"c": "Solution: five. six. The answer is 8.\n", "d": "Solution: eight. The answer is 7.\n"} | lines
    drawn = plant("a\n  b answer=7\nc answer=8\nd answer=7", PROBLEM)
    nodes = [drawn.nodes[0]] + [
        node._replace(step=Step(texts[name]), prior=prior)
        for node, name, prior in zip(drawn.nodes[1:], "abcd", (None, 0.5, 0.9, 0.4), strict=True)
    ]
    ends = [2] * 8 + [3] * 2 + [4]
    rollouts = tuple(Rollout(leaf, End.ANSWER, nodes[leaf].prior or 0.0) for leaf in ends)
    return replace(drawn, nodes=tuple(nodes), rollouts=rollouts)


class Echo:
    """A second model that always comes to one answer, and notes what it was given."""

    def __init__(self, answer: str) -> None:
        self.answer, self.given = answer, []

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        self.given.append(join(transcript))
        return [Proposal(f" so. The answer is {self.answer}.\n", 5)] * count


async def test_a_trajectory_is_consistent_where_the_second_model_comes_to_its_answer() -> None:
    second = Echo("7")
    judged = await Discriminator(second, ExactJudge(), TASK, MutualConfig(masks=3), 0).judge(told())
    assert judged.consistent("strict") == [2, 4]
    assert [len(own) for own in judged.completions.values()] == [3, 3, 3]
    assert judged.cost.tokens == 5 * len(second.given)
    assert judged.cost.seconds > 0
    for given in second.given:
        assert given.startswith(f"Question: How many?\n{SOLUTION}")
        assert "The answer is" not in given


@pytest.mark.parametrize(("temperature", "asked"), [(0.0, 1), (0.5, 8)])
async def test_masks_that_leave_the_same_words_are_one_question(temperature: float, asked: int) -> None:
    """Each was asked by itself: at temperature 0 the same completion was generated, and its code run, again and again."""
    counts: list[int] = []

    class Counting(Echo):
        async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
            counts.append(count)
            return await super().propose(transcript, count, sampling)

    plan = MutualConfig(masks=8, completion_temperature=temperature, least_given=0.0, most_given=0.01)
    judged = await Discriminator(Counting("7"), ExactJudge(), TASK, plan, 0).judge(told())
    assert counts == [asked] * 3
    assert [len(own) for own in judged.completions.values()] == [8, 8, 8]
    assert judged.cost.tokens == 5 * sum(counts)


async def test_the_second_model_is_not_even_handed_the_ground_truth(tmp_path: Path) -> None:
    golds = []

    class Looking:
        async def judge(self, tree: Tree) -> Judged:
            golds.append(tree.problem.answer)
            return Judged(tree.problem.id, {}, Spent(1, 2, 3.0))

    tree = told()
    assert tree.problem.answer
    found = await judge_all(tmp_path / "judged.jsonl", [tree], Looking(), lambda _: None)
    assert golds == [""]
    assert found == read_judged(tmp_path / "judged.jsonl")


async def test_a_question_of_yes_or_no_goes_through_search_second_model_and_grader() -> None:
    task = read_task(task_folder("strategyqa"))
    said = cycle([" It can. The answer is Yes.\n", " It cannot. The answer is no.\n", " It may. The answer is yes\n"])

    class Changing:
        async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
            return [Proposal(next(said), 5) for _ in range(count)]

    plan = MutualConfig(rollouts=3, votes=3, actions=("solution",))
    async with ProcessJudge(GradingConfig()) as judge:
        readings = ways(plan, task, second=True)
        doors = Doors(Changing(), InProcessSandbox(), comparing=judge)
        (tree,) = await grow(Problem("p", "Can it swim?", "yes"), doors, readings[0].plan, 0)
        judged = await Discriminator(Echo("Yes"), judge, task, plan.masking, 0).judge(tree)
        rows = await read_ways(tree, readings, judged, "strict", judge)
        against = await read_ways(
            replace(tree, problem=tree.problem._replace(answer="no")), readings, judged, "strict", judge
        )
    assert [rollout.value for rollout in tree.rollouts] == pytest.approx([2 / 3] * len(tree.rollouts))
    assert judged.consistent("strict")
    assert rows["mutual"].choice is not None and rows["mutual"].choice.answer in ("Yes", "yes")
    assert rows["mutual"].correct and rows["generator-majority"].correct
    assert not against["mutual"].correct


def test_the_defaults_are_the_papers() -> None:
    """rStar, section 4 and appendix: 32 rollouts, five children of A1 and of A3, and 20 to 80% of a trajectory given."""
    plan = MutualConfig()
    assert (plan.rollouts, plan.thoughts, plan.subquestions, plan.masks) == (32, 5, 5, 1)
    assert (plan.least_given, plan.most_given) == (0.2, 0.8)
    assert plan.actions == ("thought", "solution", "subquestion", "again", "conditions")
    assert [read_task(task_folder(name)).depth for name in ("gsm8k", "math", "strategyqa")] == [5, 8, 5]


@pytest.mark.parametrize(
    ("task", "line"),
    [
        (TASK, "Solution: eight. The answer is 7. That was asked, so The answer is 7.\n"),
        (replace(TASK, code=True), "Solution: `x = 7` = 7. The answer is `x` = 7. Sure. The answer is `x` = 7.\n"),
    ],
)
async def test_a_second_model_that_states_no_answer_agrees_with_none(task: Task, line: str) -> None:
    """Where an answer was stated twice the first statement was given, read from there and taken for agreement."""

    class Vague(Echo):
        async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
            await super().propose(transcript, count, sampling)
            return [Proposal(" and that is that.\n", 5)] * count

    second = Vague("")
    looking = Discriminator(second, ExactJudge(), task, MutualConfig(masks=8), 0, InProcessSandbox())
    judged = await looking.judge(told(d=line))
    assert judged.consistent("loose") == []
    assert not any("The answer" in given for given in second.given)


async def test_what_is_given_stays_between_the_two_shares() -> None:
    sentences = " ".join(f"s{n}." for n in range(20))
    tree = told(c=f"Solution: {sentences} The answer is 8.\n")
    plan = MutualConfig(masks=40, least_given=0.2, most_given=0.8)
    judged = await Discriminator(Echo("8"), ExactJudge(), TASK, plan, 0).judge(tree)
    given = {completion.given for completion in judged.completions[3]}
    assert given == set(range(5, 20))  # of 24 words, and the masks share the range out among themselves


@pytest.mark.parametrize(("agreement", "leaves"), [("loose", [1, 2, 3]), ("middle", [1, 2]), ("strict", [1])])
def test_agreement_is_of_one_of_most_or_of_all_completions(agreement: str, leaves: list[int]) -> None:
    yes, no = Completion(1, 3, "", True), Completion(1, 3, "", False)
    completions = {1: [yes, yes, yes], 2: [yes, yes, no], 3: [no, yes, no], 4: [no, no, no]}
    assert Judged("p", completions, Spent(0, 0, 0.0)).consistent(agreement) == leaves


async def test_verdicts_are_kept_by_problem_and_a_line_cut_short_by_a_kill_is_done_again(tmp_path: Path) -> None:
    file, trees = tmp_path / "judged.jsonl", [replace(told(), problem=PROBLEM._replace(id=f"p{n}")) for n in range(3)]
    second, heard = Echo("7"), []
    discriminator = Discriminator(second, ExactJudge(), TASK, MutualConfig(), 0)
    whole = await judge_all(file, trees, discriminator, heard.append)
    assert sum(heard) == 3
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:2]) + lines[2][:20])
    second.given.clear()
    again = await judge_all(file, trees, discriminator, heard.append)
    assert len(second.given) == 3  # the three trajectories of one problem
    assert {name: (own.completions, own.cost.tokens) for name, own in again.items()} == {
        name: (own.completions, own.cost.tokens) for name, own in whole.items()
    }
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == ["p0", "p1", "p2"]


def trees_of(count: int) -> list[Tree]:
    return [
        replace(told(), problem=PROBLEM._replace(id=f"p{number}", question=f"{number}?")) for number in range(count)
    ]


async def test_a_slow_tree_holds_up_no_other_and_each_verdict_is_written_as_it_comes(tmp_path: Path) -> None:
    """They went in batches of 64: all waited for the slowest of each, and its rows were written together."""
    file, rest_done = tmp_path / "judged.jsonl", asyncio.Event()
    file.touch()

    class Slow(Echo):
        async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
            if join(transcript).startswith("Question: 0?"):
                await asyncio.wait_for(rest_done.wait(), 20)
            return await super().propose(transcript, count, sampling)

    heard: list[int] = []

    def hear(count: int) -> None:
        heard.append(count)
        assert len(file.read_text().splitlines()) == sum(heard)
        if sum(heard) == 199:
            rest_done.set()

    found = await judge_all(file, trees_of(200), Discriminator(Slow("7"), ExactJudge(), TASK, MutualConfig(), 0), hear)
    assert len(found) == 200
    assert json.loads(file.read_text().splitlines()[-1])["id"] == "p0"


async def test_no_more_trees_are_read_than_are_judged_at_once(tmp_path: Path) -> None:
    read, judged = [], []

    def reading() -> Iterator[Tree]:
        for tree in trees_of(300):
            read.append(tree)
            assert len(read) - len(judged) <= 17
            yield tree

    discriminator = Discriminator(Echo("7"), ExactJudge(), TASK, MutualConfig(), 0)
    await judge_all(tmp_path / "judged.jsonl", reading(), discriminator, lambda count: judged.extend([None] * count))
    assert len(judged) == 300


async def test_a_second_model_that_fails_is_named_by_its_own_error_and_what_was_judged_stays(tmp_path: Path) -> None:
    class Failing(Echo):
        async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
            if join(transcript).startswith("Question: 99?"):
                raise EngineError("gone")
            return await super().propose(transcript, count, sampling)

    file = tmp_path / "judged.jsonl"
    discriminator = Discriminator(Failing("7"), ExactJudge(), TASK, MutualConfig(), 0)
    with pytest.raises(EngineError, match="gone"):
        await judge_all(file, trees_of(200), discriminator, lambda _: None)
    before = file.read_text()
    await asyncio.sleep(0)
    assert 0 < len(before.splitlines()) < 200
    assert file.read_text() == before


async def test_a_tree_that_kills_the_second_models_engines_is_set_aside_and_all_others_are_judged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended the stage, at every start anew."""
    left: list[str] = []

    class Deadly(Echo):
        async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
            if join(transcript).startswith("Question: 9?"):
                if left:
                    await asyncio.sleep(0.05)
                    left.append("asked on")
                left.append("killed")
                raise QuestionKills("a policy engine died 3 times")
            return await super().propose(transcript, count, sampling)

    file = tmp_path / "judged.jsonl"
    discriminator = Discriminator(Deadly("7"), ExactJudge(), TASK, MutualConfig(), 0)
    found = await judge_all(file, trees_of(20), discriminator, lambda _: None)
    await asyncio.sleep(0.2)
    assert left == ["killed"]  # its other trajectories were not asked about any more
    assert [name for name, judged in found.items() if not judged.completions] == ["p9"]
    assert len(read_judged(file)) == 20
    assert "p9 is set aside" in caplog.text
    (row,) = [row for row in map(json.loads, file.read_text().splitlines()) if row["id"] == "p9"]
    assert row["cause"] == "a policy engine died 3 times"


# --- the answer


SAME = {"7": "7", "8": "8"}


def test_of_consistent_trajectories_the_one_with_the_highest_reward_times_confidence_is_chosen() -> None:
    # b: (8 x 0.5) x 0.5 = 2.0; c: (2 x 0.9) x 0.9 = 1.62; d: 0.4 x 0.4 = 0.16
    assert choose_consistent(told(), [2, 3, 4], SAME).leaf == 2  # found more often, though less sure
    assert choose_consistent(told(), [3, 4], SAME).leaf == 3
    assert choose_consistent(told(), [4], SAME).leaf == 4
    # after two rollouts neither c nor d has been found
    assert choose_consistent(told(), [3, 4], SAME, first=2).leaf == 2
    assert choose_consistent(told(), [2, 3, 4], SAME, first=2).score == pytest.approx(2 * 0.5 * 0.5)


def test_without_a_consistent_trajectory_the_answer_of_most_is_given() -> None:
    assert choose_consistent(told(), [], SAME).answer == "7"
    assert choose_consistent(replace(told(), rollouts=()), [], SAME) is None


# --- tasks and names


@pytest.mark.parametrize("folder", sorted((CONF / "mutual").iterdir()), ids=lambda folder: folder.name)
def test_every_shipped_task_reads_and_its_examples_end_as_an_answer_does(folder: Path) -> None:
    task = read_task(folder)
    assert task.depth == (8 if folder.name in ("math", "wordproblems") else 5)
    for mark, name in EXAMPLES.items():
        if name not in task.examples:
            assert folder.name == "wordproblems"
            continue
        worked = task.examples[name].strip().split("\n\n")
        assert len(worked) >= 2
        for example in worked:
            question, *lines = example.split("\n")
            assert question.startswith("Question: ")
            assert any(line.startswith(mark) for line in lines), f"{folder.name}/{name}.txt shows no {mark}"
            assert all(line.split(" ")[0] in EXAMPLES for line in lines)
            if mark in (SOLUTION, THOUGHT):
                assert task.answer_in(lines[-1])
            if mark == SUBQUESTION:
                assert task.is_final(lines[-2].removeprefix(f"{SUBQUESTION} "))


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("so. The answer is 7.", "7"),
        ("The answer is 3. The answer is $\\frac{1}{2}$.", "$\\frac{1}{2}$"),
        ("The answer is: no.\n", "no"),
        ("The answer is 3.5", "3.5"),
        ("no answer", None),
        ("The answer is .", None),
    ],
)
def test_the_answer_is_what_stands_behind_the_last_of_its_words(line: str, answer: str | None) -> None:
    assert TASK.answer_in(line) == answer


def test_a_folder_that_is_no_task_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mutual\.task=nothing: .* one of: gsm8k, gsm8k-code, math"):
        task_folder("nothing")
    (tmp_path / "task.yaml").write_text("answer: A\ndepth: 5\n")
    with pytest.raises(ConfigError, match="final"):
        read_task(tmp_path)
    (tmp_path / "task.yaml").write_text("answer: A\nfinal: F\ndepth: 5\n")
    (tmp_path / "though.txt").write_text("x")
    with pytest.raises(ConfigError, match=r"though\.txt belongs to no line"):
        read_task(tmp_path)


def test_a_new_kind_of_question_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("answer: Antwort\nfinal: Nun\ndepth: 4\n")
    (tmp_path / "solution.txt").write_text("Question: 1?\nSolution: eins. Antwort 1.\n")
    task = read_task(task_folder(str(tmp_path)))
    assert task.answer_in("eins. Antwort 1.") == "1"
    assert join(task.transcript("2?", (), SOLUTION)).startswith(
        "Question: 1?\nSolution: eins. Antwort 1.\n\nQuestion: 2?\n"
    )


def test_names_of_ways_are_checked_and_both_readings_of_the_search_come_together() -> None:
    def named(*names: str, second: bool = True) -> list[tuple[str, str]]:
        found = ways(MutualConfig(strategies=names), TASK, second=second)
        return [(strategy.name, strategy.search) for strategy in found]

    assert named("mutual", "few-shot-cot") == [
        ("few-shot-cot", "few-shot-cot"),
        ("generator-majority", "generator"),
        ("mutual", "generator"),
    ]
    assert named("generator-majority", second=False) == [("generator-majority", "generator")]
    assert named("self-consistency@8") == [("self-consistency@8", "self-consistency@8")]
    with pytest.raises(ConfigError, match="discriminator=MODEL"):
        named("mutual", second=False)
    for wrong in ("mutuel", "mutual@4", "self-consistency@0", "few-shot-cot@2"):
        with pytest.raises(ConfigError, match="choose from zero-shot-cot"):
            named(wrong)

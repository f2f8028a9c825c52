"""Which answer is given at test time, and how it is scored."""

import json
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import combinations
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as drawn
from planting import plant

from rstar_math.config import EvaluationConfig, GradingConfig, MutualConfig, ProblemsConfig
from rstar_math.errors import ConfigError, QuestionKills, StageError
from rstar_math.evaluation.choice import choose, solutions
from rstar_math.evaluation.metrics import accuracy, doublings, pass_at
from rstar_math.evaluation.pooled import pool
from rstar_math.evaluation.scores import (
    Scored,
    answer_row,
    draw_metrics,
    every_problem,
    gather_rows,
    read_tree,
    scaling_rows,
    score_metrics,
)
from rstar_math.evaluation.strategies import Strategy, all_readings, possible, strategies
from rstar_math.evaluation.worths import NOT_WEIGHED, Weighed, read_worths, weigh_all, with_worths
from rstar_math.evolution.tally import Tally
from rstar_math.grading import ProcessJudge
from rstar_math.mutual.reading import read_ways
from rstar_math.mutual.ways import ways
from rstar_math.problems import read_problems
from rstar_math.records import Cost, End, Rollout, Tree
from rstar_math.report.scaling import plot_scaling
from rstar_math.scripted import ExactJudge, ScriptedScorer
from rstar_math.search.agreement import alike
from rstar_math.search.task import Task
from rstar_math.text import join

DRAWN = plant("a answer=4\nb answer=5\nc answer=5\nd answer=6")
KNOBS = EvaluationConfig(
    candidates=5, beam_candidates=3, rollouts=4, temperature=0.6, top_p=0.8, depth=7, max_step_tokens=33
)
ITSELF = {answer: answer for answer in ("4", "5", "6")}


def scored(*priors: float, leaves: tuple[int, ...] = (1, 2, 3, 4)) -> Tree:
    nodes = [DRAWN.nodes[0], *(n._replace(prior=p) for n, p in zip(DRAWN.nodes[1:], priors, strict=True))]
    return replace(DRAWN, nodes=tuple(nodes), rollouts=tuple(Rollout(leaf, End.ANSWER, 0.0) for leaf in leaves))


def chosen(tree: Tree, rule: str, top: int = 8, *, drawn: bool = False) -> str | None:
    choice = choose(solutions(tree, drawn=drawn), rule, top, ITSELF, drawn=drawn)
    return choice.answer if choice else None


def one(name: str, knobs: EvaluationConfig = KNOBS, *, guided: bool = True) -> Strategy:
    (strategy,) = strategies([name], knobs, guided=guided)
    return strategy


async def rows_of(trees: Iterable[Tree], strategy: Strategy) -> list[Scored]:
    rows = await gather_rows(trees, partial(read_tree, readings=[strategy], judge=ExactJudge()))
    return rows[strategy.name]


def test_the_best_answer_is_that_of_the_highest_ppm_score() -> None:
    assert chosen(scored(0.9, 0.5, 0.5, -1.0), "best") == "4"


@pytest.mark.parametrize(("top", "answer"), [(1, "4"), (3, "5")])
def test_a_majority_counts_the_top_answers_alone(top, answer) -> None:
    assert chosen(scored(0.9, 0.5, 0.4, -1.0), "majority", top) == answer


def test_a_weighted_majority_weighs_each_vote_by_its_score() -> None:
    assert chosen(scored(0.9, -0.2, 0.0, -1.0), "weighted") == "4"  # 0.95 against 0.4 + 0.5
    assert chosen(scored(0.9, 0.2, 0.0, -1.0), "weighted") == "5"  # 0.95 against 0.6 + 0.5


def test_an_answer_that_no_rollout_reached_is_not_given() -> None:
    assert chosen(scored(0.1, 0.2, 0.3, 0.9, leaves=(1, 2)), "best") == "5"
    assert chosen(replace(DRAWN, rollouts=()), "best") is None


def test_a_majority_of_draws_asks_no_ppm_not_even_in_a_tie() -> None:
    """Where a PPM was asked for another strategy it broke the ties: of two draws the majority was the best of two."""
    tree = scored(0.1, 0.9, 0.0, 0.0, leaves=(1, 2))
    assert chosen(tree, "majority", drawn=True) == "4"
    assert chosen(scored(0.1, 0.9, 0.8, 0.0, leaves=(1, 2, 3)), "majority", 3, drawn=True) == "5"
    assert chosen(tree, "majority", drawn=False) == "5"


def test_a_draw_counts_each_time_and_a_trajectory_of_a_search_once() -> None:
    tree = scored(0.0, 0.0, 0.0, 0.0, leaves=(4, 2, 4, 3, 4))
    assert chosen(tree, "majority", drawn=True) == "6"
    assert chosen(tree, "majority", drawn=False) == "5"


async def test_answers_that_the_judge_finds_the_same_vote_together() -> None:
    class Numbers(ExactJudge):
        async def grade(self, prediction, gold, tolerance=0.0):
            return await super().grade(f"{float(prediction):g}", f"{float(gold):g}", tolerance)

    same = await alike(["4", "5", "5.0", "5.00", "4.5"], Numbers())
    assert same == {"4": "4", "5": "5", "5.0": "5", "5.00": "5", "4.5": "4.5"}


async def test_a_problems_own_tolerance_counts_in_its_score() -> None:
    near = replace(scored(0.9, 0.1, 0.1, 0.1), problem=DRAWN.problem._replace(answer="4.5", tolerance=0.6))
    async with ProcessJudge(GradingConfig()) as judge:
        row = (await read_tree(near, [one("mcts")], judge))["mcts"]
    assert (row.correct, row.right) == (True, 3)


async def test_scores_tell_the_chosen_answer_from_the_oracle() -> None:
    trees = [scored(0.9, 0.1, 0.1, 0.1), scored(0.1, 0.9, 0.1, 0.1), replace(DRAWN, rollouts=())]
    rows = await rows_of(trees, one("mcts"))
    metrics = score_metrics("mcts", rows, resamples=200, seed=0)
    assert metrics["mcts/pass@1"] == pytest.approx(1 / 3)
    assert metrics["mcts/pass@1/level_1/count"] == 3
    assert metrics["mcts/oracle"] == pytest.approx(2 / 3)
    assert metrics["mcts/oracle/low"] < 2 / 3 < metrics["mcts/oracle/high"]
    assert [answer_row("mcts", row)["verdict"] for row in rows] == ["correct", "wrong", "no-answer"]
    assert answer_row("mcts", rows[0])["path"] == [DRAWN.nodes[1].step.text]


async def test_scores_are_told_by_level_and_by_subject(tmp_path) -> None:
    """By subject nothing tested it, from the column of the file on."""
    file = tmp_path / "set.jsonl"
    found = [("1", "Algebra"), ("1", "Geometry"), ("2", "Algebra"), ("2", None)]
    rows = [
        {"problem": f"Is it {number}?", "answer": "4", "level": level, "subject": subject}
        for number, (level, subject) in enumerate(found)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    problems = read_problems(ProblemsConfig(path=str(file)))
    right, wrong = scored(0.9, 0.1, 0.1, 0.1), scored(0.1, 0.9, 0.1, 0.1)
    trees = [replace(tree, problem=one) for tree, one in zip([right, wrong, wrong, right], problems, strict=True)]
    metrics = score_metrics("mcts", await rows_of(trees, one("mcts")), resamples=200, seed=0)
    parts = {
        name.removeprefix("mcts/pass@1/").removesuffix("/count"): (metrics[name.removesuffix("/count")], count)
        for name, count in metrics.items()
        if name.startswith("mcts/pass@1/") and name.endswith("/count")
    }
    assert parts == {
        "count": (0.5, 4),
        "level_1": (0.5, 2),
        "level_2": (0.5, 2),
        "subject_Algebra": (0.5, 2),
        "subject_Geometry": (0.0, 1),
    }
    assert (metrics["mcts/pass@1/subject_Algebra/low"], metrics["mcts/pass@1/subject_Algebra/high"]) == (0.0, 1.0)


async def test_a_problem_without_a_tree_counts_as_not_answered() -> None:
    left_out = DRAWN.problem._replace(id="p2")
    trees = every_problem([scored(0.9, 0.1, 0.1, 0.1)], [DRAWN.problem, left_out])
    rows = await rows_of(trees, one("mcts"))
    assert [(row.problem.id, row.grade.verdict.value) for row in rows] == [("p1", "correct"), ("p2", "no-answer")]


async def test_a_shorter_search_is_read_from_the_first_rollouts_of_a_longer_one() -> None:
    tree = scored(0.9, 0.2, 0.1, -0.5, leaves=(4, 2, 3, 1))  # found in this order: 6, 5, 5, 4; right is 4
    rows = await rows_of([tree], one("mcts"))
    by = {(row["rule"], row["trajectories"]): row["value"] for row in scaling_rows("mcts", [rows], resamples=9, seed=0)}
    assert [by["best", count] for count in (1, 2, 4)] == [0, 0, 1]
    assert [by["majority", count] for count in (1, 2, 4)] == [0, 0, 0]
    assert [by["oracle", count] for count in (1, 2, 4)] == [0, 0, 1]


async def test_what_mutual_reasoning_gets_from_shorter_searches_is_shown_beside_its_generators_majority() -> None:
    """It was worked out for every number of rollouts, and left out of scaling.json and the plot."""
    plan = MutualConfig(strategies=("mutual",), rollouts=4)
    rows = await read_ways(DRAWN, ways(plan, Task("any"), second=True), None, "loose", ExactJudge())
    shown = scaling_rows("generator", [[rows["generator-majority"]], [rows["mutual"]]], resamples=9, seed=0)
    found = [(row["rule"], row["trajectories"]) for row in shown]
    assert sorted(found) == [(rule, count) for rule in ("majority", "mutual", "oracle") for count in (1, 2, 4)]


async def test_a_vote_of_drawn_solutions_asked_no_ppm_and_whoever_did_took_longer() -> None:
    """majority@4 stood in the table with the PPM calls that best-of-n@4 of the same draws had cost, and the latter without
    the seconds of its calls."""
    weighed = {DRAWN.problem.id: Weighed(dict.fromkeys(range(1, 5), 0.5), 2.0)}
    (tree,) = with_worths([scored(0.0, 0.0, 0.0, 0.0)], weighed)
    names = ("majority@4", "best-of-n@4", "weighted-majority@4")
    rows = await read_tree(tree, [one(name) for name in names], ExactJudge(), weighed)
    spent = {name: (rows[name].cost.scores, rows[name].cost.seconds - tree.cost.seconds) for name in names}
    assert spent == {"majority@4": (0, 0.0), "best-of-n@4": (4, 2.0), "weighted-majority@4": (4, 2.0)}


async def test_a_tree_that_kills_the_reward_models_engines_is_set_aside_and_all_others_are_weighed(
    tmp_path, caplog
) -> None:
    """It ended the stage, at every start anew."""

    class Deadly(ScriptedScorer):
        async def score(self, transcripts):
            if "deadly" in join(transcripts[0]):
                raise QuestionKills("a ppm engine died 3 times")
            return await super().score(transcripts)

    tree = scored(0.0, 0.0, 0.0, 0.0)
    deadly = replace(tree, problem=tree.problem._replace(id="bad", question="deadly"))
    file = tmp_path / "worths.jsonl"
    await weigh_all(file, [deadly, tree], Deadly(lambda _: 0.5), lambda _: None)
    found = read_worths(file)
    assert found["bad"] == NOT_WEIGHED
    assert set(found[DRAWN.problem.id].worths.values()) == {0.5}
    assert "bad is set aside, its solutions have no worths: a ppm engine died 3 times" in caplog.text


async def test_pass_at_k_of_draws_has_no_bias() -> None:
    tree = scored(0.0, 0.0, 0.0, 0.0, leaves=(1, 2, 3, 1))  # two of four draws are right
    rows = await rows_of([tree], one("majority@4"))
    metrics = draw_metrics("sample@4", rows, 4, resamples=9, seed=0)
    found = {name: value for name, value in metrics.items() if name.count("/") == 1}
    assert found == pytest.approx({"sample@4/pass@1": 1 / 2, "sample@4/pass@2": 5 / 6, "sample@4/pass@4": 1.0})


async def test_pass_at_k_and_the_oracle_have_intervals_over_the_problems() -> None:
    """They stood beside accuracies with one, and had none."""
    trees = [scored(0.0, 0.0, 0.0, 0.0, leaves=leaves) for leaves in [(1, 2, 3, 1), (2, 3, 4, 2)] * 10]
    rows = await rows_of(trees, one("majority@4"))
    metrics = score_metrics("majority@4", rows, resamples=200, seed=0)
    metrics |= draw_metrics("sample@4", rows, 4, resamples=200, seed=0)
    for name, value in {"majority@4/oracle": 0.5, "sample@4/pass@1": 0.25, "sample@4/pass@2": 5 / 12}.items():
        assert metrics[name] == pytest.approx(value)
        low, high = metrics[f"{name}/low"], metrics[f"{name}/high"]
        assert 0.3 * value < low < value < high < 1.7 * value
        assert metrics[f"{name}/count"] == 20


@settings(deadline=None)
@given(drawn.lists(drawn.booleans(), min_size=1, max_size=8), drawn.data())
def test_pass_at_k_is_the_share_of_all_choices_of_k_draws_with_a_right_one(outcomes, data) -> None:
    k = data.draw(drawn.integers(1, len(outcomes)))
    every = [any(some) for some in combinations(outcomes, k)]
    assert pass_at(k, drawn=len(outcomes), right=sum(outcomes)) == pytest.approx(sum(every) / len(every))


def test_the_interval_holds_the_value_and_narrows_with_more_problems() -> None:
    few, many = (accuracy([True, False] * n, resamples=500, seed=1) for n in (10, 1000))
    assert few.low < 0.5 < few.high
    assert many.high - many.low < (few.high - few.low) / 5


@pytest.mark.parametrize(("right", "low", "high"), [(False, 0.0, 0.1157), (True, 0.8843, 1.0)])
def test_none_of_thirty_right_is_no_proof_that_none_ever_is(right, low, high) -> None:
    """0.0 ± 0.0 stood in the table: a resampling of equal outcomes knows no other."""
    found = accuracy([right] * 30, resamples=100, seed=0)
    assert (found.value, found.low, found.high) == pytest.approx((float(right), low, high), abs=1e-4)


@pytest.mark.parametrize(("limit", "counts"), [(1, [1]), (8, [1, 2, 4, 8]), (12, [1, 2, 4, 8, 12])])
def test_trajectories_are_counted_in_doublings_up_to_all(limit, counts) -> None:
    assert doublings(limit) == counts


def test_an_evaluations_own_limits_hold_for_every_strategy() -> None:
    for name in ("greedy", "majority@3", "beam@3", "mcts@3"):
        plan = one(name).plan
        assert (plan.depth, plan.max_step_tokens) == (7, 33)
    greedy, mcts, beam = (one(name).plan for name in ("greedy", "mcts", "beam@3"))
    assert (greedy.kind, greedy.temperature, greedy.candidates, greedy.rollouts) == ("sample", 0.0, 1, 1)
    assert (mcts.kind, mcts.temperature, mcts.candidates, mcts.rollouts) == ("mcts", 0.6, 5, 4)
    assert (mcts.top_p, mcts.annotation) == (0.8, "ppm")
    assert (beam.kind, beam.candidates, beam.rollouts, beam.annotation) == ("beam", 3, 3, "ppm")


def test_readings_of_the_same_draws_share_one_search() -> None:
    found = readings("majority@8", "mcts")
    of_search = ["mcts", "mcts-majority", "mcts-weighted"]
    assert [each.name for each in found] == ["majority@8", "weighted-majority@8", "best-of-n@8", *of_search]
    assert [each.search for each in found] == ["sample@8"] * 3 + ["mcts"] * 3
    assert len({each.plan for each in found}) == 2
    assert [(each.rule, each.top) for each in found[3:]] == [("best", 8), ("majority", 8), ("weighted", 8)]
    alone = readings("majority@8", guided=False)
    assert [(each.name, each.search, each.plan) for each in alone] == [("majority@8", "sample@8", found[0].plan)]
    assert [each.scored for each in (*alone, found[0], one("greedy"))] == [False, True, False]


def test_a_strategy_that_is_written_in_two_ways_is_one() -> None:
    """In a round's scores each of its answers stood twice."""
    assert [found.name for found in strategies(["majority@4", "majority@04", "majority"], KNOBS, guided=False)] == [
        "majority@4"
    ]


def test_a_search_is_read_alike_whichever_of_its_readings_was_asked_for() -> None:
    expected = readings("majority@4")
    for names in (("best-of-n@4",), ("majority",), ("best-of-n@04", "majority")):
        assert readings(*names) == expected
    assert readings("mcts-majority@8") == readings("mcts@08")


def readings(*names: str, guided: bool = True) -> list[Strategy]:
    return all_readings(strategies(names, KNOBS, guided=guided), KNOBS)


@pytest.mark.parametrize("name", ["gredy", "majority@0", "majority@many", "greedy@4", ""])
def test_a_strategy_that_is_none_is_refused_with_those_there_are(name) -> None:
    with pytest.raises(ConfigError, match=r"choose from greedy .*majority .*mcts"):
        one(name)


def test_a_strategy_that_needs_a_ppm_says_so() -> None:
    with pytest.raises(ConfigError, match="best-of-n@4 needs a PPM; name one with ppm=FOLDER"):
        one("best-of-n@4", guided=False)
    assert possible(["greedy", "mcts@4", "majority"], guided=False) == ["greedy", "majority"]


def leave_scores(folder, verdicts, **problem) -> None:
    folder.mkdir(parents=True)
    about = {"level": "", "subject": ""} | problem
    rows = [
        {"id": name, "strategy": "mcts", "verdict": verdict, "right": int(verdict == "correct")} | about
        for name, verdict in verdicts.items()
    ]
    (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    costs = ("undecided", "tokens_a_problem", "ppm_calls_a_problem", "executions_a_problem", "seconds_a_problem")
    right = sum(verdict == "correct" for verdict in verdicts.values()) / len(verdicts)
    metrics = {"mcts/pass@1": right, **{f"mcts/{cost}": right for cost in costs}}
    (folder / "metrics.json").write_text(json.dumps(metrics))


def test_seeds_are_pooled_problem_by_problem(tmp_path) -> None:
    leave_scores(tmp_path / "seed-0", {"a": "correct", "b": "wrong"})
    leave_scores(tmp_path / "seed-1", {"a": "correct", "b": "correct"})
    (row,) = pool("gsm8k", [tmp_path / "seed-0", tmp_path / "seed-1"], resamples=200, seed=0)
    assert (row["pass@k"], row["parts"]) == ({}, {})
    assert (row["value"], row["problems"], row["seeds"], row["oracle"]) == (0.75, 2, [0.5, 1.0], 0.75)
    assert (row["low"], row["high"]) == (row["oracle/low"], row["oracle/high"]) == (0.5, 1.0)


def test_parts_are_pooled_problem_by_problem_with_their_intervals(tmp_path) -> None:
    """Their values were averaged over the seeds, and the intervals that each seed had were lost."""
    leave_scores(tmp_path / "seed-0", {"a": "correct", "b": "wrong"}, level="3", subject="Algebra")
    leave_scores(tmp_path / "seed-1", {"a": "correct", "b": "correct"}, level="3", subject="Algebra")
    (row,) = pool("gsm8k", [tmp_path / "seed-0", tmp_path / "seed-1"], resamples=200, seed=0)
    whole = {"value": 0.75, "low": 0.5, "high": 1.0, "problems": 2}
    assert row["parts"] == {"level_3": whole, "subject_Algebra": whole}


async def test_pass_at_k_and_the_accuracy_by_level_are_pooled_over_the_seeds_too(tmp_path) -> None:
    """They stood in each seed's metrics and not in those of the whole evaluation."""
    trees = [scored(0.0, 0.0, 0.0, 0.0, leaves=leaves) for leaves in [(1, 2, 3, 1), (2, 3, 4, 1)]]
    for seed, tree in enumerate(trees):  # two of four draws are right, then one
        reading = one("majority@4")
        rows = await rows_of([tree], reading)
        metrics = score_metrics("majority@4", rows, resamples=9, seed=0)
        metrics |= draw_metrics("sample@4", rows, 4, resamples=9, seed=0)
        folder = tmp_path / f"seed-{seed}"
        folder.mkdir()
        (folder / "metrics.json").write_text(json.dumps(metrics))
        (folder / "answers.jsonl").write_text(json.dumps(answer_row("majority@4", rows[0])) + "\n")
    (row,) = pool("gsm8k", [tmp_path / "seed-0", tmp_path / "seed-1"], resamples=9, seed=0)
    found = {k: share["value"] for k, share in row["pass@k"].items()}
    assert found == pytest.approx({"1": 3 / 8, "2": (5 / 6 + 1 / 2) / 2, "4": 1.0})
    assert row["pass@k"]["1"] == {"value": 3 / 8, "low": 3 / 8, "high": 3 / 8, "problems": 1}
    assert row["parts"] == {"level_1": {key: row[key] for key in ("value", "low", "high", "problems")}}


def test_what_has_one_trajectory_alone_is_not_plotted(tmp_path) -> None:
    folder = tmp_path / "greedy"
    folder.mkdir()
    row = {"search": "greedy", "rule": "majority", "trajectories": 1, "value": 0.5}
    (folder / "scaling.json").write_text(json.dumps([row]))
    assert not plot_scaling(tmp_path / "plot.svg", {"gsm8k": [folder]})
    (folder / "scaling.json").write_text(json.dumps([row, {**row, "trajectories": 2}]))
    assert plot_scaling(tmp_path / "plot.svg", {"gsm8k": [folder]})
    assert "greedy, majority" in (tmp_path / "plot.svg").read_text()
    (folder / "scaling.json").write_text("[]")
    assert not plot_scaling(tmp_path / "plot.svg", {"gsm8k": [folder]})
    assert not (tmp_path / "plot.svg").exists()  # what an earlier command asked for is not shown as this one's


def test_problems_that_leave_the_policy_no_room_are_told_of_and_not_just_wrong() -> None:
    """A few-shot prompt longer than a small model's context gave a table of zeros, without a word."""
    bar = SimpleNamespace(total=0, found=lambda _: None, advance=lambda _, **__: None)
    said: list[str] = []
    tally = Tally(bar, graded=False)  # type: ignore[arg-type]
    silent = plant("")
    uncounted = plant("dead q=-1 n=1 code=1")  # a server that counts no tokens
    for trees in ([silent], [silent, silent], [uncounted], [silent, uncounted]):
        tally.hear(trees, trees == [silent], 0)
    tally.say_what_is_wrong(said.append)
    assert len(said) == 1 and said[0].startswith("For 2 of 4 problems the policy generated nothing,")
    Tally(bar, graded=False).say_what_is_wrong(said.append)  # type: ignore[arg-type]
    assert len(said) == 1


def test_a_policy_that_never_writes_a_step_ends_its_search_early_with_the_way_out() -> None:
    """It went on through four rounds, for every rollout of every problem, and taught nothing."""
    bar = SimpleNamespace(total=0, found=lambda _: None, advance=lambda _, **__: None)
    said: list[str] = []
    nothing = replace(plant(""), cost=Cost(tokens=8000))
    for others, fails in ((64, True), (63, False)):
        tally = Tally(bar, graded=True)  # type: ignore[arg-type]
        if not fails:
            tally.hear([DRAWN], False, 0)
        with pytest.raises(StageError, match=r"not one step.*policy\.few_shot=FILE") if fails else nullcontext():
            for _ in range(others):
                tally.hear([nothing], False, 0)
        tally.say_what_is_wrong(said.append)
    assert len(said) == 1 and said[0].startswith("For all 64 problems the policy wrote not one step")
    blind = Tally(bar, graded=False)  # type: ignore[arg-type]
    for _ in range(100):  # an evaluation has its table all the same
        blind.hear([nothing], False, 0)


def test_what_comes_next_is_not_begun_for_trees_that_an_earlier_start_grew() -> None:
    """A start that found almost all trees grown began the training's ranks before Ray, and the training failed of it."""
    begun: list[str] = []
    bar = SimpleNamespace(found=lambda _: None, advance=lambda _, **__: None, total=2, done=2)
    tally = Tally(bar, graded=True, near_the_end=partial(begun.append, "ranks"))  # type: ignore[arg-type]
    tally.hear([plant("a answer=4")], True, 0)
    assert begun == []
    tally.hear([plant("a answer=4")], False, 0)
    tally.hear([plant("a answer=4")], False, 0)
    assert begun == ["ranks"]


def test_the_disk_is_looked_at_while_any_trees_grow() -> None:
    """Only those of a round's own search were; an evaluation filled the disk unannounced."""
    looked: list[tuple[int, int]] = []
    room = SimpleNamespace(look=lambda done, total: looked.append((done, total)))
    bar = SimpleNamespace(found=lambda _: None, advance=lambda _, **__: None, total=3, done=2)
    Tally(bar, graded=False, room=room).hear([plant("a answer=4")], False, 0)  # type: ignore[arg-type]
    assert looked == [(2, 3)]

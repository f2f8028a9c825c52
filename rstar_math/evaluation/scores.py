"""trees grown without the ground truth -> rows and metrics.

The only place of an evaluation where the ground truth is looked at: a choice is made of answers and PPM scores alone,
whatever each answer is graded. Trees are read one by one; what is kept of each is small.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from rstar_math.evaluation.choice import Choice, Rule, choose, solutions
from rstar_math.evaluation.metrics import accuracy, doublings, pass_at
from rstar_math.evaluation.strategies import Strategy
from rstar_math.evaluation.worths import NOT_WEIGHED, Weighed
from rstar_math.ports import Judge
from rstar_math.records import Cost, Grade, Node, Problem, Step, Tree, Verdict, mean
from rstar_math.search.agreement import alike
from rstar_math.together import in_order

#: Trees whose answers are compared and graded at the same time, and that are in memory.
_AT_ONCE = 64
_UNSCORED: tuple[Rule, ...] = ("majority",)
_SCORED: tuple[Rule, ...] = ("best", "majority", "weighted")
_NO_ANSWER = Grade(Verdict.NO_ANSWER, "no rollout reached an answer")


class Scored(NamedTuple):
    """One problem's outcome.

    choice, path, grade: what was answered, along which steps, and whether it is right.
    right: rollouts with a right answer; an answer that search came back to counts once.
    by_count: (rule, rollouts) -> whether the answer would have been right after so many rollouts; "oracle": whether some was.
    """

    problem: Problem
    cost: Cost
    choice: Choice | None
    path: tuple[str, ...]
    grade: Grade
    right: int
    by_count: Mapping[tuple[str, int], bool]

    @property
    def correct(self) -> bool:
        """Whether the chosen answer is right."""
        return self.grade.verdict is Verdict.CORRECT


def every_problem(trees: Iterable[Tree], problems: Iterable[Problem]) -> Iterator[Tree]:
    """The trees, then one without any rollout for each problem that has none: it was not answered, and counts so."""
    seen = set()
    for tree in trees:
        seen.add(tree.problem.id)
        yield tree
    root = Node(-1, Step(""), 0, 0.0)
    yield from (Tree(problem, 0, (root,), ()) for problem in problems if problem.id not in seen)


async def gather_rows(
    trees: Iterable[Tree],
    read: Callable[[Tree], Awaitable[Mapping[str, Scored]]],
    on_read: Callable[[int], object] = lambda _: None,
) -> dict[str, list[Scored]]:
    """Every tree, read by `read` (strategy's name -> its row): strategy's name -> the rows in the trees' order."""
    rows: dict[str, list[Scored]] = {}
    async with aclosing(in_order(trees, read, _AT_ONCE)) as found:
        async for own in found:
            for name, scored in own.items():
                rows.setdefault(name, []).append(scored)
            on_read(1)
    return rows


async def read_tree(
    tree: Tree, readings: Sequence[Strategy], judge: Judge, weighed: Mapping[str, Weighed] = MappingProxyType({})
) -> dict[str, Scored]:
    """One tree, read by every strategy. `weighed`, by the problem's id: what a reward model took to look at drawn solutions,
    which whoever goes by it has spent as well."""
    same, grades = await look_at_answers(tree, judge)
    looked_at = replace(tree, cost=weighed.get(tree.problem.id, NOT_WEIGHED).added_to(tree.cost))
    return {
        strategy.name: _read(looked_at if strategy.asks_afterwards else tree, strategy, same, grades)
        for strategy in readings
    }


async def look_at_answers(tree: Tree, judge: Judge) -> tuple[dict[str, str], dict[str, Grade]]:
    """Which of the tree's answers mean the same, and what each of them is graded."""
    answers = dict.fromkeys(found.answer for found in solutions(tree, drawn=False))
    same = await alike(answers, judge)
    gold, tolerance = tree.problem.answer, tree.problem.tolerance
    return same, {answer: await judge.grade(answer, gold, tolerance) for answer in answers}


def _read(tree: Tree, strategy: Strategy, same: Mapping[str, str], grades: Mapping[str, Grade]) -> Scored:
    def is_right(choice: Choice | None) -> bool:
        return choice is not None and grades[choice.answer].verdict is Verdict.CORRECT

    found = solutions(tree, drawn=strategy.drawn)
    choice = choose(found, strategy.rule, strategy.top, same, drawn=strategy.drawn)
    by_count: dict[tuple[str, int], bool] = {}
    for count in doublings(strategy.plan.rollouts) if strategy.plan.kind != "beam" else ():
        early = solutions(tree, drawn=strategy.drawn, first=count)
        rules = _SCORED if strategy.scored else _UNSCORED
        by_count |= {
            (rule, count): is_right(choose(early, rule, strategy.top, same, drawn=strategy.drawn)) for rule in rules
        }
        by_count["oracle", count] = any(map(is_right, early))
    return grade_choice(tree, choice, grades, by_count, drawn=strategy.drawn)


def grade_choice(
    tree: Tree,
    choice: Choice | None,
    grades: Mapping[str, Grade],
    by_count: Mapping[tuple[str, int], bool],
    *,
    drawn: bool = False,
) -> Scored:
    """The row of a choice that was made; `grades` has every answer of the tree."""
    found = solutions(tree, drawn=drawn)
    return Scored(
        tree.problem,
        tree.cost,
        choice,
        tuple(step.text for step in tree.steps(choice.leaf)) if choice else (),
        grades[choice.answer] if choice else _NO_ANSWER,
        sum(grades[each.answer].verdict is Verdict.CORRECT for each in found),
        by_count,
    )


def score_metrics(strategy: str, scored: Sequence[Scored], *, resamples: int, seed: int) -> dict[str, float]:
    """`STRATEGY/pass@1` with its 95% interval, by level and subject too; the oracle, with its own; what nobody could
    decide; the cost."""
    metrics: dict[str, float] = {}
    for part, rows in _parts(scored).items():
        share = accuracy([row.correct for row in rows], resamples=resamples, seed=seed)
        metrics |= share.named(f"{strategy}/pass@1{part}")
    oracle = accuracy([row.right > 0 for row in scored], resamples=resamples, seed=seed)
    metrics |= oracle.named(f"{strategy}/oracle")
    metrics[f"{strategy}/undecided"] = sum(row.choice is not None and not row.grade.verdict.decided for row in scored)
    for name, cost in (
        ("tokens", "tokens"),
        ("ppm_calls", "scores"),
        ("executions", "executions"),
        ("seconds", "seconds"),
    ):
        metrics[f"{strategy}/{name}_a_problem"] = mean(
            [getattr(row.cost, cost) for row in scored if row.cost.expansions]
        )
    return metrics


def _parts(scored: Sequence[Scored]) -> dict[str, list[Scored]]:
    """All rows, then those of each level and subject, under the ends of their metrics' names."""
    parts: dict[str, list[Scored]] = {"": list(scored)}
    for row in sorted(scored, key=lambda row: (row.problem.level, row.problem.subject)):
        for kind, name in (("level", row.problem.level), ("subject", row.problem.subject)):
            if name:
                parts.setdefault(f"/{kind}_{name}", []).append(row)
    return parts


def draw_metrics(search: str, scored: Sequence[Scored], drawn: int, *, resamples: int, seed: int) -> dict[str, float]:
    """`SEARCH/pass@k` of `drawn` solutions drawn independently, with its 95% interval, for k = 1, 2, 4, … up to all."""
    metrics: dict[str, float] = {}
    for k in doublings(drawn):
        chances = [pass_at(k, drawn=drawn, right=row.right) for row in scored]
        metrics |= accuracy(chances, resamples=resamples, seed=seed).named(f"{search}/pass@{k}")
    return metrics


def scaling_rows(
    search: str, readings: Sequence[Sequence[Scored]], *, resamples: int, seed: int
) -> list[dict[str, Any]]:
    """Accuracy after 1, 2, 4, … rollouts of the same trees, by each rule of choice that one of the readings knows."""
    found: dict[tuple[str, int], Sequence[Scored]] = {}
    for scored in readings:
        for key in scored[0].by_count if scored else ():
            found.setdefault(key, scored)
    rows = []
    for (rule, count), scored in found.items():
        share = accuracy([row.by_count[rule, count] for row in scored], resamples=resamples, seed=seed)
        rows.append({"search": search, "rule": rule, "trajectories": count, **share._asdict()})
    return rows


def answer_row(strategy: str, scored: Scored) -> dict[str, Any]:
    """One line of `answers.jsonl`: what was answered, what it should have been, and along which path. `right`: rollouts with
    a right answer, chosen or not."""
    return {
        "id": scored.problem.id,
        "level": scored.problem.level,
        "subject": scored.problem.subject,
        "strategy": strategy,
        "answer": scored.choice.answer if scored.choice else None,
        "gold": scored.problem.answer,
        "verdict": scored.grade.verdict.value,
        "reason": scored.grade.reason,
        "score": scored.choice.score if scored.choice else None,
        "right": scored.right,
        "path": list(scored.path),
    }

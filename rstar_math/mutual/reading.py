"""trees and a second model's verdicts -> rows: what was answered, and was it right?

The ground truth is looked at here alone, after every choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rstar_math.evaluation.choice import solutions
from rstar_math.evaluation.metrics import doublings
from rstar_math.evaluation.scores import Scored, grade_choice, score_trees
from rstar_math.evaluation.strategies import Strategy
from rstar_math.mutual.choice import choose_consistent
from rstar_math.mutual.discriminator import Judged
from rstar_math.ports import Judge
from rstar_math.records import Tree, Verdict
from rstar_math.search.agreement import alike


async def read_ways(
    trees: Iterable[Tree], readings: Sequence[Strategy], judged: Mapping[str, Judged], agreement: str, judge: Judge
) -> dict[str, list[Scored]]:
    """Every tree, read by every strategy: strategy's name -> a row a problem."""
    alone = [strategy for strategy in readings if strategy.name != "mutual"]
    together = [strategy for strategy in readings if strategy.name == "mutual"]
    rows: dict[str, list[Scored]] = {strategy.name: [] for strategy in readings}
    for tree in trees:
        for name, scored in (await score_trees([tree], alone, judge)).items():
            rows[name] += scored
        for strategy in together:
            rows[strategy.name].append(await _read(tree, strategy, judged.get(tree.problem.id), agreement, judge))
    return rows


async def _read(tree: Tree, strategy: Strategy, judged: Judged | None, agreement: str, judge: Judge) -> Scored:
    consistent = judged.consistent(agreement) if judged else []
    answers = [found.answer for found in solutions(tree, drawn=False)]
    same = await alike(answers, judge)
    gold, tolerance = tree.problem.answer, tree.problem.tolerance
    grades = {answer: await judge.grade(answer, gold, tolerance) for answer in dict.fromkeys(answers)}
    by_count: dict[tuple[str, int], bool] = {}
    for count in doublings(strategy.plan.rollouts):
        early = choose_consistent(tree, consistent, same, count)
        by_count["mutual", count] = early is not None and grades[early.answer].verdict is Verdict.CORRECT
    cost = replace(tree.cost, tokens=tree.cost.tokens + (judged.tokens if judged else 0))
    return grade_choice(replace(tree, cost=cost), choose_consistent(tree, consistent, same), grades, by_count)

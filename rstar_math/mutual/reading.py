"""trees and a second model's verdicts -> rows: what was answered, and was it right?

The ground truth is looked at here alone, and no choice sees what it says.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from rstar_math.evaluation.metrics import doublings
from rstar_math.evaluation.scores import Scored, grade_choice, look_at_answers, read_tree
from rstar_math.evaluation.strategies import Strategy
from rstar_math.mutual.choice import choose_consistent
from rstar_math.mutual.discriminator import Judged
from rstar_math.ports import Judge
from rstar_math.records import Tree, Verdict


async def read_ways(
    tree: Tree, readings: Sequence[Strategy], judged: Judged | None, agreement: str, judge: Judge
) -> dict[str, Scored]:
    """One tree, read by every strategy: its name -> the row. `judged`: what the second model said, if it was asked."""
    alone = [strategy for strategy in readings if strategy.name != "mutual"]
    rows = await read_tree(tree, alone, judge)
    for strategy in readings:
        if strategy.name == "mutual":
            consistent = judged.consistent(agreement) if judged else []
            whole = replace(tree, cost=judged.cost.added_to(tree.cost)) if judged else tree
            rows["mutual"] = await _read(whole, strategy, consistent, judge)
    return rows


async def _read(tree: Tree, strategy: Strategy, consistent: Collection[int], judge: Judge) -> Scored:
    same, grades = await look_at_answers(tree, judge)
    by_count: dict[tuple[str, int], bool] = {}
    for count in doublings(strategy.plan.rollouts):
        early = choose_consistent(tree, consistent, same, count)
        by_count["mutual", count] = early is not None and grades[early.answer].verdict is Verdict.CORRECT
    return grade_choice(tree, choose_consistent(tree, consistent, same), grades, by_count)

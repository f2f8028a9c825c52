"""trees -> what a second model made of them, kept problem by problem.

Who judges, and how, stands in `discriminator`; a row's form is known here alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rstar_math.errors import QuestionKills
from rstar_math.evaluation.kept import Row, keep_all
from rstar_math.lines import read_lines
from rstar_math.mutual.discriminator import Completion, Discriminator, Judged, Spent
from rstar_math.records import Tree

_log = logging.getLogger(__name__)
#: Trees at once: each asks for several completions of each of its trajectories, together some hundreds.
_AT_ONCE = 16


async def judge_all(
    file: Path, trees: Iterable[Tree], discriminator: Discriminator, on_judged: Callable[[int], object]
) -> dict[str, Judged]:
    """Problem's id -> the verdicts on its trajectories; `on_judged` hears of every tree. One that kills the second model's
    engines has no verdicts."""

    async def judge(tree: Tree) -> Row:
        blind = replace(tree, problem=tree.problem._replace(answer="", tolerance=0.0))
        try:
            judged = await discriminator.judge(blind)
        except QuestionKills as error:
            _log.warning(
                "%s is set aside, the second model judges none of its trajectories: %s", tree.problem.id, error
            )
            return {"cost": Spent(0, 0, 0.0)._asdict(), "completions": {}, "cause": str(error)}
        completions = {str(leaf): [each._asdict() for each in own] for leaf, own in judged.completions.items()}
        return {"cost": judged.cost._asdict(), "completions": completions}

    return {name: _judged(row) for name, row in (await keep_all(file, trees, judge, on_judged, _AT_ONCE)).items()}


def read_judged(file: Path) -> dict[str, Judged]:
    """What `judge_all` wrote."""
    return {row["id"]: _judged(row) for row in read_lines(file)}


def _judged(row: Mapping[str, Any]) -> Judged:
    completions = {int(leaf): [Completion(**each) for each in own] for leaf, own in row["completions"].items()}
    return Judged(row["id"], completions, Spent(**row["cost"]))

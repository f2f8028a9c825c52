"""drawn solutions -> what a reward model says each of them is worth.

Solutions are drawn once; any number of reward models can look at them afterwards, and are compared on the same ones.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rstar_math import text
from rstar_math.errors import QuestionKills
from rstar_math.evaluation.choice import solutions
from rstar_math.evaluation.kept import Row, keep_all
from rstar_math.lines import read_lines
from rstar_math.ports import Scorer
from rstar_math.records import Cost, Tree

_log = logging.getLogger(__name__)


class Weighed(NamedTuple):
    """The last node of each solution of a tree -> its worth; and how long the answer took."""

    worths: Mapping[int, float]
    seconds: float

    def added_to(self, cost: Cost) -> Cost:
        """What the tree cost and this together."""
        return replace(cost, scores=cost.scores + len(self.worths), seconds=cost.seconds + self.seconds)


NOT_WEIGHED = Weighed({}, 0.0)


async def weigh_all(file: Path, trees: Iterable[Tree], scorer: Scorer, on_weighed: Callable[[int], object]) -> None:
    """Every solution of every tree, equal ones once. A tree that kills the reward model's engines has no worths."""

    async def row_of(tree: Tree) -> Row:
        try:
            weighed = await weigh(tree, scorer)
        except QuestionKills as error:
            _log.warning("%s is set aside, its solutions have no worths: %s", tree.problem.id, error)
            return {"worths": {}, "seconds": 0.0, "cause": str(error)}
        return {"worths": {str(leaf): worth for leaf, worth in weighed.worths.items()}, "seconds": weighed.seconds}

    await keep_all(file, trees, row_of, on_weighed)


async def weigh(tree: Tree, scorer: Scorer) -> Weighed:
    """All solutions of a tree in one batch."""
    started = time.perf_counter()
    leaves = [choice.leaf for choice in solutions(tree, drawn=False)]
    asked = [text.transcript(tree.problem.question, tree.steps(leaf), for_next=False) for leaf in leaves]
    worths = dict(zip(leaves, await scorer.score(asked) if asked else [], strict=True))
    return Weighed(worths, time.perf_counter() - started)


def read_worths(file: Path) -> dict[str, Weighed]:
    """What `weigh_all` wrote, by the problem's id."""
    return {
        row["id"]: Weighed({int(leaf): worth for leaf, worth in row["worths"].items()}, row["seconds"])
        for row in read_lines(file)
    }


def with_worths(trees: Iterable[Tree], weighed: Mapping[str, Weighed]) -> Iterator[Tree]:
    """The trees, the solutions' worths at their last nodes, as if the search had asked for them."""
    for tree in trees:
        own = weighed.get(tree.problem.id, NOT_WEIGHED).worths
        nodes = [node._replace(prior=own[index]) if index in own else node for index, node in enumerate(tree.nodes)]
        yield replace(tree, nodes=tuple(nodes))

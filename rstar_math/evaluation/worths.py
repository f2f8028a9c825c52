"""drawn solutions -> what a reward model says each of them is worth.

Solutions are drawn once; any number of reward models can look at them afterwards, and are compared on the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from rstar_math import text
from rstar_math.evaluation.choice import solutions
from rstar_math.evaluation.kept import Row, keep_all
from rstar_math.lines import read_lines
from rstar_math.ports import Scorer
from rstar_math.records import Tree


async def weigh_all(file: Path, trees: Iterable[Tree], scorer: Scorer, on_weighed: Callable[[int], object]) -> None:
    """Every solution of every tree, equal ones once."""

    async def row_of(tree: Tree) -> Row:
        return {"worths": {str(leaf): worth for leaf, worth in (await weigh(tree, scorer)).items()}}

    await keep_all(file, trees, row_of, on_weighed)


async def weigh(tree: Tree, scorer: Scorer) -> dict[int, float]:
    """The last node of each solution of a tree -> its worth; in one batch."""
    leaves = [choice.leaf for choice in solutions(tree, drawn=False)]
    asked = [text.transcript(tree.problem.question, tree.steps(leaf), for_next=False) for leaf in leaves]
    return dict(zip(leaves, await scorer.score(asked) if asked else [], strict=True))


def read_worths(file: Path) -> dict[str, dict[int, float]]:
    """Problem's id -> the last node of a solution -> its worth."""
    return {row["id"]: {int(leaf): worth for leaf, worth in row["worths"].items()} for row in read_lines(file)}


def with_worths(trees: Iterable[Tree], worths: Mapping[str, Mapping[int, float]]) -> Iterator[Tree]:
    """The trees, the solutions' worths at their last nodes, as if the search had asked for them."""
    for tree in trees:
        own = worths.get(tree.problem.id, {})
        nodes = [node._replace(prior=own[index]) if index in own else node for index, node in enumerate(tree.nodes)]
        cost = replace(tree.cost, scores=tree.cost.scores + len(own))
        yield replace(tree, nodes=tuple(nodes), cost=cost)

"""tree -> the same tree with whole solutions drawn from the policy, each by itself.

What majority voting and best-of-n read, and greedy decoding with one draw at temperature 0. Solutions that begin alike share
their nodes: equal steps are generated, run and scored once, and a rollout a solution keeps count. It chooses nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

from rstar_math.config import SearchConfig
from rstar_math.records import End
from rstar_math.rng import stream
from rstar_math.search.expansion import STEPS, Doors, Moves
from rstar_math.search.tree import GrowingTree


async def sample(tree: GrowingTree, rollouts: int, doors: Doors, plan: SearchConfig, moves: Moves = STEPS) -> None:
    """Draws `rollouts` solutions into an empty tree; a step whose code does not run ends its solution without an answer.

    Drawing `m` next steps after a path that `m` solutions share is the same as drawing one for each of them.
    """
    open_paths, ended = Counter({0: rollouts}), Counter[tuple[int, End]]()
    while open_paths:
        nodes = list(open_paths)
        grown = await asyncio.gather(*(moves.expand(tree, node, doors, plan, open_paths[node]) for node in nodes))
        following: Counter[int] = Counter()
        for node, children in zip(nodes, grown, strict=True):
            ended[node, End.DEAD_END] += open_paths[node] - children.total()
            for child, times in children.items():
                if tree.nodes[child].answer is not None:
                    ended[child, End.ANSWER] += times
                elif tree.nodes[child].depth == plan.depth:
                    ended[child, End.DEPTH] += times
                else:
                    following[child] += times
        open_paths = following
    for leaf, end in _shuffled(ended, stream(tree.seed, "sample")):
        tree.back_up(leaf, end, await moves.value(tree, leaf, end, doors))


def _shuffled(ended: Counter[tuple[int, End]], draw: Random) -> list[tuple[int, End]]:
    """In an order that knows nothing of how they end, so that the first few stand for a smaller draw."""
    solutions = list(ended.elements())
    draw.shuffle(solutions)
    return solutions

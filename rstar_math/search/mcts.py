"""tree -> the same tree with more rollouts: how does search find a solution?

Monte Carlo tree search over steps (paper §3.2): select by UCT, expand with the policy, keep only what runs, value the end,
back it up. It does not decide which problems are searched, nor what is learnt from their trees.
"""

from __future__ import annotations

import asyncio

from rstar_math.config import SearchConfig
from rstar_math.records import End
from rstar_math.rng import stream
from rstar_math.search.expansion import STEPS, Doors, Moves
from rstar_math.search.tree import GrowingTree, choose
from rstar_math.together import together


async def mcts(tree: GrowingTree, rollouts: int, doors: Doors, plan: SearchConfig, moves: Moves = STEPS) -> None:
    """Adds rollouts until the tree has `rollouts` of them, `plan.descents` of them under way at once."""
    numbers = iter(range(len(tree.rollouts), rollouts))

    async def descents() -> None:
        for number in numbers:
            leaf, end = await _descend(tree, number, doors, plan, moves)
            tree.back_up(leaf, end, await moves.value(tree, leaf, end, doors))

    if plan.descents == 1:
        await descents()
        return
    await together(descents() for _ in range(plan.descents))


async def _descend(tree: GrowingTree, number: int, doors: Doors, plan: SearchConfig, moves: Moves) -> tuple[int, End]:
    """Selection and expansion from the root down to where rollout `number` ends.

    Every node on the way counts one visit that lost (virtual loss) until the rollout is backed up, so that descents at the
    same time spread out.
    """
    index = 0
    while True:
        node = tree.nodes[index]
        node.pending += 1
        if node.answer is not None:
            return index, End.ANSWER
        if node.depth == plan.depth:
            return index, End.DEPTH
        while node.children is None:
            await _expand_once(tree, index, doors, plan, moves)
        if not node.children:
            if index == 0 or node.step.output is not None:
                # Asked again at the next visit: below a root where nothing ran there is nowhere else to go, and where the
                # code has ended only the words of its answer were at fault.
                node.children = None
            return index, End.DEAD_END
        draw = stream(tree.seed, "select", number, node.depth)
        index = choose(tree, node.children, plan.exploration, plan.unvisited, draw)


async def _expand_once(tree: GrowingTree, index: int, doors: Doors, plan: SearchConfig, moves: Moves) -> None:
    """Expands a node, or waits for the descent that is doing so."""
    if index in tree.expanding:
        await tree.expanding[index].wait()
        return
    tree.expanding[index] = done = asyncio.Event()
    try:
        await moves.expand(tree, index, doors, plan, None)
    finally:
        del tree.expanding[index]
        done.set()

"""tree -> the same tree grown level by level, the best few paths only.

Step beam search: every open path of the beam is expanded, the PPM scores all children, and the `width` best go on. It needs
a PPM. It never turns back, which is what MCTS adds.
"""

from __future__ import annotations

import asyncio

from rstar_math.config import SearchConfig
from rstar_math.records import End
from rstar_math.search.expansion import Doors, expand, value
from rstar_math.search.tree import GrowingTree


async def beam(tree: GrowingTree, width: int, doors: Doors, plan: SearchConfig) -> None:
    """Grows an empty tree with a beam of `width` paths, `plan.candidates` next steps each.

    A finished solution keeps its place among the `width` best as long as it is one of them, and is a rollout in any
    case: nothing that was finished is lost. It ends when no open path is left among the best.
    """
    beamed, ended = [0], dict[int, End]()
    while open_paths := [node for node in beamed if node not in ended]:
        await asyncio.gather(*(expand(tree, node, doors, plan) for node in open_paths))
        children = [child for node in open_paths for child in tree.nodes[node].children or ()]
        for node in open_paths:
            if not tree.nodes[node].children:
                ended[node] = End.DEAD_END
        for child in children:
            if tree.nodes[child].answer is not None:
                ended[child] = End.ANSWER
            elif tree.nodes[child].depth == plan.depth:
                ended[child] = End.DEPTH
        finished = [node for node in beamed if ended.get(node) is End.ANSWER]
        alive = [child for child in children if ended.get(child) is not End.DEPTH]
        beamed = sorted([*finished, *alive], key=lambda node: -(tree.nodes[node].prior or 0.0))[:width]
    for leaf, end in ended.items():
        tree.back_up(leaf, end, await value(tree, leaf, end, doors))

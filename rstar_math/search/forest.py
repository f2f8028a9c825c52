"""problem -> trees: everything that one problem's search grows.

Every problem is its own coroutine, so none waits for another. Which search it is (`SEARCHES`) stands in the plan; a new one
is a new file and a line here.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

from rstar_math.config import SearchConfig
from rstar_math.records import Problem, Tree
from rstar_math.rng import derive
from rstar_math.search.actions import ACTION_SEARCHES
from rstar_math.search.beam import beam
from rstar_math.search.expansion import Doors
from rstar_math.search.mcts import mcts
from rstar_math.search.sampling import sample
from rstar_math.search.tree import GrowingTree

#: Grows a tree until it has so many rollouts (of a beam: so many paths at once).
Search = Callable[[GrowingTree, int, Doors, SearchConfig], Awaitable[None]]
SEARCHES: Mapping[str, Search] = {"mcts": mcts, "sample": sample, "beam": beam, **ACTION_SEARCHES}


async def grow(problem: Problem, doors: Doors, plan: SearchConfig, seed: int) -> list[Tree]:
    """All trees of one problem under a round's plan.

    A problem that no trajectory solved (a hard one) goes on to the totals in `plan.escalate_to`; one that is still unsolved
    then gets another tree with another seed, up to `plan.trees` (paper §3.4). Without a judge nothing counts as unsolved. A
    synthetic problem stops where right ones after so many wrong ones could not make up `plan.noise_threshold` of all: it
    would be dropped as one with a wrong label whatever they cost (the noise filter, `harvest.crop`).
    """
    search = SEARCHES[plan.kind]
    trees: list[Tree] = []
    wrong = 0
    for number in range(plan.trees):
        started = time.perf_counter()
        tree = GrowingTree(problem, derive(seed, problem.id, number))
        for total in (plan.rollouts, *plan.escalate_to):
            more = total - len(tree.rollouts)
            if problem.synthetic and more < plan.noise_threshold * (wrong + more):
                break
            await search(tree, total, doors, plan)
            wrong += more
            if tree.solved or doors.judge is None:
                break
        if tree.rollouts:
            trees.append(tree.freeze(time.perf_counter() - started))
        if tree.solved or doors.judge is None:
            break
    return trees

"""What does the search code itself cost?

Processor time a tree node of selection, expansion, back-up and bookkeeping, for trees of 100 to 10,000 nodes. Policy, sandbox
and judge are the cheapest that can be: what they take is counted in.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from rstar_math.config import SearchConfig
from rstar_math.records import Execution, Problem, Program, Proposal, Sampling, Status, Transcript
from rstar_math.scripted import ExactJudge
from rstar_math.search.expansion import Doors
from rstar_math.search.forest import SEARCHES
from rstar_math.search.tree import GrowingTree

PLAN = SearchConfig(rollouts=1, candidates=8, depth=16)
_PROBLEM = Problem("p", "How many nodes are there?", "0")
_OK = Execution(Status.OK, "1\n")
#: Steps before the code ends: with 8 candidates a level, room for far more than 10,000 nodes.
_STEPS = 7


class Speaking:
    """Says the next steps of a solution of `steps` steps, all different, at once."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:  # noqa: ARG002
        """See `ports.Policy`. The prompt is one piece of the transcript, every step one or two."""
        if transcript[-1].text.startswith("\n<output>"):
            return [Proposal("<answer>\\boxed{1}<end_of_answer>", 5)] * count
        last = sum(piece.by_policy for piece in transcript) + 1 == self._steps
        mark = "<end_of_code>" if last else "<end_of_step>"
        return [Proposal(f"x = {number}\n{mark}", 8) for number in range(count)]


class Running:
    """Whatever it is given runs."""

    async def run(self, programs: Sequence[Program]) -> list[Execution]:
        """See `ports.Sandbox`."""
        return [_OK] * len(programs)


def own_cost(sizes: Sequence[int]) -> dict[int, float]:
    """Nodes -> microseconds of processor time a node, of a tree that was grown to so many."""
    return {size: asyncio.run(_cost(size)) for size in sizes}


async def _cost(size: int) -> float:
    tree = GrowingTree(_PROBLEM, seed=0)
    doors = Doors(Speaking(_STEPS), Running(), judge=ExactJudge())
    started = time.process_time()
    while len(tree.nodes) < size:
        await SEARCHES["mcts"](tree, len(tree.rollouts) + 1, doors, PLAN)
    tree.freeze(0.0)
    return 1e6 * (time.process_time() - started) / len(tree.nodes)

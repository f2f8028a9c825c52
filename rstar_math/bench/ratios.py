"""How many times as dear as something else is a step?

Two costs that are measured minutes apart differ by as much as the machine does. So what is to be compared is measured in
turn, a slice of each and many times over; what counts is the median of the slices' ratios, beside it where half of them lie.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple

import numpy as np

from rstar_math.bench.steps import CANDIDATES, WarmProcess, cold, config, path, run, spent, steadily, walk
from rstar_math.sandbox import ProcessSandbox, open_sandbox

#: Forks of a slice, and runs of a step within a process.
_FORKS, _RUNS = 40, 8
#: Times that the candidates of a step are run in a slice, by the kind of step: where they are cheap a clock sees them late.
_EXPANSIONS = {"trivial": 6, "sympy numbers": 3, "sympy": 1}


class Ratio(NamedTuple):
    """The median of the slices' ratios, and their quartiles."""

    median: float
    low: float
    high: float


async def ratios(rounds: int, depth: int) -> dict[str, Ratio]:
    """What the design promises, from so many slices of each. `depth`: of the deep paths.

    Raises:
        SandboxError: the sandbox does not start.
    """
    fresh = itertools.count(10)
    async with AsyncExitStack() as stack:
        bare, warm = (stack.enter_context(WarmProcess(kind)) for kind in ("trivial", "sympy"))
        boxes = [await stack.enter_async_context(open_sandbox(config(snapshots=kept))) for kept in (True, False)]
        slices = [await _slice(bare, warm, boxes, depth, fresh) for _ in range(rounds)]
    compared = {
        "trivial step / bare fork": ("trivial", "fork"),
        "cold process / step with sympy numbers": ("cold sympy numbers", "sympy numbers"),
        "cold process / sympy step": ("cold sympy", "sympy"),
        "exec in a warm process / sympy step": ("exec", "sympy"),
        f"sympy step at depth {depth}, path run again / from a snapshot": ("again", "deep"),
        f"sympy step from a snapshot, depth {depth} / depth 1": ("deep", "sympy"),
        "trivial step / exec in the search process": ("trivial", "trivial exec"),
    }
    return {name: _ratio([costs[one] / costs[other] for costs in slices]) for name, (one, other) in compared.items()}


async def _slice(
    bare: WarmProcess, warm: WarmProcess, boxes: Sequence[ProcessSandbox], depth: int, fresh: Iterator[int]
) -> dict[str, float]:
    """Milliseconds of processor time of everything, once. `boxes`: with snapshots, without; `fresh`: untried candidates."""
    costs = {f"cold {kind}": cold(kind, 1) for kind in ("sympy numbers", "sympy")}
    costs["fork"], costs["trivial exec"] = bare.costs(_FORKS, _RUNS)
    costs["exec"] = warm.costs(1, _RUNS)[1]
    for kind, expansions in _EXPANSIONS.items():
        costs[kind] = await _step(boxes[0], kind, 1, expansions, fresh)
    for name, box in zip(("deep", "again"), boxes, strict=True):
        costs[name] = await _step(box, "sympy", depth, 1, fresh)
    return costs


async def _step(box: ProcessSandbox, kind: str, depth: int, expansions: int, fresh: Iterator[int]) -> float:
    """The same of one step, its path run before as a search does."""
    await walk(box, kind, depth)
    before = steadily(spent)
    for _ in range(expansions):
        await run(box, [path(kind, depth, candidate) for candidate in itertools.islice(fresh, CANDIDATES)])
    return 1000 * (steadily(spent) - before) / (expansions * CANDIDATES)


def _ratio(found: Sequence[float]) -> Ratio:
    low, median, high = np.quantile(found, (0.25, 0.5, 0.75)).tolist()
    return Ratio(median, low, high)

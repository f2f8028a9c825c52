"""How many times as dear as something else is a step?

Two costs that are measured minutes apart differ by as much as the machine does. So what is compared is measured in turn, a
slice of the one and a slice of the other, many times over; what counts is the median of their ratios, beside it where half
of them lie.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import NamedTuple, TypeAlias

import numpy as np

from rstar_math.bench.steps import CANDIDATES, WarmProcess, cold, config, path, run, spent, steadily, walk
from rstar_math.sandbox import ProcessSandbox, open_sandbox

#: What a slice has of a warm process: forks or trivial steps, and equations.
_CHEAP, _DEAR = 150, 8
#: Times that the candidates of a step are run in a slice, by the kind of step: where they are cheap a clock sees them late.
_EXPANSIONS = {"trivial": 20, "sympy numbers": 5, "sympy": 1}
#: Measures one slice: milliseconds of processor time of one of what it is made of.
Cost: TypeAlias = Callable[[], Awaitable[float]]


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
    fresh = itertools.count(10)  # candidates not tried yet
    async with AsyncExitStack() as stack:
        bare, warm = (stack.enter_context(WarmProcess(kind)) for kind in ("trivial", "sympy"))
        box, again = [await stack.enter_async_context(open_sandbox(config(snapshots=kept))) for kept in (True, False)]
        trivial, numbers, equation = (_step(box, kind, 1, fresh) for kind in _EXPANSIONS)
        deep = _step(box, "sympy", depth, fresh)
        compared: dict[str, tuple[Cost, Cost]] = {
            "trivial step / bare fork": (trivial, _alone(lambda: bare.fork(_CHEAP))),
            "trivial step / exec in the search process": (trivial, _alone(lambda: bare.step(_CHEAP))),
            "cold process / step with sympy numbers": (_alone(lambda: cold("sympy numbers", 1)), numbers),
            "cold process / sympy step": (_alone(lambda: cold("sympy", 1)), equation),
            "exec in a warm process / sympy step": (_alone(lambda: warm.step(_DEAR)), equation),
            f"sympy step at depth {depth}, path run again / from a snapshot": (
                _step(again, "sympy", depth, fresh),
                deep,
            ),
            f"sympy step from a snapshot, depth {depth} / depth 1": (deep, equation),
        }
        return {name: await _in_turn(one, other, rounds) for name, (one, other) in compared.items()}


async def _in_turn(one: Cost, other: Cost, rounds: int) -> Ratio:
    found = [await one() / await other() for _ in range(rounds)]
    low, median, high = np.quantile(found, (0.25, 0.5, 0.75)).tolist()
    return Ratio(median, low, high)


def _alone(measure: Callable[[], float]) -> Cost:
    """Of what needs no sandbox."""

    async def measured() -> float:
        return measure()

    return measured


def _step(box: ProcessSandbox, kind: str, depth: int, fresh: Iterator[int]) -> Cost:
    """Of one step, its path run before as a search does."""

    async def measured() -> float:
        await walk(box, kind, depth)
        before = steadily(spent)
        for _ in range(_EXPANSIONS[kind]):
            await run(box, [path(kind, depth, candidate) for candidate in itertools.islice(fresh, CANDIDATES)])
        return 1000 * (steadily(spent) - before) / (_EXPANSIONS[kind] * CANDIDATES)

    return measured

"""What does waiting for each other cost?

The same searches with the same recorded times, twice: each problem by itself, and all of them in lock-step, as a script runs
them that generates for all problems, then executes for all, and so on. Time is virtual, so nothing is waited for and the
result is exact. Requests take what they were recorded to take, however many are under way: kind to the lock-step.
"""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

from rstar_math.bench.owncost import Running, Speaking
from rstar_math.config import SearchConfig
from rstar_math.records import Execution, Problem, Program, Proposal, Sampling, Transcript
from rstar_math.rng import stream
from rstar_math.scripted import ExactJudge
from rstar_math.search.expansion import Doors
from rstar_math.search.forest import grow

#: Recorded by `rstar-math bench search record=FILE`: {"generation": [seconds, …], "execution": [seconds, …]}.
TRACE = Path(__file__).with_name("trace.json")
_PLAN = SearchConfig(rollouts=16, candidates=8)
#: Steps of a solution, fewest and most.
_STEPS = (2, 6)


class _Pace(Protocol):
    async def spend(self, seconds: float) -> None: ...


class _Free:
    """Nobody waits for anybody."""

    async def spend(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class _LockStep:
    """A round ends for all once the slowest is through; whoever is finished is no longer waited for."""

    alive: int
    _here: list[tuple[float, asyncio.Future[None]]] = field(default_factory=list)

    async def spend(self, seconds: float) -> None:
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._here.append((seconds, arrived))
        self._go_on_if_all_are_here()
        await arrived

    def leave(self) -> None:
        self.alive -= 1
        self._go_on_if_all_are_here()

    def _go_on_if_all_are_here(self) -> None:
        if self._here and len(self._here) == self.alive:
            here, self._here = self._here, []
            slowest = max(seconds for seconds, _ in here)
            asyncio.get_running_loop().call_later(slowest, _release, [arrived for _, arrived in here])


def _release(waiting: Sequence[asyncio.Future[None]]) -> None:
    for arrived in waiting:
        arrived.set_result(None)


@dataclass
class _Replay:
    """Policy and sandbox of one problem that take recorded times, drawn from the problem's own stream."""

    times: Mapping[str, Sequence[float]]
    draw: Random
    pace: _Pace

    def __post_init__(self) -> None:
        self._policy, self._sandbox = Speaking(self.draw.randint(*_STEPS)), Running()

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        await self.pace.spend(self.draw.choice(self.times["generation"]))
        return await self._policy.propose(transcript, count, sampling)

    async def run(self, programs: Sequence[Program]) -> list[Execution]:
        await self.pace.spend(max(self.draw.choice(self.times["execution"]) for _ in programs))
        return await self._sandbox.run(programs)


def barrier_cost(problems: int, times: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """Seconds until the last of so many problems is finished: by themselves, in lock-step."""
    free, lock_step = _Free(), _LockStep(problems)
    apart = in_virtual_time(_all(problems, times, lambda _: free, lambda: None))
    together = in_virtual_time(_all(problems, times, lambda _: lock_step, lock_step.leave))
    return apart, together


async def _all(
    problems: int,
    times: Mapping[str, Sequence[float]],
    pace: Callable[[int], _Pace],
    finished: Callable[[], None],
) -> None:
    async def one(number: int) -> None:
        replay = _Replay(times, stream(0, "trace", number), pace(number))
        await grow(Problem(str(number), "", "2"), Doors(replay, replay, judge=ExactJudge()), _PLAN, seed=0)
        finished()

    await asyncio.gather(*map(one, range(problems)))


def read_trace(path: Path = TRACE) -> dict[str, list[float]]:
    """Recorded seconds of generating an expansion, and of running a program."""
    times: dict[str, list[float]] = json.loads(path.read_text())
    return times


class _VirtualClock(selectors.SelectSelector):
    """Instead of waiting until the next timer, it moves the clock there."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing will happen")
        self.now += max(timeout, 0.0)
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _VirtualClock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def in_virtual_time(work: Coroutine[Any, Any, None] | Awaitable[None]) -> float:
    """Runs `work`, jumping over every wait; the seconds that it would have taken."""
    loop = _VirtualLoop()
    try:
        loop.run_until_complete(work)
        return loop.time()
    finally:
        loop.close()

"""How do a training's caller and its ranks hear of each other?

Jobs go one way; reports, and what each rank did last, the other. Ranks speak every few seconds on a thread of their own: one
whose process is stopped says nothing any more, one that waits for another goes on saying the same. What is done about ranks
that get nowhere is not decided here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from rstar_math.training.job import TrainingJob

if TYPE_CHECKING:
    from rstar_math.training.callbacks import Progress

#: A rank speaks every so many seconds; one that has not for so long is not answering. A library that loads weights may hold
#: up the thread for a while.
_EVERY_SECONDS, _DEAF_SECONDS = 2.0, 30.0
#: Name of the caller's thread that is in Ray as long as its ranks are there.
THREAD = "ranks"
#: Ranks that are named one by one.
_NAMED = 4

#: What to train, and DeepSpeed's configuration.
Job = tuple[TrainingJob, dict[str, Any]]


class JobDone:
    """The last report of a job; the ranks wait for another."""


class Standing(NamedTuple):
    """For how many seconds no rank has done anything, and in words what each of them does."""

    seconds: float
    words: str


@dataclass
class _Rank:
    """A rank that has its place: what it did last (the how manieth thing, what), and when it was heard of."""

    actor: Any
    done_at: float
    done: int = 0
    words: str = ""
    heard_at: float | None = None

    def state(self, now: float, deaf_seconds: float) -> str:
        if self.heard_at is None:
            return "still starting"
        after = f" after {self.words}" if self.words else ""
        return f"{'not answering' if now - self.heard_at > deaf_seconds else 'stuck'}{after}"


class Pulse:
    """On a rank: tells what it did last, every few seconds, as long as its process lives."""

    def __init__(self, tell: Callable[[int, str], object]) -> None:
        """`tell` is called on a thread, with the how manieth thing it is and what."""
        self._tell = tell
        self._last = (0, "")
        Thread(target=self._speak, name="pulse", daemon=True).start()

    def did(self, words: str) -> None:
        """Something is done; it costs nothing."""
        self._last = (self._last[0] + 1, words)

    def _speak(self) -> None:
        while True:
            self._tell(*self._last)
            time.sleep(_EVERY_SECONDS)


class Exchange:
    """Where the caller leaves a job, once a rank, and rank 0 its reports; after None there are no ranks. A Ray actor: when
    it ends, so do ranks that wait for it or report to it."""

    def __init__(self) -> None:
        self._jobs: asyncio.Queue[Job | None] = asyncio.Queue()
        self._reports: asyncio.Queue[Progress | JobDone | None] = asyncio.Queue()
        self._stop, self._over, self._steps_begun = asyncio.Event(), asyncio.Event(), False
        self._ranks: list[_Rank] = []

    async def placed(self, actors: Sequence[Any]) -> None:
        """The ranks have their places, and begin to load their libraries."""
        self._ranks = [_Rank(actor, time.monotonic()) for actor in actors]

    async def actors(self) -> list[Any]:
        """Those of the ranks that have their places."""
        return [rank.actor for rank in self._ranks]

    async def hear(self, number: int, done: int, words: str) -> None:
        """A rank lives, and did that last."""
        rank = self._ranks[number]
        rank.heard_at = time.monotonic()
        if done != rank.done:
            rank.done, rank.words, rank.done_at = done, words, rank.heard_at

    async def standing(self, limit: float) -> Standing | None:
        """How the ranks get on; None where they have no places yet. `limit`: the seconds that are too long."""
        if not self._ranks:
            return None
        now, states = time.monotonic(), dict[str, list[int]]()
        for number, rank in enumerate(self._ranks):
            states.setdefault(rank.state(now, min(_DEAF_SECONDS, limit / 2)), []).append(number)
        words = [f"{_named(numbers)} of {len(self._ranks)} {state}" for state, numbers in states.items()]
        return Standing(now - max(rank.done_at for rank in self._ranks), ", ".join(words))

    async def leave_job(self, job: Job | None, ranks: int) -> None:
        """A job for every rank; None: they may go."""
        self._over.clear()
        for rank in self._ranks:
            rank.done_at = time.monotonic()
        for _ in range(ranks):
            await self._jobs.put(job)

    async def take_job(self) -> Job | None:
        """Waits for it."""
        return await self._jobs.get()

    async def report(self, progress: Progress | JobDone | None) -> None:
        """Tells the caller."""
        if progress is None or isinstance(progress, JobDone):
            self._steps_begun = False
            self._over.set()
        await self._reports.put(progress)

    async def next_report(self) -> Progress | JobDone | None:
        """Waits for one."""
        return await self._reports.get()

    async def stop_wanted(self) -> None:
        """Waits until the caller wants the job to stop; called by rank 0 after its first step."""
        self._steps_begun = True
        await self._stop.wait()

    async def stop(self) -> bool:
        """Asks for it, and waits until the job is over; False, at once, where it had not come to its steps."""
        self._stop.set()
        return self._steps_begun and await self._over.wait()


def _named(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers[:_NAMED]))
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"rank{'s' if len(numbers) > 1 else ''} {named}{more}"

"""Which search workers are there, and which of them can grow trees now?

Starts the actors, tells them whom to ask, puts new ones in the place of dead ones. A search begins as soon as one is ready;
the others join it when there is a place for them. Which problem goes to whom is `dispatch`'s business.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import ray

from rstar_math.cluster.remote import LOST, OF_ACTORS, answers, cause_of, is_failure, node_of, result_of
from rstar_math.cluster.watch import in_time, one_of, pause_before
from rstar_math.config import PolicyConfig, RunConfig
from rstar_math.errors import EngineError, EngineLost

if TYPE_CHECKING:
    from rstar_math.sandbox import Promise

_log = logging.getLogger(__name__)
#: A worker that is ready takes note of whom to ask within so many seconds.
_ANSWER_SECONDS = 10.0


class Asked(NamedTuple):
    """Whom workers ask: the policy engines (or a server), and the PPM engines, none where there is no PPM."""

    policy: Sequence[Any] | PolicyConfig
    scorers: Sequence[Any]


def share_of(endpoint: PolicyConfig, workers: int) -> PolicyConfig:
    """What one of so many workers may ask of a server, so that all together keep to its limits."""
    rate = endpoint.requests_per_minute
    return replace(
        endpoint,
        concurrency=max(endpoint.concurrency // workers, 1),
        requests_per_minute=rate and max(rate // workers, 1),
    )


@dataclass
class Crew:
    """The search workers of a run, a slot each.

    on_death: hears of one that dies again and again, or fails, before it is ready while others carry on, and raises once that
    is too often.
    """

    config: RunConfig
    actor: type
    on_death: Callable[[str, BaseException], None]
    workers: list[Any] = field(default_factory=list)
    #: What the workers' sandboxes promise, by name: what holds each, or why it is not held; machines may differ.
    promises: dict[str, set[str]] = field(default_factory=dict)
    _opening: dict[int, asyncio.Task[Any]] = field(default_factory=dict)
    #: How many died in a slot, one after the other, before they were ready.
    _tries: Counter[int] = field(default_factory=Counter)

    @property
    def ready(self) -> list[int]:
        """The slots whose workers can grow trees."""
        return [slot for slot in range(len(self.workers)) if slot not in self._opening]

    @property
    def waited_for(self) -> list[asyncio.Task[Any]]:
        """What will be done when another worker is ready."""
        return list(self._opening.values())

    async def open(self, asked: Asked, *, together: bool) -> None:
        """Tells all whom to ask and waits until one is ready; with `together` the missing ones are started at once.

        Raises:
            EngineError: a worker cannot be started.
        """
        if not self.workers:
            self.workers.append(self._new())
        for slot in range(len(self.workers)):
            self._open(slot, asked)
        if together:
            self.complete(asked)
        while not self.ready:
            await one_of(self.waited_for, "search worker", self.config.cluster.silence_seconds)
            self.take_in(asked)

    def complete(self, asked: Asked) -> None:
        """The workers that are still missing are on their way from now on, or wait for a place."""
        for slot in range(len(self.workers), self.config.cluster.search_workers):
            self.workers.append(self._new())
            self._open(slot, asked)

    def take_in(self, asked: Asked) -> bool:
        """Workers that have become ready can grow trees from now on; whether some have. One that dies or hangs before that is
        started once more, and again while others are ready, or have not died yet; then so is one that fails.

        Raises:
            EngineError: one cannot be started.
        """
        some = False
        for slot in [slot for slot, opening in self._opening.items() if opening.done()]:
            if (error := self._opening.pop(slot).exception()) is not None:
                self._once_more(slot, error, asked)
            else:
                del self._tries[slot]
                some = True
        return some

    async def tell(self, asked: Asked) -> None:
        """Whom to ask from now on. A dead worker need not know: what it was growing says so. One that hangs is not waited
        for: it asks nobody, and `watch` finds it."""
        await answers([self.workers[slot].open.remote(*asked) for slot in self.ready], _ANSWER_SECONDS)

    def replace(self, slot: int, asked: Asked) -> None:
        """A new worker in a dead one's place; it is ready later."""
        ray.kill(self.workers[slot])
        self.workers[slot] = self._new()
        self._open(slot, asked)

    def _once_more(self, slot: int, error: BaseException, asked: Asked) -> None:
        bad = self._tries[slot] > 0 or is_failure(error)
        others = any(not self._tries[other] for other in range(len(self.workers)) if other != slot)
        if not isinstance(error, OF_ACTORS) or (bad and not others):
            raise _explained(error)
        if bad:
            self.on_death(f"a search worker that started on {node_of(error)}", error)
        _log.warning(
            "a search worker died while it started on %s (%s); it is started again", node_of(error), cause_of(error)
        )
        self._tries[slot] += 1
        self.replace(slot, asked)

    async def close(self, seconds: float) -> None:
        """Ends all workers, sandboxes and judges first, which may take so many seconds."""
        closing = [asyncio.ensure_future(result_of(self.workers[slot].close.remote())) for slot in self.ready]
        if closing:
            closed, hanging = await asyncio.wait(closing, timeout=seconds)
            for future in hanging:
                future.cancel()
            for future in closed:
                future.exception()  # of one that was dead already; asyncio would complain that nobody looked
        for opening in self.waited_for:
            opening.cancel()
        for worker in self.workers:
            ray.kill(worker)
        self.workers, self._opening, self._tries = [], {}, Counter()

    def _new(self) -> Any:
        options = {"num_cpus": self.config.cluster.search_cpus, "max_concurrency": 4096}
        return ray.remote(self.actor).options(**options).remote(self.config.sandbox, self.config.grading)

    def _open(self, slot: int, asked: Asked) -> None:
        if (earlier := self._opening.get(slot)) is not None:  # of the stage before: it still waits for a place
            earlier.cancel()
        self._opening[slot] = asyncio.ensure_future(self._opened(slot, self.workers[slot], asked))

    async def _opened(self, slot: int, worker: Any, asked: Asked) -> None:
        await pause_before(self._tries[slot], self.config.cluster.silence_seconds)
        async with in_time(worker, self.config.cluster.silence_seconds):
            await result_of(worker.open.remote(*asked))
            self._hear(await result_of(worker.promises.remote()))

    def _hear(self, promises: Sequence[Promise]) -> None:
        """Keeps what a worker's sandbox promises; what it does not hold is said, once for each reason."""
        new = [promise for promise in promises if promise.by not in self.promises.setdefault(promise.name, set())]
        for promise in new:
            self.promises[promise.name].add(promise.by)
        broken = [promise for promise in new if not promise.held]
        if broken:
            words = "; ".join(f"{promise.name}: {promise.by}" for promise in broken)
            _log.warning("a search worker's machine cannot keep every promise of the sandbox: %s", words)


def _explained(error: BaseException) -> BaseException:
    if not isinstance(error, (EngineLost, *LOST)):
        return error
    explained = EngineError(f"a search worker did not start: {error}; look at its machine's memory")
    explained.__cause__ = error
    return explained

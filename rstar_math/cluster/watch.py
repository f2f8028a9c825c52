"""Nothing has finished for long: who is not answering?

Asks every actor; those that do not answer, or are at work on something and get nowhere, are named, and so are those that
have not started yet. Ending them is not done here: it is what the deaths of engines and workers are for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import ray

from rstar_math.cluster.remote import LOST
from rstar_math.errors import EngineError, EngineLost

_log = logging.getLogger(__name__)
#: An actor that lives answers within so many seconds, whatever it does.
_ANSWER_SECONDS = 30.0
#: What starts has so many times the silence, and at least so many seconds: large models take minutes, and many processes that
#: start at once on one machine delay each other.
_SILENCES, _LEAST_SECONDS = 3, 60.0


@dataclass
class Silence:
    """How long nothing has finished; `limit` seconds are too long."""

    limit: float

    def __post_init__(self) -> None:
        self.broken()

    def broken(self) -> None:
        """Something has finished, or somebody has looked."""
        self._since = time.monotonic()

    @property
    def left(self) -> float:
        """Seconds until it is too long."""
        return max(self._since + self.limit - time.monotonic(), 0.0)


class Watched(NamedTuple):
    """An actor and what it is: "policy engine", "PPM engine", "search worker"."""

    what: str
    actor: Any


async def one_of(starting: Collection[asyncio.Task[Any]], what: str, seconds: float) -> None:
    """Waits until one of those is ready; says so once every so many seconds in which none is.

    Raises:
        EngineError: no machine of the cluster lives.
    """
    waited = 0.0
    while not (await asyncio.wait(starting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED))[0]:
        _check_that_ray_lives()
        waited += seconds
        _log.warning(
            "for %.0f s no %s has become ready, of %d that are starting: one loads what it needs, or waits for room "
            "(`ray status` says what the cluster has left)",
            waited,
            what,
            len(starting),
        )


@asynccontextmanager
async def in_time(actor: Any, silence: float) -> AsyncIterator[None]:
    """For what makes an actor ready: waits until it has its place in the cluster, for ever if need be; from then on its start
    has its limit.

    Raises:
        EngineLost: it hangs. Ending it is the caller's business.
    """
    await actor.__ray_ready__.remote()
    limit = max(_SILENCES * silence, _LEAST_SECONDS)
    clock = asyncio.timeout(limit)
    try:
        async with clock:
            yield
    except TimeoutError:
        if not clock.expired():  # its own
            raise
        raise EngineLost(f"it was not ready {limit:.0f} s after it had found its place") from None


async def pause_before(tries: int, silence: float) -> None:
    """Waits before what failed so often as it started is tried again, for longer each time: one bad node shall not use up all
    the deaths that a stage may have."""
    await asyncio.sleep(min(2.0 ** min(tries, 20), silence) if tries > 1 else 0.0)


async def hanging(actors: Iterable[Watched], limit: float) -> tuple[list[Watched], list[str]]:
    """Those that do not answer or have got nowhere for `limit` seconds, and in words who does what.

    Raises:
        EngineError: no machine of the cluster lives.
    """
    _check_that_ray_lives()
    asked = list(actors)
    states = await asyncio.gather(*(_state(watched.actor, limit) for watched in asked))
    counts = Counter((watched.what, state) for watched, state in zip(asked, states, strict=True))
    words = [f"{count} x {what} {state}" for (what, state), count in sorted(counts.items())]
    return [watched for watched, state in zip(asked, states, strict=True) if state in _HANGING], words


_HANGING = ("not answering", "stuck")


def _check_that_ray_lives() -> None:
    """Else nobody would ever take the place of those that are gone."""
    if not any(node["Alive"] for node in ray.nodes()):
        raise EngineError(
            "Ray has ended on every machine of the cluster (killed, or out of memory: its logs in /tmp/ray say more); start "
            "the same command again: every tree written is kept"
        )


async def _state(actor: Any, limit: float) -> str:
    try:
        busy = await asyncio.wait_for(actor.getting_nowhere_seconds.remote(), min(_ANSWER_SECONDS, limit))
    except TimeoutError:
        return "not answering"
    except LOST:
        return "dead"  # whoever asks it will hear so
    return "stuck" if busy >= limit else "answering"

"""How many trees at once keep full what they all wait for, and no more?

A policy engine's batch, as a rule; it may be a PPM engine's too, or a worker's sandbox or judge. The fullest decides: once
that one is full, more trees would only wait there, and take memory; while none is, fewer leave places empty.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rstar_math.cluster.remote import answers

#: Between two looks: long enough for a change to show.
_PAUSE_SECONDS = 1.0
#: Who is at work on others' questions says within so many seconds how full it is.
_ANSWER_SECONDS = 2.0
#: What is fuller than the first is full, beyond the second too much waits; by how much room changes at a time.
_FULL, _TOO_FULL, _STEP = 0.9, 1.3, 1.25
#: Trees a worker grows at least and at most.
LEAST, MOST = 8, 2048


@dataclass
class Flow:
    """The room that each worker has for trees; `measured`: it follows what is heard of how full engines and workers are."""

    room: int = 32
    measured: bool = True

    def __post_init__(self) -> None:
        self._heard = time.monotonic()

    @property
    def pause(self) -> float | None:
        """Seconds after which to look again, whatever happens meanwhile; None: never."""
        return _PAUSE_SECONDS if self.measured else None

    def is_due(self) -> bool:
        """Whether it is time to look how full they are."""
        return self.measured and time.monotonic() - self._heard >= _PAUSE_SECONDS

    def hear(self, filled: float, running: float) -> int:
        """The room from now on. `filled`: what is under way at the fullest, of what that takes on at once; `running`: trees
        a worker grows now: where they are fewer than there is room for, more room would change nothing, and where they are
        more, the room has shrunk and its effect is still to come."""
        self._heard = time.monotonic()
        if filled < _FULL and running >= 0.9 * self.room:
            self.room = min(int(self.room * _STEP) + 1, MOST)
        elif filled > _TOO_FULL and running <= self.room:
            self.room = max(int(self.room / _STEP), LEAST)
        return self.room


async def fullest(kinds: Sequence[Sequence[Any]]) -> float:
    """How full the fullest kind of these actors is, each kind on average over its own; 1 where of some kind nobody says."""
    return max(await asyncio.gather(*map(_average, filter(None, kinds))), default=1.0)


async def _average(actors: Sequence[Any]) -> float:
    shares = await answers([actor.filled.remote() for actor in actors], _ANSWER_SECONDS)
    return sum(shares) / len(shares) if shares else 1.0

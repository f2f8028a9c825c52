"""The engines of one kind as one door that outlives them.

For whoever asks from outside a search: solutions that are weighed, trajectories that a second model completes. One that dies
or hangs is replaced, and what it was asked is asked again; one that joins takes part.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray

from rstar_math.checkpoints import Kind
from rstar_math.cluster.actors import Replicas
from rstar_math.cluster.engines import Engines
from rstar_math.cluster.watch import Silence, Watched, hanging
from rstar_math.errors import EngineLost
from rstar_math.records import Proposal, Sampling, Transcript

_log = logging.getLogger(__name__)


@dataclass
class Standing:
    """`ports.Policy` or `ports.Scorer`, as the kind is.

    on_death: hears of every engine that died, and raises once they are too many.
    """

    engines: Engines
    kind: Kind
    silence: Silence
    on_death: Callable[[str, BaseException], None]
    _mending: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._open()

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        """See `ports.Policy`."""
        proposals: list[Proposal] = await self._ask("propose", transcript, count, sampling)
        return proposals

    async def score(self, transcripts: Sequence[Transcript]) -> list[float]:
        """See `ports.Scorer`."""
        scores: list[float] = await self._ask("score", transcripts)
        return scores

    def _open(self) -> None:
        self._door = Replicas(self.engines.serving(self.kind))

    async def _ask(self, method: str, *arguments: Any) -> Any:
        while True:
            # Of this kind none may serve just then, while the last one is mended.
            if self.engines.joined() and self.engines.serving(self.kind):
                self._open()
            door = self._door
            self.engines.ends()
            if (ended := self.engines.lost()) is not None:
                await self._mend(door, ended)
                continue
            asking = asyncio.ensure_future(getattr(door, method)(*arguments))
            try:
                while not (await asyncio.wait([asking], timeout=max(self.silence.left, 1.0)))[0]:
                    await self._wake()
                answer = asking.result()
            except EngineLost as error:
                await self._mend(door, error)
            else:
                self.silence.broken()
                return answer
            finally:
                asking.cancel()

    async def _wake(self) -> None:
        """Where nothing was answered for long: says who does what, and ends those that hang, so that they count as dead."""
        async with self._mending:
            if self.silence.left:  # somebody else has looked
                return
            self.silence.broken()
            watched = [Watched(f"{self.kind} engine", each) for each in self.engines.serving(self.kind)]
            hung, words = await hanging(watched, self.silence.limit)
            _log.warning("nothing was answered for %.0f s: %s", self.silence.limit, ", ".join(words))
            for each in hung:
                ray.kill(each.actor)

    async def _mend(self, door: Replicas, error: BaseException) -> None:
        """Another engine in the place of each dead one; all who had asked it come here, and the first mends for all."""
        async with self._mending:
            if door is not self._door:
                return
            self.on_death(f"a {self.kind} engine", error)
            _log.warning("a %s engine died (%s); another one is started", self.kind, error)
            await self.engines.bury()
            await self.engines.one_of_each()
            self._open()

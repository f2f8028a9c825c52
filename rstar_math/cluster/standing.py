"""The engines of one kind as one door that outlives them.

For whoever asks from outside a search: solutions that are weighed, trajectories that a second model completes. One that dies
or hangs is replaced, and what it was asked is asked again, the last time with nothing else under way; one that joins takes
part.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import ray

from rstar_math.checkpoints import Kind
from rstar_math.cluster.actors import Replicas
from rstar_math.cluster.engines import Engines
from rstar_math.cluster.remote import cause_of
from rstar_math.cluster.watch import Silence, Watched, hanging
from rstar_math.errors import EngineLost, QuestionKills
from rstar_math.records import Proposal, Sampling, Transcript
from rstar_math.text import join

_log = logging.getLogger(__name__)
#: So many characters of a question tell which one it is.
_SHOWN = 200


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
    _turns: asyncio.Condition = field(default_factory=asyncio.Condition)
    #: How many questions are under way, and whether it is one that has to be alone.
    _under_way: int = 0
    _one_alone: bool = False

    def __post_init__(self) -> None:
        self._open()

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        """See `ports.Policy`."""
        proposals: list[Proposal] = await self._ask(transcript[:1], "propose", transcript, count, sampling)
        return proposals

    async def score(self, transcripts: Sequence[Transcript]) -> list[float]:
        """See `ports.Scorer`."""
        scores: list[float] = await self._ask(transcripts[0][:1] if transcripts else (), "score", transcripts)
        return scores

    def _open(self) -> None:
        self._door = Replicas(self.engines.serving(self.kind))

    async def _ask(self, question: Transcript, method: str, *arguments: Any) -> Any:
        limit = self.engines.config.cluster.deaths_per_problem
        deaths, alone = 0, False
        while True:
            try:
                async with self._turn(alone=alone):
                    return await self._answer(method, *arguments)
            except EngineLost as error:
                deaths += 1
                if alone and deaths >= limit:
                    raise QuestionKills(
                        f"a {self.kind} engine died {deaths} times while it was asked one question, the last time with "
                        f"nothing else under way ({cause_of(error)}); the question's end: {join(question)[-_SHOWN:]!r}"
                    ) from error
            alone = deaths >= limit - 1

    @asynccontextmanager
    async def _turn(self, *, alone: bool) -> AsyncIterator[None]:
        """Beside others; or alone, as soon as nothing else is under way."""
        async with self._turns:
            await self._turns.wait_for(lambda: not (self._under_way if alone else self._one_alone))
            self._under_way += 1
            self._one_alone = alone
        try:
            yield
        finally:
            self._under_way -= 1
            self._one_alone = False
            async with self._turns:
                self._turns.notify_all()

    async def _answer(self, method: str, *arguments: Any) -> Any:
        """What an engine says.

        Raises:
            EngineLost: it died; others are there.
        """
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
                raise
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

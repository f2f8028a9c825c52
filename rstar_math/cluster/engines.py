"""Which engines are there, and which weights do they serve?

Starts the actors of both kinds, swaps their weights, finds out which are dead. Who asks them is not known here.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import RayTaskError

from rstar_math.checkpoints import Kind
from rstar_math.cluster.joining import gpus_each
from rstar_math.cluster.remote import LOST, result_of
from rstar_math.config import EngineConfig, RunConfig
from rstar_math.errors import EngineError
from rstar_math.rng import derive

_log = logging.getLogger(__name__)
#: An actor that lives and is not at work answers within so many seconds.
_ANSWER_SECONDS = 10.0


@dataclass
class Engines:
    """The policy and PPM engines of a run.

    actors: by kind; served: the weights of those that have been loaded; seed: what new ones draw from.
    """

    config: RunConfig
    policy_actor: type
    ppm_actor: type
    seed: int = 0
    actors: dict[Kind, list[Any]] = field(default_factory=dict)
    served: dict[Kind, str] = field(default_factory=dict)

    def all(self) -> list[Any]:
        """Every actor."""
        return [actor for actors in self.actors.values() for actor in actors]

    def forget(self) -> None:
        """They have been ended."""
        self.actors, self.served = {}, {}

    def prepare(self, kind: Kind) -> None:
        """Starts the processes of this kind, if there are none, and returns at once: they load their libraries meanwhile."""
        if kind not in self.actors:
            self.actors[kind] = [self._new(kind, index) for index in range(self._config_of(kind).replicas)]

    async def serve(self, kind: Kind, path: str) -> None:
        """Engines of one kind with the weights at `path`: new ones, or those at hand with their weights swapped.

        Raises:
            EngineError: they cannot be started, or cannot serve it.
        """
        if self.served.get(kind) == path:
            return
        if kind in self.served:
            await self._end_what_cannot_take(kind, path)
        try:
            if kind not in self.served:
                self.prepare(kind)
                await self._load(kind, path)
        except RayTaskError as error:
            raise EngineError(f"the {kind} engine cannot serve {path}: {error.cause}") from error
        except LOST as error:
            raise EngineError(f"the {kind} engine for {path} did not start: {error}") from error
        self.served[kind] = path

    async def filled(self) -> float:
        """How full the policy engines' batches are on average: 1 is full, more have to wait. Dead ones do not count."""
        asked = (actor.filled.remote() for actor in self.actors["policy"])
        shares = await asyncio.gather(*asked, return_exceptions=True)
        known = [share for share in shares if not isinstance(share, BaseException)]
        return sum(known) / len(known) if known else 1.0

    async def dead(self) -> list[Kind]:
        """The kinds of which an engine is dead."""
        return [kind for kind in self.served if any([not await _lives(actor) for actor in self.actors[kind]])]

    async def replace_dead(self, kind: Kind) -> None:
        """New ones in their place, with the same weights."""
        for index, actor in enumerate(self.actors[kind]):
            if not await _lives(actor):
                self.actors[kind][index] = self._new(kind, index)
                await result_of(self.actors[kind][index].load.remote(self.served[kind]))

    def _new(self, kind: Kind, index: int) -> Any:
        config = self._config_of(kind)
        # Replicas that draw alike would grow the same steps twice; vLLM's own default is one seed for all.
        seed = derive(self.seed, kind, index) & 0x7FFFFFFF
        seeded = replace(config, extra={"seed": seed, **config.extra})
        options = {"num_cpus": config.cpus, "num_gpus": gpus_each(config), "max_concurrency": 4096}
        actor_class = self.policy_actor if kind == "policy" else self.ppm_actor
        return ray.remote(actor_class).options(**options).remote(seeded)

    def _config_of(self, kind: Kind) -> EngineConfig:
        return self.config.engine if kind == "policy" else self.config.ppm_engine

    async def _load(self, kind: Kind, path: str) -> None:
        await asyncio.gather(*(actor.load.remote(path) for actor in self.actors[kind]))

    async def _end_what_cannot_take(self, kind: Kind, path: str) -> None:
        """Swaps the weights of the engines at hand; those that cannot (another architecture, or dead) are ended."""
        try:
            await self._load(kind, path)
        except (RayTaskError, *LOST) as error:
            _log.info("the %s engines cannot take %s (%s): new ones are started", kind, path, error)
            for actor in self.actors.pop(kind):
                ray.kill(actor)
            del self.served[kind]


async def _lives(actor: Any) -> bool:
    """Whether it is not dead; one that does not answer may only be busy, and hanging ones are `watch`'s business."""
    try:
        await asyncio.wait_for(actor.__ray_ready__.remote(), _ANSWER_SECONDS)
    except LOST:
        return False
    except TimeoutError:
        return True
    return True

"""Which engines are there, and which weights do they serve?

Starts the actors of both kinds, swaps their weights, finds out which are dead. A search begins as soon as one of a kind
serves; the others join it when they are ready, or when there is a place for them. Who asks them is not known here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import RayTaskError

from rstar_math.checkpoints import Kind
from rstar_math.cluster.holding import gpus_each
from rstar_math.cluster.remote import LOST, OF_ACTORS, cause_of, is_failure, node_of, result_of
from rstar_math.cluster.watch import in_time, one_of, pause_before
from rstar_math.config import EngineConfig, RunConfig
from rstar_math.errors import EngineError, EngineLost
from rstar_math.rng import derive

_log = logging.getLogger(__name__)
#: An actor that lives and is not at work answers within so many seconds.
_ANSWER_SECONDS = 10.0


@dataclass
class _Engine:
    """An actor; `path`: the weights that it serves, None before it does; `loading`: what brings it there; `tries`: so many
    died one after the other in this place before they served; `end`: will be done when it is dead or broken."""

    actor: Any
    path: str | None = None
    loading: asyncio.Task[Any] | None = None
    tries: int = 0
    end: asyncio.Future[Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether it was heard to be dead or broken; what is cancelled belonged to an earlier stage."""
        return self.end is not None and self.end.done() and not self.end.cancelled()

    def let_go(self) -> None:
        """Nobody listens to it any more."""
        for future in (self.loading, self.end):
            if future is not None and not future.cancel() and not future.cancelled():
                future.exception()  # asyncio would complain that nobody looked


@dataclass
class Engines:
    """The policy and PPM engines of a run.

    on_death: hears of one that dies again and again, or fails, before it serves while others do, and raises once that is too
        often.
    seed: what new ones draw from.
    served: the weights asked for, by kind.
    """

    config: RunConfig
    policy_actor: type
    ppm_actor: type
    on_death: Callable[[str, BaseException], None]
    seed: int = 0
    served: dict[Kind, str] = field(default_factory=dict)
    _all: dict[Kind, list[_Engine]] = field(default_factory=dict)

    def all(self) -> list[Any]:
        """Every actor, serving or not."""
        return [engine.actor for engines in self._all.values() for engine in engines]

    @property
    def kinds(self) -> Set[Kind]:
        """Those of which some are there, serving or not."""
        return self._all.keys()

    def serving(self, kind: Kind) -> list[Any]:
        """Those that serve the weights asked for."""
        return [each.actor for each in self._all.get(kind, ()) if each.path == self.served[kind]]

    def starting(self) -> Counter[str]:
        """How many of each kind are asked for and do not serve yet."""
        return +Counter({f"{kind} engine": len(self._all[kind]) - len(self.serving(kind)) for kind in self.served})

    def forget(self) -> None:
        """They have been ended."""
        for engine in (each for engines in self._all.values() for each in engines):
            engine.let_go()
        self._all, self.served = {}, {}

    def ends(self) -> list[asyncio.Future[Any]]:
        """What will be done when one that serves is dead or broken, whether or not somebody asks it just then."""
        for engine in self._serving():
            if engine.end is None or engine.end.cancelled():
                engine.end = asyncio.ensure_future(result_of(engine.actor.until_broken.remote()))
        return [engine.end for engine in self._serving() if engine.end is not None]

    def lost(self) -> BaseException | None:
        """How one that served ended, if one has, and has not been buried."""
        for engine in self._serving():
            if engine.ended and engine.end is not None:
                return engine.end.exception() or EngineLost("it broke in a process that lives")
        return None

    def _serving(self) -> list[_Engine]:
        return [each for kind in self.served for each in self._all.get(kind, ()) if each.path is not None]

    def prepare(self, kind: Kind, count: int | None = None) -> None:
        """Starts the processes of this kind up to so many (None: all of them) and returns at once: they load their libraries
        meanwhile."""
        engines = self._all.setdefault(kind, [])
        wanted = self._config_of(kind).replicas if count is None else count
        engines += [_Engine(self._new(kind, index)) for index in range(len(engines), wanted)]

    async def serve(self, kind: Kind, path: str, count: int | None = None) -> None:
        """At least one engine of this kind with the weights at `path`, and all others on their way there; `count`: so many of
        them for now.

        Raises:
            EngineError: they cannot be started, or cannot serve it.
        """
        if self.served.get(kind) not in (None, path):
            await self._end_what_cannot_take(kind, path)
        self.prepare(kind, count)
        self.served[kind] = path
        await self._until_one_serves(kind)

    def complete(self) -> None:
        """The engines that are still missing are on their way from now on, or wait for a place."""
        for kind in self.served:
            self.prepare(kind)
            self._bring(kind)

    def joined(self) -> bool:
        """Whether engines have come to serve since this was last asked.

        Raises:
            EngineError: one cannot be started, or cannot serve the weights.
        """
        found = [self._look(kind) for kind in self.served]
        for kind in self.served:
            self._bring(kind)
        return any(found)

    async def bury(self) -> list[Kind]:
        """Starts new engines in the place of dead ones, which join when they serve; the kinds of which some were dead."""
        return [kind for kind in self.served if await self._bury(kind)]

    async def one_of_each(self) -> None:
        """Where none is left of a kind, waits until one serves.

        Raises:
            EngineError: it cannot be started.
        """
        for kind in self.served:
            await self._until_one_serves(kind)

    async def _bury(self, kind: Kind) -> bool:
        serving = [index for index, engine in enumerate(self._all[kind]) if engine.path is not None]
        lives = await asyncio.gather(*(_lives(self._all[kind][index]) for index in serving))
        dead = [index for index, alive in zip(serving, lives, strict=True) if not alive]
        for index in dead:
            self._all[kind][index].let_go()
            ray.kill(self._all[kind][index].actor)  # the process of a broken one lives, and holds its place
            self._all[kind][index] = _Engine(self._new(kind, index))
        return bool(dead)

    async def _until_one_serves(self, kind: Kind) -> None:
        self._bring(kind)
        while not self.serving(kind):
            loads = [each.loading for each in self._all[kind] if each.loading is not None]
            await one_of(loads, f"{kind} engine", self.config.cluster.silence_seconds)
            self._look(kind)
            self._bring(kind)

    def _bring(self, kind: Kind) -> None:
        """Every engine on its way to the weights asked for. A load that an earlier stage left behind is asked for again."""
        for engine in self._all[kind]:
            if engine.path != self.served[kind] and (engine.loading is None or engine.loading.done()):
                engine.loading = asyncio.ensure_future(self._load(engine, self.served[kind]))

    def _look(self, kind: Kind) -> bool:
        """Whether one has come to serve. A process that dies or hangs before that is started once more, and again while
        others serve, or have not died yet; then so is one that fails, as on a node without the model."""
        some = False
        for index, engine in enumerate(self._all[kind]):
            if engine.loading is None or not engine.loading.done():
                continue
            done, engine.loading = engine.loading, None
            if done.cancelled():
                continue
            if (error := done.exception()) is None:
                some = True
            else:
                self._once_more(kind, index, error)
        return some

    def _once_more(self, kind: Kind, index: int, error: BaseException) -> None:
        engine, failed = self._all[kind][index], is_failure(error)
        others = any(not each.tries for each in self._all[kind] if each is not engine)
        if not isinstance(error, OF_ACTORS) or ((failed or engine.tries) and not others):
            raise _explained(error, kind, self.served[kind])
        if engine.tries or failed:
            self.on_death(f"a {kind} engine that started on {node_of(error)}", error)
        _log.warning(
            "a %s engine died while it started on %s (%s); it is started again", kind, node_of(error), cause_of(error)
        )
        if not isinstance(error, LOST):  # it lives, and holds its place
            ray.kill(engine.actor)
        self._all[kind][index] = _Engine(self._new(kind, index), tries=engine.tries + 1)

    async def _load(self, engine: _Engine, path: str) -> None:
        await pause_before(engine.tries, self.config.cluster.silence_seconds)
        async with in_time(engine.actor, self.config.cluster.silence_seconds):
            await engine.actor.load.remote(path)
        engine.path, engine.tries = path, 0

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

    async def _end_what_cannot_take(self, kind: Kind, path: str) -> None:
        """Swaps the weights of the engines that serve others; where one cannot (another architecture, dead, or silent for
        longer than a hang may last) all end."""
        try:
            async with asyncio.timeout(self.config.cluster.silence_seconds):
                await asyncio.gather(*(self._load(each, path) for each in self._all[kind] if each.path is not None))
        except (TimeoutError, RayTaskError, *LOST) as error:
            _log.info("the %s engines cannot take %s (%s): new ones are started", kind, path, error or "no answer")
            for engine in self._all.pop(kind):
                engine.let_go()
                ray.kill(engine.actor)


def _explained(error: BaseException, kind: Kind, path: str) -> BaseException:
    if isinstance(error, RayTaskError):
        explained = EngineError(f"the {kind} engine cannot serve {path}: {error.cause}")
    elif isinstance(error, (EngineLost, *LOST)):
        explained = EngineError(f"the {kind} engine for {path} did not start: {error}")
    else:
        return error
    explained.__cause__ = error
    return explained


async def _lives(engine: _Engine) -> bool:
    """Whether it is neither dead nor broken; one that does not answer may only be busy, and hanging ones are `watch`'s
    business."""
    if engine.ended:
        return False
    try:
        return not await asyncio.wait_for(engine.actor.is_broken.remote(), _ANSWER_SECONDS)
    except LOST:
        return False
    except TimeoutError:
        return True

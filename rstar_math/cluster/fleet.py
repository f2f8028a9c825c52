"""Who does the work, and who is free?

Starts Ray, the engines and the search workers, hands each problem to a free worker and gives its trees back as they finish.
It holds no more problems in flight than the workers can grow at once, and sends a dead worker's problem elsewhere. It does
not know what a round is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError

from rstar_math.checkpoints import Kind
from rstar_math.cluster.actors import PolicyActor, Replicas, ScorerActor, SearchActor
from rstar_math.cluster.dispatch import Dispatch
from rstar_math.cluster.flow import Flow
from rstar_math.cluster.joining import connect, gpus_each
from rstar_math.config import EngineConfig, PolicyConfig, RunConfig, SearchConfig
from rstar_math.errors import EngineError, RstarError
from rstar_math.ports import Policy
from rstar_math.records import Problem, Tree
from rstar_math.rng import derive

_log = logging.getLogger(__name__)
_LOST = (ActorDiedError, ActorUnavailableError, RayActorError)


class _EngineLost(EngineError):
    """A worker asked an engine that is dead."""


@dataclass(frozen=True, slots=True)
class Models:
    """What a search asks: the generating policy (a model folder or an endpoint) and, where there is one, the PPM."""

    policy: str | PolicyConfig
    ppm: str | None = None


@dataclass(frozen=True, slots=True)
class Poisoned:
    """A problem that killed so many workers, the last one alone, and how that one ended."""

    problem: Problem
    deaths: int
    cause: str


@dataclass(frozen=True, slots=True)
class _Errand:
    """A problem on its way, and which worker grows it."""

    problem: Problem
    slot: int


@dataclass
class Fleet:
    """The actors of a run. One stage uses it at a time.

    `policy_actor`, `ppm_actor`, `search_actor`: what an engine and a worker are; scripted ones where the cluster is measured.
    """

    config: RunConfig
    policy_actor: type = PolicyActor
    ppm_actor: type = ScorerActor
    search_actor: type = SearchActor
    _engines: dict[Kind, list[Any]] = field(default_factory=dict)
    #: The weights of those that have been loaded.
    _served: dict[Kind, str] = field(default_factory=dict)
    _workers: list[Any] = field(default_factory=list)
    #: How many workers died in the last `grow`, and what its engines draw from.
    _deaths: int = 0
    _seed: int = 0

    async def grow(
        self, problems: Iterable[Problem], models: Models, plan: SearchConfig, *, seed: int, graded: bool
    ) -> AsyncGenerator[list[Tree] | Poisoned, None]:
        """The trees of every problem, in the order in which they finish, or what became of one that kills its workers.

        Raises:
            EngineError: an engine cannot be started, or engines and workers died too often.
        """
        await self.open(models, seed)
        self._deaths = 0
        slots, flow = range(len(self._workers)), self._flow(models)
        dispatch = Dispatch(iter(problems), len(slots), flow.room, self.config.cluster.deaths_per_problem)
        running: dict[asyncio.Future[list[Tree]], _Errand] = {}

        def start_what_is_due() -> None:
            for slot in slots:
                for problem in dispatch.due(slot):
                    call = self._workers[slot].grow.remote(problem, plan, seed, graded)
                    running[asyncio.ensure_future(_result(call))] = _Errand(problem, slot)

        try:
            start_what_is_due()
            while running:
                finished, _ = await asyncio.wait(running, timeout=flow.pause, return_when=asyncio.FIRST_COMPLETED)
                dispatch.room = await self._room(flow, len(running) / len(slots))
                dead: dict[int, BaseException] = {}
                for future in finished:
                    errand, error = running.pop(future), future.exception()
                    if isinstance(error, _LOST):
                        dead[errand.slot] = error
                    elif isinstance(error, _EngineLost):
                        dispatch.again(errand.slot, errand.problem)
                        await self._revive(error, models)
                    else:
                        dispatch.finished(errand.slot, errand.problem)
                        yield future.result()
                for slot, error in dead.items():
                    _forget(running, slot)
                    if culprit := await self._bury(slot, error, dispatch, models):
                        yield culprit
                start_what_is_due()
        finally:
            _forget(running)

    def _flow(self, models: Models) -> Flow:
        asked = self.config.cluster.trees_in_flight
        if asked != "auto":
            return Flow(asked, measured=False)
        if isinstance(models.policy, PolicyConfig):  # every tree has a request under way, so these are enough
            return Flow(models.policy.concurrency, measured=False)
        return Flow()

    async def _room(self, flow: Flow, running: float) -> int:
        """The room that each worker has now; looks from time to time how full the policy engines' batches are on average."""
        if not flow.is_due():
            return flow.room
        asked = (actor.filled.remote() for actor in self._engines["policy"])
        shares = await asyncio.gather(*asked, return_exceptions=True)
        known = [share for share in shares if not isinstance(share, BaseException)]  # a dead one is not looked at here
        return flow.hear(sum(known) / len(known) if known else 1.0, running)

    async def policy(self, path: str, seed: int = 0) -> Policy:
        """The policy engines with the weights at `path`, for questions that no search asks."""
        connect(self.config)
        self._seed = seed
        await self._serve("policy", path)
        return Replicas(self._engines["policy"])

    async def ask_engine(self, kind: Kind, method: str) -> Any:
        """What a method of the first engine of this kind ("policy" or "ppm") says."""
        return await _result(getattr(self._engines[kind][0], method).remote())

    async def stage_over(self) -> None:
        """A process lives no longer than its stage, unless `cluster.keep_engines` says that training needs no room."""
        if not self.config.cluster.keep_engines:
            await self.release()

    async def release(self) -> None:
        """Ends all actors, sandboxes and judges first."""
        closing = [asyncio.ensure_future(_result(worker.close.remote())) for worker in self._workers]
        if closing:
            _, hanging = await asyncio.wait(closing, timeout=self.config.cluster.shutdown_grace_seconds)
            for future in hanging:
                future.cancel()
        for actor in [*self._workers, *(actor for actors in self._engines.values() for actor in actors)]:
            ray.kill(actor)
        self._workers, self._engines, self._served = [], {}, {}

    async def open(self, models: Models, seed: int = 0) -> None:
        """Starts what is not there yet; `grow` does so by itself. Engines that are started draw from `seed`, others go on.

        Raises:
            ConfigError, EngineError: the cluster is too small, or an engine cannot be started.
        """
        connect(self.config)
        self._seed = seed
        opening = []
        if isinstance(models.policy, str):
            opening.append(self._serve("policy", models.policy))
        if models.ppm is not None:
            opening.append(self._serve("ppm", models.ppm))
        await asyncio.gather(*opening)
        while len(self._workers) < self.config.cluster.search_workers:
            self._workers.append(self._worker())
        await asyncio.gather(*(self._connect_worker(worker, models) for worker in self._workers))

    def prepare(self, kind: Kind) -> None:
        """Starts the processes of the engines of this kind, if there are none, and returns at once: they load their
        libraries meanwhile."""
        if kind in self._engines:
            return
        connect(self.config)
        replicas = self._kinds()[kind][1].replicas
        self._engines[kind] = [self._engine(kind, index) for index in range(replicas)]

    def _kinds(self) -> dict[Kind, tuple[type, EngineConfig]]:
        return {
            "policy": (self.policy_actor, self.config.engine),
            "ppm": (self.ppm_actor, self.config.ppm_engine),
        }

    def _engine(self, kind: Kind, index: int) -> Any:
        actor_class, config = self._kinds()[kind]
        options = {"num_cpus": config.cpus, "num_gpus": gpus_each(config), "max_concurrency": 4096}
        return ray.remote(actor_class).options(**options).remote(self._seeded(config, kind, index))

    async def _serve(self, kind: Kind, path: str) -> None:
        """Engines of one kind with the weights at `path`: new ones, or those at hand with their weights swapped."""
        if self._served.get(kind) == path:
            return
        if kind in self._served:
            await self._end_what_cannot_take(kind, path)
        try:
            if kind not in self._served:
                self.prepare(kind)
                await self._load(kind, path)
        except RayTaskError as error:
            raise EngineError(f"the {kind} engine cannot serve {path}: {error.cause}") from error
        except _LOST as error:
            raise EngineError(f"the {kind} engine for {path} did not start: {error}") from error
        self._served[kind] = path

    async def _load(self, kind: Kind, path: str) -> None:
        await asyncio.gather(*(actor.load.remote(path) for actor in self._engines[kind]))

    async def _end_what_cannot_take(self, kind: Kind, path: str) -> None:
        """Swaps the weights of the engines at hand; those that cannot (another architecture) are ended."""
        try:
            await self._load(kind, path)
        except RayTaskError as error:
            _log.info("the %s engines cannot take %s (%s): new ones are started", kind, path, error.cause)
            for actor in self._engines.pop(kind):
                ray.kill(actor)
            del self._served[kind]

    def _seeded(self, config: EngineConfig, kind: Kind, index: int) -> EngineConfig:
        """Replicas that draw alike would grow the same steps twice; vLLM's own default is one seed for all."""
        seed = derive(self._seed, kind, index) & 0x7FFFFFFF
        return replace(config, extra={"seed": seed, **config.extra})

    def _worker(self) -> Any:
        options = {"num_cpus": self.config.cluster.search_cpus, "max_concurrency": 4096}
        return ray.remote(self.search_actor).options(**options).remote(self.config.sandbox, self.config.grading)

    async def _connect_worker(self, worker: Any, models: Models) -> None:
        policy = self._engines["policy"] if isinstance(models.policy, str) else models.policy
        try:
            await _result(worker.open.remote(policy, self._engines["ppm"] if models.ppm is not None else []))
        except _LOST as error:
            raise EngineError(f"a search worker did not start: {error}; look at its machine's memory") from error

    def _count_death(self, what: str, error: BaseException) -> None:
        limit = self.config.cluster.deaths_per_stage
        self._deaths += 1
        if self._deaths >= limit:
            raise EngineError(
                f"engines and search workers died {self._deaths} times in one stage, the last one, {what}, so: "
                f"{_cause(error)}; look at their memory, lower cluster.trees_in_flight (or allow more with "
                f"cluster.deaths_per_stage, now {limit}) and start the same command again: every tree written is kept"
            )

    async def _revive(self, error: BaseException, models: Models) -> None:
        """New engines in the place of dead ones, if some are still dead; every worker is told of them."""
        revived = False
        for kind, path in self._served.items():
            for index, actor in enumerate(self._engines[kind]):
                try:
                    await actor.__ray_ready__.remote()
                except _LOST:
                    self._count_death(f"a {kind} engine", error)
                    _log.warning("a %s engine died (%s); another one is started", kind, _cause(error))
                    self._engines[kind][index] = self._engine(kind, index)
                    await _result(self._engines[kind][index].load.remote(path))
                    revived = True
        if revived:
            await asyncio.gather(*(self._connect_worker(worker, models) for worker in self._workers))

    async def _bury(self, slot: int, error: BaseException, dispatch: Dispatch, models: Models) -> Poisoned | None:
        """A new worker in a dead one's place; what the old one was growing is tried again apart, or found out."""
        self._count_death("a search worker", error)
        culprit = dispatch.died(slot)
        _log.warning(
            "a search worker died; %s", f"{culprit.id} is set aside" if culprit else "its problems are tried again"
        )
        ray.kill(self._workers[slot])
        self._workers[slot] = self._worker()
        await self._connect_worker(self._workers[slot], models)
        return Poisoned(culprit, dispatch.deaths[culprit.id], _cause(error)) if culprit else None


def _cause(error: BaseException) -> str:
    """Ray's many lines on a death in one: the last says how the process ended."""
    return str(error).strip().splitlines()[-1][:300]


def _forget(running: dict[asyncio.Future[list[Tree]], _Errand], slot: int | None = None) -> None:
    """Waits no longer for what a worker was growing (None: any worker)."""
    for future in [future for future, errand in running.items() if slot in (None, errand.slot)]:
        future.cancel()
        del running[future]


async def _result(call: Any) -> Any:
    """What a remote call gave; an error of ours comes back as itself, not wrapped in Ray's."""
    try:
        return await call
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, RstarError):
            raise cause from None
        if isinstance(cause, _LOST):
            raise _EngineLost(
                f"an engine died during the search ({cause}); every tree written is kept, the same command continues"
            ) from error
        raise

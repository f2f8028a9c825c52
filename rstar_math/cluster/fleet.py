"""Who does the work, and who is free?

Starts Ray, the engines and the search workers, hands each problem to a free worker and gives its trees back as they finish.
It holds no more problems in flight than the workers can grow at once, and sends a dead worker's problem elsewhere. It does
not know what a round is.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError

from rstar_math.cluster.actors import PolicyActor, ScorerActor, SearchActor
from rstar_math.config import EngineConfig, PolicyConfig, RunConfig, SearchConfig
from rstar_math.errors import ConfigError, EngineError, RstarError
from rstar_math.records import Problem, Tree
from rstar_math.rng import derive

_log = logging.getLogger(__name__)
_LOST = (ActorDiedError, ActorUnavailableError, RayActorError)


@dataclass(frozen=True, slots=True)
class Models:
    """What a search asks: the generating policy (a model folder or an endpoint) and, where there is one, the PPM."""

    policy: str | PolicyConfig
    ppm: str | None = None


@dataclass(frozen=True, slots=True)
class _Errand:
    """A problem on its way: which slot's worker grows it, and which actor that was."""

    problem: Problem
    slot: int
    worker: Any


@dataclass
class Fleet:
    """The actors of a run. One stage uses it at a time.

    `policy_actor`, `ppm_actor`, `search_actor`: what an engine and a worker are; scripted ones where the cluster is measured.
    """

    config: RunConfig
    policy_actor: type = PolicyActor
    ppm_actor: type = ScorerActor
    search_actor: type = SearchActor
    _engines: dict[str, list[Any]] = field(default_factory=dict)
    _served: dict[str, str] = field(default_factory=dict)
    _workers: list[Any] = field(default_factory=list)

    async def grow(
        self, problems: Iterable[Problem], models: Models, plan: SearchConfig, *, seed: int, graded: bool
    ) -> AsyncGenerator[list[Tree], None]:
        """The trees of every problem, in the order in which they finish.

        Raises:
            EngineError: an engine cannot be started, or workers died too often on one problem.
        """
        await self.open(models)
        waiting = iter(problems)
        deaths: Counter[str] = Counter()
        running: dict[asyncio.Future[list[Tree]], _Errand] = {}

        def start(problem: Problem, slot: int) -> None:
            worker = self._workers[slot]
            call = worker.grow.remote(problem, plan, seed, graded)
            running[asyncio.ensure_future(_result(call))] = _Errand(problem, slot, worker)

        for place in range(self.config.cluster.trees_in_flight * len(self._workers)):
            problem = next(waiting, None)
            if problem is not None:
                start(problem, place % len(self._workers))
        try:
            while running:
                finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for future in finished:
                    errand = running.pop(future)
                    if isinstance(future.exception(), _LOST):
                        self._count_death(errand.problem, deaths)
                        await self._replace(errand, models)
                        start(errand.problem, errand.slot)
                        continue
                    yield future.result()
                    following = next(waiting, None)
                    if following is not None:
                        start(following, errand.slot)
        finally:
            for future in running:
                future.cancel()

    async def ask_engine(self, kind: str, method: str) -> Any:
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

    async def open(self, models: Models) -> None:
        """Starts what is not there yet; `grow` does so by itself.

        Raises:
            ConfigError, EngineError: the cluster is too small, or an engine cannot be started.
        """
        connect(self.config)
        opening = []
        if isinstance(models.policy, str):
            opening.append(self._serve("policy", self.policy_actor, models.policy, self.config.engine))
        if models.ppm is not None:
            opening.append(self._serve("ppm", self.ppm_actor, models.ppm, self.config.ppm_engine))
        await asyncio.gather(*opening)
        while len(self._workers) < self.config.cluster.search_workers:
            self._workers.append(self._worker())
        await asyncio.gather(*(self._connect_worker(worker, models) for worker in self._workers))

    async def _serve(self, kind: str, actor_class: type, path: str, config: EngineConfig) -> None:
        """Engines of one kind with the weights at `path`: new ones, or those at hand with their weights swapped."""
        if self._served.get(kind) == path:
            return
        try:
            if not await self._reloaded(kind, path):
                options = {"num_cpus": config.cpus, "num_gpus": gpus_each(config), "max_concurrency": 4096}
                remote = ray.remote(actor_class).options(**options)
                self._engines[kind] = [
                    remote.remote(path, self._seeded(config, kind, index)) for index in range(config.replicas)
                ]
                await asyncio.gather(*(actor.__ray_ready__.remote() for actor in self._engines[kind]))
        except RayTaskError as error:
            raise EngineError(f"the {kind} engine cannot serve {path}: {error.cause}") from error
        except _LOST as error:
            raise EngineError(f"the {kind} engine for {path} did not start: {error}") from error
        self._served[kind] = path

    async def _reloaded(self, kind: str, path: str) -> bool:
        """Whether the engines at hand took the new weights; those that cannot (another architecture) are ended."""
        if kind not in self._engines:
            return False
        try:
            await asyncio.gather(*(actor.load.remote(path) for actor in self._engines[kind]))
        except RayTaskError as error:
            _log.info("the %s engines cannot take %s (%s): new ones are started", kind, path, error.cause)
            for actor in self._engines.pop(kind):
                ray.kill(actor)
            return False
        return True

    def _seeded(self, config: EngineConfig, kind: str, index: int) -> EngineConfig:
        """Replicas that draw alike would grow the same steps twice; vLLM's own default is one seed for all."""
        seed = derive(self.config.seed, kind, index) & 0x7FFFFFFF
        return replace(config, extra={"seed": seed, **config.extra})

    def _worker(self) -> Any:
        options = {"num_cpus": self.config.cluster.search_cpus, "max_concurrency": 4096}
        return ray.remote(self.search_actor).options(**options).remote(self.config.sandbox, self.config.grading)

    async def _connect_worker(self, worker: Any, models: Models) -> None:
        policy = self._engines["policy"] if isinstance(models.policy, str) else models.policy
        await _result(worker.open.remote(policy, self._engines["ppm"] if models.ppm is not None else []))

    async def _replace(self, errand: _Errand, models: Models) -> None:
        """A new worker in the dead one's place, once, however many problems died with it."""
        if self._workers[errand.slot] is errand.worker:
            ray.kill(errand.worker)
            self._workers[errand.slot] = self._worker()
            await self._connect_worker(self._workers[errand.slot], models)

    def _count_death(self, problem: Problem, deaths: Counter[str]) -> None:
        deaths[problem.id] += 1
        if deaths[problem.id] >= self.config.cluster.deaths_per_problem:
            raise EngineError(
                f"search workers died {deaths[problem.id]} times while problem {problem.id!r} and those beside it were "
                "grown; look at the workers' memory, lower cluster.trees_in_flight, and start the same command again: "
                "every tree written is kept"
            )
        _log.warning("a search worker died on problem %s; it is tried again elsewhere", problem.id)


async def _result(call: Any) -> Any:
    """What a remote call gave; an error of ours comes back as itself, not wrapped in Ray's."""
    try:
        return await call
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, RstarError):
            raise cause from None
        if isinstance(cause, _LOST):
            raise EngineError(
                f"an engine died during the search ({cause}); every tree written is kept, the same command continues"
            ) from error
        raise


def gpus_each(config: EngineConfig) -> float:
    """GPUs one engine asks for: none where the cluster has none."""
    return config.gpus * config.tensor_parallel if ray.cluster_resources().get("GPU", 0) else 0.0


def connect(config: RunConfig) -> None:
    """Joins the cluster, or starts one on this machine for this run; checks that it can hold what the run asks of it.

    Raises:
        ConfigError: the engines and workers ask for more CPUs than the cluster has.
    """
    if not ray.is_initialized():
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        logging.getLogger("ray").setLevel(logging.ERROR)  # errors keep their message, advice stays in Ray's own logs
        ray.init(
            address=config.cluster.address,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            runtime_env=quoted_interpreter(),
        )
    there = ray.cluster_resources()
    if (asked := _asked_cpus(config)) > there.get("CPU", 0.0):
        raise ConfigError(
            f"the run asks for {asked:g} CPUs at once and the cluster has {there.get('CPU', 0.0):g}; lower engine.cpus, "
            "ppm_engine.cpus, cluster.search_cpus or cluster.search_workers, or add nodes"
        )
    gpus = sum(engine.replicas * gpus_each(engine) for engine in (config.engine, config.ppm_engine))
    if gpus > there.get("GPU", 0.0):
        raise ConfigError(
            f"the engines ask for {gpus:g} GPUs at once and the cluster has {there['GPU']:g}; lower engine.replicas, "
            "engine.gpus, ppm_engine.replicas or ppm_engine.gpus (cluster=1gpu fits one), or add nodes"
        )


def quoted_interpreter() -> dict[str, str] | None:
    """Where the interpreter's path has a space, Ray has to be given it quoted: it starts some workers through a shell."""
    quoted = shlex.quote(sys.executable)
    return {"py_executable": quoted} if quoted != sys.executable else None


def _asked_cpus(config: RunConfig) -> float:
    engines: Sequence[EngineConfig] = (config.engine, config.ppm_engine)
    return (
        sum(engine.replicas * engine.cpus for engine in engines)
        + config.cluster.search_workers * config.cluster.search_cpus
    )

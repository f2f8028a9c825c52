"""Who does the work, and who is free?

Starts Ray, the engines and the search workers, hands each problem to a free worker and gives its trees back as they finish.
It holds no more problems in flight than the workers can grow at once, and sends a dead worker's problem elsewhere. It does
not know what a round is.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Set
from dataclasses import dataclass, field
from typing import Any

import ray

from rstar_math.checkpoints import Kind
from rstar_math.cluster.actors import PolicyActor, ScorerActor, SearchActor
from rstar_math.cluster.crew import Asked, Crew, share_of
from rstar_math.cluster.dispatch import Dispatch, Poisoned
from rstar_math.cluster.engines import Engines
from rstar_math.cluster.errands import Ended, Errand, Running, ended, forget, given_back, tried_again
from rstar_math.cluster.flow import Flow, fullest
from rstar_math.cluster.holding import Demand, connect, fits
from rstar_math.cluster.remote import cause_of, result_of
from rstar_math.cluster.standing import Standing
from rstar_math.cluster.watch import Silence, Watched, hanging
from rstar_math.config import PolicyConfig, RunConfig, SearchConfig
from rstar_math.errors import EngineError
from rstar_math.ports import Policy, Scorer
from rstar_math.records import Problem, Tree

_log = logging.getLogger(__name__)
#: Where weeks of work go on well, deaths add up as well: one more is allowed for every so many problems grown.
_PROBLEMS_PER_DEATH = 100
#: A worker that finds an engine dead so often, which lives, is cut off from it.
_CUT_OFF = 3


@dataclass(frozen=True, slots=True)
class Models:
    """What a search asks: the generating policy (a model folder or an endpoint) and, where there is one, the PPM."""

    policy: str | PolicyConfig
    ppm: str | None = None

    @property
    def weights(self) -> dict[Kind, str]:
        """Kind of the engines that it takes -> what they load."""
        weights: dict[Kind, str] = {"policy": self.policy} if isinstance(self.policy, str) else {}
        return weights | ({"ppm": self.ppm} if self.ppm is not None else {})


@dataclass
class Fleet:
    """The actors of a run. One stage uses it at a time.

    `policy_actor`, `ppm_actor`, `search_actor`: what an engine and a worker are; scripted ones where the cluster is measured.
    """

    config: RunConfig
    policy_actor: type = PolicyActor
    ppm_actor: type = ScorerActor
    search_actor: type = SearchActor
    #: What the rest of the run asks of the cluster.
    to_come: Demand = field(default_factory=Demand)
    #: How many engines and workers died in the last `grow`, and how many problems were grown.
    _deaths: int = 0
    _grown: int = 0
    #: How often workers were told whom to ask, of which kinds engines were buried, and how often each worker found an engine
    #: dead that lives.
    _told: int = 0
    _buried: list[Kind] = field(default_factory=list)
    _at_odds: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._engines = Engines(self.config, self.policy_actor, self.ppm_actor, self._count_death)
        self._crew = Crew(self.config, self.search_actor, self._count_death)

    async def grow(
        self, problems: Iterable[Problem], models: Models, plan: SearchConfig, *, seed: int, graded: bool
    ) -> AsyncGenerator[list[Tree] | Poisoned, None]:
        """The trees of every problem, in the order in which they finish, or what became of one that kills its workers.

        Raises:
            EngineError: an engine cannot be started, or engines and workers died too often.
        """
        self._deaths = self._grown = 0
        self._at_odds.clear()
        await self.open(models, seed)
        slots, flow = self.config.cluster.search_workers, self._flow(models)
        dispatch = Dispatch(iter(problems), slots, flow.room, self.config.cluster.deaths_per_problem)
        running: Running = {}
        silence = Silence(self.config.cluster.silence_seconds)

        def start_what_is_due() -> None:
            dispatch.ready = self._crew.ready
            for slot in dispatch.ready:
                for problem in dispatch.due(slot):
                    call = self._crew.workers[slot].grow.remote(problem, plan, seed, graded)
                    running[asyncio.ensure_future(result_of(call))] = Errand(
                        problem, slot, self._told, len(self._buried)
                    )

        try:
            start_what_is_due()
            while running or (dispatch.left and self._crew.waited_for):
                patience = min(silence.left, flow.pause or silence.left)
                ends = {*running, *self._crew.waited_for, *self._engines.ends()}
                await asyncio.wait(ends, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                under_way, found = len(running), ended(running, dispatch)
                for trees in found.trees:
                    self._grown += 1
                    yield trees
                if found.fatal:
                    raise found.fatal[0]
                async for culprit in self._mourn(found, running, dispatch, models):
                    yield culprit
                await self._wake(silence, some=bool(found.trees))
                await self._welcome(models)
                dispatch.room = await self._room(flow, under_way, models)
                start_what_is_due()
        finally:
            forget(running)

    async def _mourn(
        self, found: Ended, running: Running, dispatch: Dispatch, models: Models
    ) -> AsyncGenerator[Poisoned, None]:
        """Others in the place of all who died; what those were at work on is tried again, or found out."""
        for slot, error in found.dead.items():
            forget(running, slot)
            if culprit := self._bury(slot, error, dispatch, models):
                yield culprit
        for slot in await self._revive(found, models):
            given_back(running, slot, dispatch)
        for problem, cause in tried_again(found, dispatch, self._buried):
            yield Poisoned(problem, dispatch.deaths[problem.id], cause)

    def _flow(self, models: Models) -> Flow:
        asked = self.config.cluster.trees_in_flight
        if asked == "auto" and isinstance(models.policy, PolicyConfig):
            asked = share_of(models.policy, self.config.cluster.search_workers).concurrency  # a request for each tree
        return Flow() if asked == "auto" else Flow(asked, measured=False)

    async def _room(self, flow: Flow, running: int, models: Models) -> int:
        """The room that each worker has now; looks from time to time how full engines, sandboxes and judges are."""
        if not flow.is_due():
            return flow.room
        workers = [self._crew.workers[slot] for slot in self._crew.ready]
        scorers = self._engines.serving("ppm") if models.ppm is not None else []
        filled = await fullest((self._engines.serving("policy"), scorers, workers))
        # Of the workers that are there: those that wait for a place in the cluster, perhaps for ever, grow nothing.
        return flow.hear(filled, running / max(len(workers), 1))

    async def _wake(self, silence: Silence, *, some: bool) -> None:
        """Where nothing has finished for long: says who does what, and ends those that hang; others then take their place."""
        over = not silence.left
        if some or over:
            silence.broken()
        if some or not over:
            return
        actors = [Watched("search worker", self._crew.workers[slot]) for slot in self._crew.ready]
        actors += [
            Watched(f"{kind} engine", each) for kind in self._engines.served for each in self._engines.serving(kind)
        ]
        hung, words = await hanging(actors, silence.limit)
        starting = self._engines.starting() + Counter({"search worker": len(self._crew.waited_for)})
        words += [f"{count} x {what} still starting" for what, count in sorted(starting.items())]
        _log.warning("no tree finished for %.0f s: %s", silence.limit, ", ".join(words))
        for watched in hung:
            ray.kill(watched.actor)

    @property
    def promises(self) -> dict[str, list[str]]:
        """What the sandboxes of all search workers so far promise: what holds each, or why it is not held."""
        return {name: sorted(words) for name, words in self._crew.promises.items()}

    async def policy(self, path: str, seed: int = 0) -> Policy:
        """The policy engines with the weights at `path`, for questions that no search asks."""
        self._engines.seed = seed
        return await self._standing("policy", path)

    async def scorer(self, path: str) -> Scorer:
        """The PPM engines with the weights at `path`, for solutions that are there already."""
        return await self._standing("ppm", path)

    async def _standing(self, kind: Kind, path: str) -> Standing:
        await self._make_way({kind}, search=False)
        self._deaths = self._grown = 0
        await self._engines.serve(kind, path)
        return Standing(self._engines, kind, Silence(self.config.cluster.silence_seconds), self._count_death)

    async def ask_engine(self, kind: Kind, method: str) -> Any:
        """What a method of the first engine of this kind ("policy" or "ppm") says."""
        return await result_of(getattr(self._engines.serving(kind)[0], method).remote())

    async def stage_over(self) -> None:
        """A process lives no longer than its stage, unless `cluster.keep_engines` says that training needs no room."""
        if not self.config.cluster.keep_engines:
            await self.release()

    async def release(self, seconds: float | None = None) -> None:
        """Ends all actors, sandboxes and judges first, which may take so many seconds (None: the grace of a stopped run)."""
        await self._crew.close(self.config.cluster.shutdown_grace_seconds if seconds is None else seconds)
        for actor in self._engines.all():
            ray.kill(actor)
        self._engines.forget()

    async def open(self, models: Models, seed: int = 0) -> None:
        """Starts what is not there yet; `grow` does so by itself. Engines that are started draw from `seed`, others go on.

        Raises:
            ConfigError, EngineError: the cluster is too small, or an engine cannot be started.
        """
        weights = models.weights
        room = await self._make_way(weights.keys(), search=True)
        first = None if room else 1  # else two engines could take the place of the only worker
        self._engines.seed = seed
        await asyncio.gather(*(self._engines.serve(kind, path, first) for kind, path in weights.items()))
        await self._crew.open(self._asked(models), together=room)
        self._engines.complete()
        self._crew.complete(self._asked(models))

    def look_ahead(self) -> None:
        """Whether the cluster can hold what is to come, if anything is; raises as `connect`."""
        if self.to_come != Demand():
            connect(self.config, self.to_come)

    async def _make_way(self, asked: Set[Kind], *, search: bool) -> bool:
        """Whether there is room for all at once that is asked now and later. Ends all actors where those of an earlier search
        may be in the way of a kind that is not there: it would wait for ever."""
        demand = self.to_come.and_now(asked, search=search)
        room = connect(self.config, demand)
        if asked - self._engines.served.keys():
            beside = demand.and_now(self._engines.kinds, search=search or bool(self._crew.workers))
            if not (room and fits(self.config, beside)):
                await self.release()
        return room

    def prepare(self, kind: Kind) -> None:
        """Starts the processes of the engines of this kind, if there are none and they will be asked, and returns at once."""
        if kind in self.to_come.engines and fits(self.config, self.to_come):
            self._engines.prepare(kind)

    def _asked(self, models: Models) -> Asked:
        policy = (
            self._engines.serving("policy")
            if isinstance(models.policy, str)
            else share_of(models.policy, self.config.cluster.search_workers)
        )
        return Asked(policy, self._engines.serving("ppm") if models.ppm is not None else ())

    async def _welcome(self, models: Models) -> None:
        """Workers and engines that have become ready take part from now on."""
        some = self._crew.take_in(self._asked(models))
        if self._engines.joined() or some:  # a worker that was being started may know of engines that have died since
            await self._tell(models)

    async def _tell(self, models: Models) -> None:
        self._told += 1
        await self._crew.tell(self._asked(models))

    def _count_death(self, what: str, error: BaseException) -> None:
        limit = self.config.cluster.deaths_per_stage
        self._deaths += 1
        if self._deaths >= limit + self._grown // _PROBLEMS_PER_DEATH:
            raise EngineError(
                f"engines and search workers died {self._deaths} times in one stage, in which {self._grown} problems were "
                f"grown, the last one, {what}, so: "
                f"{cause_of(error)}; look at their memory, lower cluster.trees_in_flight (or allow more with "
                f"cluster.deaths_per_stage, now {limit}) and start the same command again: every tree written is kept"
            )

    async def _revive(self, found: Ended, models: Models) -> list[int]:
        """New engines in the place of dead ones, if some are still dead; until they serve the others do all the work. Where
        none is, who says so may know of one that is gone already, or be cut off from one that lives: the slots of workers
        that have said so too often, for which others are started."""
        said = found.unanswered[-1][1] if found.unanswered else None
        error = said or self._engines.lost()
        if error is None:
            return []
        for kind in (dead := await self._engines.bury()):
            self._buried.append(kind)
            self._count_death(f"a {kind} engine", error)
            _log.warning("a %s engine died (%s); another one is started", kind, cause_of(error))
        if dead:
            await self._engines.one_of_each()
        # Those that were told of living engines only.
        at_odds = {errand.slot for errand, _ in found.unanswered if errand.told == self._told} - found.dead.keys()
        cut_off = [slot for slot in at_odds if not dead and self._is_cut_off(slot, error)]
        if dead or at_odds:
            await self._tell(models)
        for slot in cut_off:
            self._crew.replace(slot, self._asked(models))
        return cut_off

    def _is_cut_off(self, slot: int, error: BaseException) -> bool:
        """Counts that a worker found an engine dead that lives."""
        self._at_odds[slot] += 1
        if self._at_odds[slot] < _CUT_OFF:
            _log.warning("a search worker does not reach an engine that lives (%s); it tries again", cause_of(error))
            return False
        del self._at_odds[slot]
        _log.warning("a search worker cannot reach an engine that lives; another worker takes its place")
        self._count_death("a search worker that reached no engine", error)
        return True

    def _bury(self, slot: int, error: BaseException, dispatch: Dispatch, models: Models) -> Poisoned | None:
        """A new worker in a dead one's place; what the old one was growing is tried again apart, or found out."""
        self._count_death("a search worker", error)
        culprit = dispatch.died(slot)
        _log.warning(
            "a search worker died; %s", f"{culprit.id} is set aside" if culprit else "its problems are tried again"
        )
        self._crew.replace(slot, self._asked(models))
        del self._at_odds[slot]
        return Poisoned(culprit, dispatch.deaths[culprit.id], cause_of(error)) if culprit else None

"""What lives in a process of its own?

Three kinds of Ray actors: a policy engine, a PPM engine, and a search worker with its own sandbox and judge. Each wraps one
door; the rules stand behind the doors. Heavy libraries are imported inside the actor's process only.
"""

from __future__ import annotations

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from zlib import crc32

from rstar_math import text
from rstar_math.checkpoints import Kind
from rstar_math.cluster.remote import LOST, cause_of, result_of
from rstar_math.config import EngineConfig, GradingConfig, PolicyConfig, SandboxConfig, SearchConfig
from rstar_math.errors import EngineError, EngineLost
from rstar_math.ports import Judge, Policy, Sandbox, Scorer
from rstar_math.records import Execution, Grade, Problem, Program, Proposal, Sampling, Transcript, Tree
from rstar_math.search.expansion import Doors
from rstar_math.search.forest import grow

if TYPE_CHECKING:
    from rstar_math.engines.vllm_policy import VllmPolicy
    from rstar_math.engines.vllm_ppm import VllmScorer
    from rstar_math.sandbox import Promise


#: So often an engine looks whether it is broken.
_LOOKS_SECONDS = 1.0


Engine = TypeVar("Engine", bound="VllmPolicy | VllmScorer")


class _EngineActor(ABC, Generic[Engine]):
    """A vLLM engine of either kind, once `load` has named its weights."""

    def __init__(self, config: EngineConfig) -> None:
        """Begins to load vLLM's libraries, which takes longer than a small engine's own start and needs no weights yet. It is
        waited for in `load`: until it is made Ray cannot tell an actor that hangs from one that has no place."""
        from rstar_math.engines.loop import load_libraries

        self._config = config
        self._engine: Engine | None = None
        self._libraries = ThreadPoolExecutor(1).submit(load_libraries, config)

    async def load(self, path: str) -> None:
        """Starts the engine, or swaps its weights and forgets cached prefixes."""
        try:
            await asyncio.wrap_future(self._libraries)
        except (ImportError, OSError) as error:
            raise EngineError(f"its libraries cannot be loaded: {error}") from error
        # Nothing is waited for between these two lines: asked twice, it would start two.
        if self._engine is None:
            self._engine = self._start(path)
        else:
            await self._engine.load(path)

    async def is_broken(self) -> bool:
        """Whether it answers nothing any more, though its process lives."""
        return self._engine is not None and self._engine.is_broken

    async def until_broken(self) -> None:
        """Comes back once it is broken; who waits for it hears of its process's end as well."""
        while not await self.is_broken():
            await asyncio.sleep(_LOOKS_SECONDS)

    async def getting_nowhere_seconds(self) -> float:
        """How long it has been asked something and has taken no step; 0 while nothing is asked."""
        return self._engine.getting_nowhere_seconds if self._engine else 0.0

    async def filled(self) -> float:
        """Sequences under way, of those that the engine works at at once."""
        return self._engine.under_way / self._config.max_sequences if self._engine else 0.0

    @abstractmethod
    def _start(self, path: str) -> Engine:
        """A new engine of its kind with the weights in `path`."""

    def _loaded(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("load() comes before any question")
        return self._engine


class PolicyActor(_EngineActor["VllmPolicy"]):
    """Says what the policy would say next."""

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        """See `ports.Policy`."""
        return await self._loaded().propose(transcript, count, sampling)

    def _start(self, path: str) -> VllmPolicy:
        from rstar_math.engines.vllm_policy import VllmPolicy

        return VllmPolicy(path, self._config)


class ScorerActor(_EngineActor["VllmScorer"]):
    """Says what a path is worth."""

    async def score(self, transcripts: Sequence[Transcript]) -> list[float]:
        """See `ports.Scorer`."""
        return await self._loaded().score(transcripts)

    def _start(self, path: str) -> VllmScorer:
        from rstar_math.engines.vllm_ppm import VllmScorer

        return VllmScorer(path, self._config)


#: A replica is clearly busier with more than so many times the requests of another, and so many more: chance alone sends one
#: of two a tenth more of a hundred trees, and a batch of four takes hardly longer than one of one.
_BUSIER, _MORE = 1.25, 4


@dataclass(slots=True)
class _Replica:
    actor: Any
    busy: int = 0


class Replicas:
    """Engines of one kind as one door.

    All requests for a question go to one replica, which has the steps so far in its cache of prefixes already; where that one
    is clearly busier than another, to the one with the fewest under way. What one did not answer before it died is asked of
    another, so that its searches go on; where that one dies of it too, or none is left, it is said.
    """

    def __init__(self, actors: Sequence[Any]) -> None:
        self._replicas: list[_Replica] = []
        self.are_now(actors)

    def are_now(self, actors: Sequence[Any]) -> None:
        """From now on these are asked, also by searches that are under way."""
        before = [(replica.actor, replica) for replica in self._replicas]
        self._replicas = [
            next((replica for known, replica in before if known == actor), _Replica(actor)) for actor in actors
        ]

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        """See `ports.Policy`."""
        proposals: list[Proposal] = await self._ask("propose", transcript[:1], transcript, count, sampling)
        return proposals

    async def score(self, transcripts: Sequence[Transcript]) -> list[float]:
        """See `ports.Scorer`."""
        scores: list[float] = await self._ask("score", transcripts[0][:1] if transcripts else (), transcripts)
        return scores

    def _whose(self, question: Transcript) -> _Replica:
        least = min(self._replicas, key=lambda candidate: candidate.busy)
        own = self._replicas[crc32(text.join(question).encode()) % len(self._replicas)]
        return own if own.busy <= _BUSIER * least.busy + _MORE else least

    async def _ask(self, method: str, question: Transcript, *arguments: Any) -> Any:
        suspicious = False  # it was asked of one that died then
        while True:
            replica = self._whose(question)
            replica.busy += 1
            alive = not suspicious
            try:
                alive = alive or not await replica.actor.is_broken.remote()  # one dead before that says nothing
                return await result_of(getattr(replica.actor, method).remote(*arguments))
            except (EngineLost, *LOST) as error:
                if self._is_last(replica) or (suspicious and alive):
                    raise EngineLost(cause_of(error)) from error
                suspicious = True
            finally:
                replica.busy -= 1

    def _is_last(self, dead: _Replica) -> bool:
        """Whether no other is left; else the dead one is asked nothing more."""
        others = [each for each in self._replicas if each is not dead]
        self._replicas = others or self._replicas
        return not others


#: With so many programs under way for each process that runs them, and at least so many, none of these is ever without one;
#: the same for answers to grade.
_EACH, _AT_LEAST = 4, 64


class Counted:
    """A sandbox and a judge, as they are, how much is under way at each, and since when."""

    def __init__(self, sandbox: Sandbox, judge: Judge, runners: int, graders: int) -> None:
        """`runners`, `graders`: processes that run programs, and that compare answers."""
        self._sandbox, self._judge = sandbox, judge
        self._most_programs, self._most_answers = (max(_EACH * count, _AT_LEAST) for count in (runners, graders))
        self._programs = self._answers = 0
        self._since: dict[object, float] = {}

    @property
    def filled(self) -> float:
        """How much is under way at the fuller of the two, of what keeps all of its processes at work; more only waits."""
        return max(self._programs / self._most_programs, self._answers / self._most_answers)

    @property
    def waiting_seconds(self) -> float:
        """For how long the oldest of it has been under way; 0 where nothing is."""
        return time.monotonic() - min(self._since.values()) if self._since else 0.0

    async def run(self, programs: Sequence[Program]) -> list[Execution]:
        """See `ports.Sandbox`."""
        self._programs += len(programs)
        try:
            with self._noted():
                return await self._sandbox.run(programs)
        finally:
            self._programs -= len(programs)

    async def grade(self, prediction: str, gold: str, tolerance: float = 0.0) -> Grade:
        """See `ports.Judge`."""
        self._answers += 1
        try:
            with self._noted():
                return await self._judge.grade(prediction, gold, tolerance)
        finally:
            self._answers -= 1

    @contextmanager
    def _noted(self) -> Iterator[None]:
        asked = object()
        self._since[asked] = time.monotonic()
        try:
            yield
        finally:
            del self._since[asked]


class SearchActor:
    """Grows the trees of many problems at once, each in its own coroutine, over one sandbox and one judge."""

    def __init__(self, sandbox: SandboxConfig, grading: GradingConfig) -> None:
        self._sandbox, self._grading = sandbox, grading
        self._stack = AsyncExitStack()
        self._doors: Doors | None = None
        self._promises: list[Promise] = []
        self._endpoints: dict[PolicyConfig, Policy] = {}
        self._counted: Counted | None = None
        self._replicas: dict[Kind, Replicas] = {}
        self._opening = asyncio.Lock()

    async def open(self, policy: Sequence[Any] | PolicyConfig, scorers: Sequence[Any]) -> None:
        """Connects the doors: engines by their actor handles (or a remote endpoint), an own sandbox and judge."""
        async with self._opening:  # asked again before it was done, it would have two sandboxes
            await self._open(policy, scorers)

    async def _open(self, policy: Sequence[Any] | PolicyConfig, scorers: Sequence[Any]) -> None:
        from rstar_math.grading import ProcessJudge
        from rstar_math.sandbox import ProcessSandbox

        generator = await self._endpoint(policy) if isinstance(policy, PolicyConfig) else self._asks("policy", policy)
        scorer: Scorer | None = self._asks("ppm", scorers) if scorers else None
        if self._doors is None:
            sandbox = await self._stack.enter_async_context(ProcessSandbox(self._sandbox))
            self._promises = sandbox.promises
            judge = await self._stack.enter_async_context(ProcessJudge(self._grading))
            runners = self._sandbox.workers or os.cpu_count() or 1
            self._counted = counted = Counted(sandbox, judge, runners, self._grading.workers)
            self._doors = Doors(generator, counted, scorer, counted, comparing=counted)
        else:
            self._doors = replace(self._doors, policy=generator, scorer=scorer)

    def _asks(self, kind: Kind, actors: Sequence[Any]) -> Replicas:
        """The one door to the engines of a kind, as long as this worker lives."""
        self._replicas.setdefault(kind, Replicas(actors)).are_now(actors)
        return self._replicas[kind]

    async def promises(self) -> list[Promise]:
        """What its sandbox was found to promise here; nobody reads what a worker logs."""
        return self._promises

    async def _endpoint(self, config: PolicyConfig) -> Policy:
        """One door for each endpoint as long as this worker lives: a new one would know nothing of the rate so far."""
        from rstar_math.engines.endpoint import EndpointPolicy

        if config not in self._endpoints:
            self._endpoints[config] = await self._stack.enter_async_context(EndpointPolicy(config))
        return self._endpoints[config]

    async def grow(self, problem: Problem, plan: SearchConfig, seed: int, graded: bool) -> list[Tree]:
        """All trees of one problem; without `graded` the search is not even told the ground truth (test time)."""
        if self._doors is None:
            raise RuntimeError("open() comes before grow()")
        if graded:
            return await grow(problem, self._doors, plan, seed)
        blind = problem._replace(answer="", tolerance=0.0)
        trees = await grow(blind, replace(self._doors, judge=None), plan, seed)
        return [replace(tree, problem=problem) for tree in trees]

    async def filled(self) -> float:
        """See `Counted`."""
        return self._counted.filled if self._counted else 0.0

    async def getting_nowhere_seconds(self) -> float:
        """How long the oldest program or answer has been under way; these have their limits, so a long while is its sandbox's
        or its judge's fault. For engines it only waits."""
        return self._counted.waiting_seconds if self._counted else 0.0

    async def close(self) -> None:
        """Ends the sandbox and the judge."""
        await self._stack.aclose()

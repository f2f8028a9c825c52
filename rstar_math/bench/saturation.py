"""How busy does search keep the engine?

Tokens a second of a real engine during real search, through the same actors as in a run, against the same engine given the
same prompts in one plain batch; and what processor time went where meanwhile. It also records how long expansions and
programs take, for `barrier`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from rstar_math.cluster.actors import PolicyActor
from rstar_math.cluster.fleet import Fleet, Models
from rstar_math.config import EngineConfig, RunConfig
from rstar_math.grading import ProcessJudge
from rstar_math.problems import problem_sets
from rstar_math.records import Execution, Problem, Program, Proposal, Sampling, Transcript
from rstar_math.sandbox import open_sandbox
from rstar_math.search.expansion import Doors
from rstar_math.search.forest import grow


class NotingPolicyActor(PolicyActor):
    """A policy engine that remembers what it was asked, and can be asked all of it again at once."""

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self._path = ""
        self._asked: list[tuple[Transcript, int, Sampling]] = []
        self._tokens, self._seconds = 0, 0.0
        self._began: float | None = None

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        """See `ports.Policy`."""
        self._began = self._began or time.perf_counter()
        self._asked.append((transcript, count, sampling))
        proposals = await super().propose(transcript, count, sampling)
        self._tokens += sum(proposal.tokens for proposal in proposals)
        self._seconds = time.perf_counter() - self._began
        return proposals

    async def load(self, path: str) -> None:
        """See `PolicyActor`."""
        self._path = path
        await super().load(path)

    async def again(self) -> tuple[float, float]:
        """Tokens a second, first request to last answer: as it was asked, and all at once with no prefix known."""
        in_search = self._tokens / self._seconds
        await self.load(self._path)
        started = time.perf_counter()
        batches = await asyncio.gather(*(PolicyActor.propose(self, *asked) for asked in self._asked))
        tokens = sum(proposal.tokens for proposals in batches for proposal in proposals)
        return in_search, tokens / (time.perf_counter() - started)


@dataclass(frozen=True)
class Saturation:
    """Tokens a second in search and in one batch; processor seconds of the search by who spent them, and its seconds."""

    search: float
    batch: float
    spent: dict[str, float]
    seconds: float


def saturation(config: RunConfig, model: str, problems: int) -> Saturation:
    """Measures it on so many embedded problems under the plan of round 2.

    Raises:
        EngineError, SandboxError: an engine or the sandbox does not start.
    """
    config = replace(config, cluster=replace(config.cluster, keep_engines=True))
    return asyncio.run(_saturation(config, model, _embedded(config, problems)))


async def _saturation(config: RunConfig, model: str, problems: Sequence[Problem]) -> Saturation:
    fleet, plan = Fleet(config, policy_actor=NotingPolicyActor), config.plan(2).search
    try:
        warm = fleet.grow(problems[:1], Models(model), plan, seed=1, graded=True)
        _ = [trees async for trees in warm]
        await fleet.release()  # engines that have seen nothing; libraries are in the page cache
        await fleet.open(Models(model))
        before, started = _spent(), time.perf_counter()
        _ = [trees async for trees in fleet.grow(problems, Models(model), plan, seed=0, graded=True)]
        seconds, after = time.perf_counter() - started, _spent()
        search, batch = await fleet.ask_engine("policy", "again")
    finally:
        await fleet.release()
    return Saturation(search, batch, {name: after[name] - before[name] for name in after}, seconds)


def _embedded(config: RunConfig, count: int) -> tuple[Problem, ...]:
    problems = replace(config.problems, path=None, dataset=None, count=max(count, 6))
    return problem_sets(problems, config.seed).train[:count]


def _spent() -> dict[str, float]:
    """Processor seconds of all processes of the run so far: engine, search worker, what is below it, the rest."""
    spent: dict[str, float] = defaultdict(float)
    _add(psutil.Process(), "the rest", spent)
    return spent


def _add(process: psutil.Process, whose: str, spent: dict[str, float]) -> None:
    try:
        times, title = process.cpu_times(), " ".join(process.cmdline()[:1])
        children = process.children()
    except psutil.NoSuchProcess:
        return
    if "PolicyActor" in title:
        whose = "engine"
    elif "SearchActor" in title:
        whose = "search worker"
    spent[whose] += times.user + times.system
    below = "sandbox and judge" if whose == "search worker" else whose
    spent[below] += times.children_user + times.children_system  # those that ended and were waited for
    for child in children:
        _add(child, below, spent)


def record_trace(config: RunConfig, model: str, problems: int, path: Path) -> None:
    """Writes the seconds of every expansion's generation and of every program of a real search, one process, to `path`."""
    times: dict[str, list[float]] = {"generation": [], "execution": []}

    async def work() -> None:
        from rstar_math.engines.vllm_policy import VllmPolicy

        policy = VllmPolicy(model, config.engine)
        async with open_sandbox(config.sandbox) as sandbox, ProcessJudge(config.grading) as judge:
            doors = Doors(_TimedPolicy(policy, times), _TimedSandbox(sandbox, times), judge=judge)
            plan = config.plan(2).search
            await asyncio.gather(*(grow(problem, doors, plan, 0) for problem in _embedded(config, problems)))
        policy.close()

    asyncio.run(work())
    path.write_text(json.dumps({name: [round(value, 4) for value in values] for name, values in times.items()}))


@dataclass(frozen=True)
class _TimedPolicy:
    policy: Any
    times: dict[str, list[float]]

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        started = time.perf_counter()
        proposals: list[Proposal] = await self.policy.propose(transcript, count, sampling)
        self.times["generation"].append(time.perf_counter() - started)
        return proposals


@dataclass(frozen=True)
class _TimedSandbox:
    sandbox: Any
    times: dict[str, list[float]]

    async def run(self, programs: Sequence[Program]) -> list[Execution]:
        executions: list[Execution] = await self.sandbox.run(programs)
        self.times["execution"] += [execution.seconds for execution in executions]
        return executions

"""How many problems can one driver feed to how many workers?

Problems through simulated engines on a local Ray cluster, problems read from disk and trees written there as in a run: what
the pipeline itself costs, with nothing to wait for. Engines, sandbox and judge answer at once.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from rstar_math.cluster.actors import Replicas, SearchActor
from rstar_math.cluster.fleet import Fleet, Models
from rstar_math.cluster.growth import Order, grow_into
from rstar_math.config import RunConfig, SearchConfig
from rstar_math.problems.sets import read_set, write_set
from rstar_math.records import Problem, Tree
from rstar_math.scripted import ExactJudge, InProcessSandbox, ScriptedEngine
from rstar_math.search.expansion import Doors

_PLAN = SearchConfig(rollouts=4, candidates=4)


class SimulatedWorker(SearchActor):
    """A search worker whose programs, scripted sums, run in its own process."""

    async def open(self, policy: Any, scorers: Sequence[Any]) -> None:
        """Connects the doors; see `SearchActor`."""
        scorer = Replicas(scorers) if scorers else None
        self._doors = Doors(Replicas(policy), InProcessSandbox(), scorer, ExactJudge())


@dataclass(frozen=True)
class Scale:
    """So many problems with so many workers: problems and nodes a second, the driver's megabytes before the first problem,
    halfway and at the end, bytes a tree and a node on disk."""

    workers: int
    problems: int
    problems_a_second: float
    nodes_a_second: float
    megabytes: tuple[float, float, float]
    bytes_a_tree: float
    bytes_a_node: float


def scale(config: RunConfig, workers: int, problems: int) -> Scale:
    """Measures it once."""
    cluster = replace(
        config.cluster,
        search_workers=workers,
        search_cpus=0.01,
        trees_in_flight=max(1, 256 // workers),
        trees_per_part=1024,
    )
    small = replace(config.engine, cpus=0.01)
    config = replace(config, cluster=cluster, engine=small, ppm_engine=replace(config.ppm_engine, cpus=0.01))
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_scale(config, workers, problems, Path(folder)))


async def _scale(config: RunConfig, workers: int, count: int, folder: Path) -> Scale:
    fleet = Fleet(config, policy_actor=ScriptedEngine, search_actor=SimulatedWorker)
    done = nodes = 0
    held = [0.0, 0.0, 0.0]

    def hear(trees: list[Tree], before: bool, unwritten: int) -> None:  # noqa: ARG001
        nonlocal done, nodes
        done += 1
        nodes += sum(len(tree.nodes) for tree in trees)
        if done == count // 2:
            held[1] = _megabytes()

    try:
        await fleet.open(Models("simulated"))
        problems = folder / "problems.jsonl"
        write_set(problems, (Problem(str(n), f"What is {n} + {n % 7}?", str(n + n % 7)) for n in range(count)))
        held[0], started = _megabytes(), time.perf_counter()
        await grow_into({folder: read_set(problems)}, fleet, Order(Models("simulated"), _PLAN, 0, graded=True), hear)
        seconds, held[2] = time.perf_counter() - started, _megabytes()
    finally:
        await fleet.release()
    size = sum(part.stat().st_size for part in folder.glob("part-*"))
    first, middle, last = held
    return Scale(workers, count, count / seconds, nodes / seconds, (first, middle, last), size / count, size / nodes)


def _megabytes() -> float:
    return float(psutil.Process(os.getpid()).memory_info().rss) / 1e6

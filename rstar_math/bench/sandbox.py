"""What does running one step cost?

Steps of four kinds at several depths of a path, with and without snapshots and with each wall that stands here left out,
in processor time a program; against a cold process, against a bare fork of the same warm parent (the limit) and against
`exec` in the search process (the released code's way, which isolates nothing). And how long trivial programs wait beside slow
ones.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import get_args

import numpy as np
import psutil

from rstar_math.bench.machine import machine
from rstar_math.bench.ratios import Ratio, ratios
from rstar_math.bench.steps import CANDIDATES, STEPS, WarmProcess, cold, config, path, run, spent, steadily, walk
from rstar_math.config import SandboxWall
from rstar_math.sandbox import ProcessSandbox, open_sandbox

#: What one call's programs do, `_SLOW` of them, while trivial ones of others are timed for so many seconds.
_BESIDE = {
    "nothing": "",
    "sleep": "import time\ntime.sleep(3)\n",
    "compute": "import time\nwhile time.process_time() < 3: pass\n",
}
_SLOW, _BESIDE_SECONDS, _OTHERS, _PAUSE = 16, 6.0, 4, 0.05
#: Forks of a warm process that are measured, and runs of a step within it.
_FORKS, _RUNS = 200, 50
#: Seconds until the processes of the last programs are gone for certain.
_MOMENT = 1.0


@dataclass(frozen=True)
class Row:
    """One measurement. Times in milliseconds; `cpu` is processor time of all processes of the sandbox, a program."""

    kind: str
    depth: int
    snapshots: bool
    without: tuple[str, ...]
    cpu: float
    a_second: float
    p50: float
    p99: float

    def figures(self) -> tuple[float, ...]:
        """What was measured."""
        return self.cpu, self.a_second, self.p50, self.p99


@dataclass(frozen=True)
class Report:
    """Where it was measured; all rows; baselines by kind, in milliseconds of processor time; growth over many programs,
    before and after. `walls`: what each is here, or why there is none, so that no row leaves it out. `beside`: milliseconds
    of trivial programs, median and 99th percentile, beside 16 slow ones of another call, by what these do. `ratios`: of costs
    that were measured in turn, by what they are of."""

    machine: dict[str, str]
    walls: dict[str, str]
    rows: list[Row]
    cold: dict[str, float]
    fork: dict[str, float]
    execute: dict[str, float]
    beside: dict[str, tuple[float, float]]
    growth: dict[str, tuple[float, float]]
    growth_programs: int
    ratios: dict[str, Ratio]

    def as_json(self) -> str:
        """The report as one JSON object."""
        return json.dumps(asdict(self), indent=2)


def measure(*, quick: bool, say: Callable[[str], None]) -> Report:
    """Measures everything: in some nine minutes, in two if `quick`. `say` hears what is being measured.

    Raises:
        SandboxError: the sandbox does not start.
    """
    depths = (1, 4, 8) if quick else (1, 4, 8, 16)
    expansions, programs = (6, 2_000) if quick else (25, 100_000)
    say("how many times as dear as a fork, a process or a path run again a step is …")
    compared = asyncio.run(ratios(3 if quick else 15, depths[-1]))
    say("what a step costs without a sandbox …")
    colds = {kind: cold(kind, 1 if quick else 5) for kind in STEPS}
    warm = {kind: _warm(kind) for kind in STEPS}
    say("what it costs at every depth, with snapshots and without …")
    rows = [
        asyncio.run(_row(kind, depth, expansions, snapshots=snapshots))
        for kind in STEPS
        for depth in depths
        for snapshots in (True, False)
    ]
    say("what each wall costs …")
    walls = asyncio.run(_walls())
    rows += [
        asyncio.run(_row(kind, 1, expansions, without=left))
        for kind in ("trivial", "sympy")
        for left in left_out(walls)
    ]
    say(f"what {programs:,} programs leave behind …")
    growth = asyncio.run(_growth(programs))
    say("how long others wait beside slow programs …")
    return Report(
        machine(),
        walls,
        rows,
        colds,
        {kind: forked for kind, (forked, _) in warm.items()},
        {kind: ran for kind, (_, ran) in warm.items()},
        {what: asyncio.run(_beside(code)) for what, code in _BESIDE.items()},
        growth,
        programs,
        compared,
    )


def left_out(walls: Mapping[str, str]) -> list[tuple[SandboxWall, ...]]:
    """Each of the walls that stand by itself, then all of them. `walls`: their words; none stands that begins with "none"."""
    standing: tuple[SandboxWall, ...] = tuple(
        wall for wall in get_args(SandboxWall) if not walls[wall].startswith("none")
    )
    return [*((wall,) for wall in standing), *([standing] if len(standing) > 1 else [])]


async def _walls() -> dict[str, str]:
    async with open_sandbox(config()) as sandbox:
        return {wall: sandbox.walls[wall] for wall in get_args(SandboxWall)}


async def _row(
    kind: str, depth: int, expansions: int, *, snapshots: bool = True, without: tuple[SandboxWall, ...] = ()
) -> Row:
    """As a search does it: the path was run step by step, then all candidates of its next step are run at once."""
    async with open_sandbox(config(snapshots=snapshots, without=without)) as sandbox:
        await walk(sandbox, kind, depth)
        before, started, latencies = steadily(spent), time.perf_counter(), []
        for turn in range(expansions):
            asked = time.perf_counter()
            await run(sandbox, [path(kind, depth, 10 + turn * CANDIDATES + own) for own in range(CANDIDATES)])
            latencies.append(1000 * (time.perf_counter() - asked))
        seconds, cpu = time.perf_counter() - started, 1000 * (steadily(spent) - before)
    count = expansions * CANDIDATES
    p50, p99 = np.percentile(latencies, (50, 99)).tolist()
    return Row(kind, depth, snapshots, without, cpu / count, count / seconds, p50, p99)


async def _beside(code: str) -> tuple[float, float]:
    """Latency of trivial programs of several calls, while another call has slow ones; these never come to their end."""
    async with open_sandbox(config(snapshots=False)) as sandbox:
        await sandbox.run([path("trivial", 1, 0)])
        slow = asyncio.create_task(
            sandbox.run([(code, f"number = {number}\n") for number in range(_SLOW if code else 1)])
        )
        latencies: list[float] = []
        end = time.perf_counter() + _BESIDE_SECONDS

        async def other(own: int) -> None:
            while (asked := time.perf_counter()) < end:
                await run(sandbox, [path("trivial", 1, own)])
                latencies.append(1000 * (time.perf_counter() - asked))
                await asyncio.sleep(_PAUSE)

        await asyncio.gather(*map(other, range(_OTHERS)))
        slow.cancel()
    p50, p99 = np.percentile(latencies, (50, 99)).tolist()
    return p50, p99


async def _growth(programs: int) -> dict[str, tuple[float, float]]:
    """Megabytes, processes and descriptors of the sandbox before and after so many programs."""
    async with open_sandbox(config()) as sandbox:
        await _many(sandbox, 0, 512)
        await asyncio.sleep(_MOMENT)
        before = steadily(_holdings)
        for start in range(512, 512 + programs, 512):
            await _many(sandbox, start, 512)
        await asyncio.sleep(_MOMENT)
        after = steadily(_holdings)
    return {name: (before[name], after[name]) for name in before}


async def _many(sandbox: ProcessSandbox, start: int, count: int) -> None:
    await run(sandbox, [path("trivial", 1, candidate) for candidate in range(start, start + count)])


def _holdings() -> dict[str, float]:
    below = psutil.Process().children(recursive=True)
    return {
        "megabytes": sum(process.memory_info().rss for process in below) / 1e6,
        "processes": len(below),
        "descriptors": sum(process.num_fds() for process in below),
    }


def _warm(kind: str) -> tuple[float, float]:
    with WarmProcess(kind) as process:
        return process.fork(_FORKS), process.step(_RUNS)

"""What does running one step cost?

Steps of four kinds at several depths of a path, with and without snapshots and with each wall that stands here left out,
in processor time a program; against a cold process, against a bare fork of the same warm parent (the limit) and against
`exec` in the search process (the released code's way, which isolates nothing). And how long trivial programs wait beside slow
ones.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TypeVar, get_args

import numpy as np
import psutil

from rstar_math.bench.machine import machine
from rstar_math.config import SandboxConfig, SandboxWall
from rstar_math.records import Program, Status
from rstar_math.sandbox import ProcessSandbox, open_sandbox

#: Step `i` of a path, and candidate `c` of it, of every kind.
STEPS = {
    "trivial": "x{i} = {i} * 7 + {c}\nprint(x{i})\n",
    "numpy": "import numpy as np\na{i} = np.linalg.solve(np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([{i}.0, {c}.0]))\n"
    "print(a{i})\n",
    "sympy numbers": "import sympy\nx{i} = sympy.Rational({i}, 7) + sympy.sqrt({c} + 2)\nprint(x{i} * 2)\n",
    "sympy": "import sympy\nt = sympy.symbols('t')\nr{i} = sympy.solve(t**2 - {i} * t - {c} - 2, t)\nprint(r{i})\n",
}
_TIER = {"trivial": "bare", "numpy": "numpy", "sympy numbers": "sympy", "sympy": "sympy"}
_CANDIDATES = 8
#: What one call's programs do, `_SLOW` of them, while trivial ones of others are timed for so many seconds.
_BESIDE = {
    "nothing": "",
    "sleep": "import time\ntime.sleep(3)\n",
    "compute": "import time\nwhile time.process_time() < 3: pass\n",
}
_SLOW, _BESIDE_SECONDS, _OTHERS, _PAUSE = 16, 6.0, 4, 0.05
#: Times the processes are looked at before one that ends meanwhile is an error: a program's end is known a moment before.
_LOOKS = 100
#: Seconds until the processes of the last programs are gone for certain.
_MOMENT = 1.0
T = TypeVar("T")
#: Run in a fresh interpreter: milliseconds of processor time of a bare fork, and of `exec` of a step, in a warm process.
_LIMITS = """
import gc, json, os, resource, sys, time
from rstar_math.sandbox import confine
from rstar_math.sandbox.tiers import warm_up
warm_up(sys.argv[1]); gc.collect(); gc.freeze(); confine.collapse_memory()
who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
spent = lambda: sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))
def fork():
    child = os.fork()
    if child == 0: os._exit(0)
    os.waitpid(child, 0)
def cost(action, count):
    action()
    before = spent()
    for _ in range(count): action()
    return 1000 * (spent() - before) / count
step, null = compile(sys.argv[2], "step", "exec"), open(os.devnull, "w")
out, forked = sys.stdout, cost(fork, 200)
sys.stdout = null
ran = cost(lambda: exec(step, {}), 50)
sys.stdout = out
print(json.dumps([forked, ran]))
"""


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
    of trivial programs, median and 99th percentile, beside 16 slow ones of another call, by what these do."""

    machine: dict[str, str]
    walls: dict[str, str]
    rows: list[Row]
    cold: dict[str, float]
    fork: dict[str, float]
    execute: dict[str, float]
    beside: dict[str, tuple[float, float]]
    growth: dict[str, tuple[float, float]]
    growth_programs: int

    def ratios(self) -> dict[str, float]:
        """What the design promises, as ratios."""
        deep = max(row.depth for row in self.rows)
        trivial, sympy = self._cpu("trivial", 1), self._cpu("sympy", 1)
        return {
            "trivial step / bare fork": trivial / self.fork["trivial"],
            "cold process / step with sympy numbers": self.cold["sympy numbers"] / self._cpu("sympy numbers", 1),
            "cold process / sympy step": self.cold["sympy"] / sympy,
            "exec in a warm process / sympy step": self.execute["sympy"] / sympy,
            f"sympy step at depth {deep}, path run again / from a snapshot": self._cpu("sympy", deep, snapshots=False)
            / self._cpu("sympy", deep),
            f"sympy step from a snapshot, depth {deep} / depth 1": self._cpu("sympy", deep) / sympy,
            "trivial step / exec in the search process": trivial / self.execute["trivial"],
            "sympy step / exec in the search process": sympy / self.execute["sympy"],
        }

    def _cpu(self, kind: str, depth: int, *, snapshots: bool = True) -> float:
        return next(
            row.cpu
            for row in self.rows
            if (row.kind, row.depth, row.snapshots, row.without) == (kind, depth, snapshots, ())
        )

    def as_json(self) -> str:
        """The report as one JSON object."""
        return json.dumps(asdict(self) | {"ratios": self.ratios()}, indent=2)


def measure(*, quick: bool) -> Report:
    """Measures everything. Takes minutes; less than one if `quick`.

    Raises:
        SandboxError: the sandbox does not start.
    """
    depths = (1, 4, 8) if quick else (1, 4, 8, 16)
    expansions, programs = (6, 2_000) if quick else (25, 100_000)
    cold = {kind: _cold(kind, 1 if quick else 5) for kind in STEPS}
    limits = {kind: _limits(kind) for kind in STEPS}
    rows = [
        asyncio.run(_row(kind, depth, expansions, snapshots=snapshots))
        for kind in STEPS
        for depth in depths
        for snapshots in (True, False)
    ]
    walls = asyncio.run(_walls())
    rows += [
        asyncio.run(_row(kind, 1, expansions, without=left))
        for kind in ("trivial", "sympy")
        for left in left_out(walls)
    ]
    growth = asyncio.run(_growth(programs))
    return Report(
        machine(),
        walls,
        rows,
        cold,
        {kind: forked for kind, (forked, _) in limits.items()},
        {kind: ran for kind, (_, ran) in limits.items()},
        {what: asyncio.run(_beside(code)) for what, code in _BESIDE.items()},
        growth,
        programs,
    )


def left_out(walls: Mapping[str, str]) -> list[tuple[SandboxWall, ...]]:
    """Each of the walls that stand by itself, then all of them. `walls`: their words; none stands that begins with "none"."""
    standing: tuple[SandboxWall, ...] = tuple(
        wall for wall in get_args(SandboxWall) if not walls[wall].startswith("none")
    )
    return [*((wall,) for wall in standing), *([standing] if len(standing) > 1 else [])]


async def _walls() -> dict[str, str]:
    async with open_sandbox(_config()) as sandbox:
        return {wall: sandbox.walls[wall] for wall in get_args(SandboxWall)}


def _config(snapshots: bool = True, without: tuple[SandboxWall, ...] = ()) -> SandboxConfig:
    return SandboxConfig(wall_seconds=60, cpu_seconds=60, snapshots=64 if snapshots else 0, without=without, require=())


def _path(kind: str, depth: int, candidate: int) -> Program:
    """`depth` steps, the last one a candidate."""
    before = tuple(STEPS[kind].format(i=index, c=0) for index in range(1, depth))
    return (*before, STEPS[kind].format(i=depth, c=candidate))


async def _row(
    kind: str, depth: int, expansions: int, *, snapshots: bool = True, without: tuple[SandboxWall, ...] = ()
) -> Row:
    """As a search does it: the path was run step by step, then all candidates of its next step are run at once."""
    async with open_sandbox(_config(snapshots, without)) as sandbox:
        for length in range(1, depth + 1):
            await sandbox.run([_path(kind, length, candidate) for candidate in range(2)])
        before, started, latencies = _steadily(_spent), time.perf_counter(), []
        for turn in range(expansions):
            asked = time.perf_counter()
            await _run(sandbox, [_path(kind, depth, 10 + turn * _CANDIDATES + own) for own in range(_CANDIDATES)])
            latencies.append(1000 * (time.perf_counter() - asked))
        seconds, cpu = time.perf_counter() - started, 1000 * (_steadily(_spent) - before)
    count = expansions * _CANDIDATES
    p50, p99 = np.percentile(latencies, (50, 99)).tolist()
    return Row(kind, depth, snapshots, without, cpu / count, count / seconds, p50, p99)


async def _beside(code: str) -> tuple[float, float]:
    """Latency of trivial programs of several calls, while another call has slow ones; these never come to their end."""
    async with open_sandbox(_config(snapshots=False)) as sandbox:
        await sandbox.run([_path("trivial", 1, 0)])
        slow = asyncio.create_task(
            sandbox.run([(code, f"number = {number}\n") for number in range(_SLOW if code else 1)])
        )
        latencies: list[float] = []
        end = time.perf_counter() + _BESIDE_SECONDS

        async def other(own: int) -> None:
            while (asked := time.perf_counter()) < end:
                await _run(sandbox, [_path("trivial", 1, own)])
                latencies.append(1000 * (time.perf_counter() - asked))
                await asyncio.sleep(_PAUSE)

        await asyncio.gather(*map(other, range(_OTHERS)))
        slow.cancel()
    p50, p99 = np.percentile(latencies, (50, 99)).tolist()
    return p50, p99


async def _run(sandbox: ProcessSandbox, programs: Sequence[Program]) -> None:
    for execution in await sandbox.run(programs):
        if execution.status is not Status.OK:
            raise RuntimeError(f"a benchmark's program failed: {execution}")


def _steadily(look: Callable[[], T]) -> T:
    """What `look` finds, once no process ends while it looks."""
    for _ in range(_LOOKS - 1):
        with suppress(psutil.NoSuchProcess, OSError):
            return look()
    return look()


def _spent() -> float:
    """Seconds of processor time of all processes below this one, those that ended and were waited for included."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        times = process.cpu_times()
        # Its own clock is exact; the other counts whole hundredths of a second, which a program seldom takes.
        total += time.clock_gettime(~process.pid << 3 | 2) + times.children_user + times.children_system
    return total


async def _growth(programs: int) -> dict[str, tuple[float, float]]:
    """Megabytes, processes and descriptors of the sandbox before and after so many programs."""
    async with open_sandbox(_config()) as sandbox:
        await _many(sandbox, 0, 512)
        await asyncio.sleep(_MOMENT)
        before = _steadily(_holdings)
        for start in range(512, 512 + programs, 512):
            await _many(sandbox, start, 512)
        await asyncio.sleep(_MOMENT)
        after = _steadily(_holdings)
    return {name: (before[name], after[name]) for name in before}


async def _many(sandbox: ProcessSandbox, start: int, count: int) -> None:
    await _run(sandbox, [_path("trivial", 1, candidate) for candidate in range(start, start + count)])


def _holdings() -> dict[str, float]:
    below = psutil.Process().children(recursive=True)
    return {
        "megabytes": sum(process.memory_info().rss for process in below) / 1e6,
        "processes": len(below),
        "descriptors": sum(process.num_fds() for process in below),
    }


def _cold(kind: str, times: int) -> float:
    """Milliseconds of processor time of a fresh interpreter for one step."""
    before = psutil.Process().cpu_times()
    for _ in range(times):
        subprocess.run([sys.executable, "-c", _path(kind, 1, 1)[0]], check=True, stdout=subprocess.DEVNULL)
    after = psutil.Process().cpu_times()
    spent: float = after.children_user + after.children_system - before.children_user - before.children_system
    return 1000 * spent / times


def _limits(kind: str) -> tuple[float, float]:
    said = subprocess.run(
        [sys.executable, "-c", _LIMITS, _TIER[kind], _path(kind, 1, 1)[0]], check=True, capture_output=True, text=True
    )
    forked, ran = json.loads(said.stdout)
    return forked, ran

"""What is run to see what a step costs?

Steps of four kinds, the paths that they make, and processor time: of the sandbox's processes, of a cold interpreter, and of a
warm process that forks and does nothing else, or runs the step in itself.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self, TypeVar

import psutil

from rstar_math.config import SandboxConfig, SandboxWall
from rstar_math.records import Program, Status
from rstar_math.sandbox import ProcessSandbox

#: Step `i` of a path, and candidate `c` of it, of every kind.
STEPS = {
    "trivial": "x{i} = {i} * 7 + {c}\nprint(x{i})\n",
    "numpy": "import numpy as np\na{i} = np.linalg.solve(np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([{i}.0, {c}.0]))\n"
    "print(a{i})\n",
    "sympy numbers": "import sympy\nx{i} = sympy.Rational({i}, 7) + sympy.sqrt({c} + 2)\nprint(x{i} * 2)\n",
    "sympy": "import sympy\nt = sympy.symbols('t')\nr{i} = sympy.solve(t**2 - {i} * t - {c} - 2, t)\nprint(r{i})\n",
}
#: Programs that are run at once.
CANDIDATES = 8
_TIER = {"trivial": "bare", "numpy": "numpy", "sympy numbers": "sympy", "sympy": "sympy"}
#: Times the processes are looked at before one that ends meanwhile is an error: a program's end is known a moment before.
_LOOKS = 100
T = TypeVar("T")
#: Run in a fresh interpreter, as a warm parent: for each line with an action and a number it writes the milliseconds of
#: processor time of a bare fork, or of `exec` of a candidate of a step, each another one; the mean of so many.
_WARM = """
import gc, itertools, os, resource, sys
from rstar_math.sandbox import confine
from rstar_math.sandbox.tiers import warm_up
warm_up(sys.argv[1]); gc.collect(); gc.freeze(); confine.collapse_memory()
who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
spent = lambda: sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))
null, out, fresh = open(os.devnull, "w"), sys.stdout, itertools.count(10)
def fork():
    child = os.fork()
    if child == 0: os._exit(0)
    os.waitpid(child, 0)
def step(): exec(compile(sys.argv[2].format(i=1, c=next(fresh)), "step", "exec"), {})
def cost(action, count):
    action()
    before = spent()
    for _ in range(count): action()
    return 1000 * (spent() - before) / count
for line in sys.stdin:
    action, count = line.split()
    sys.stdout = null
    cost_of_one = cost({"fork": fork, "step": step}[action], int(count))
    sys.stdout = out
    print(cost_of_one, flush=True)
"""


class WarmProcess:
    """What bare forks of a warm parent cost, and a step in it; a context manager."""

    def __init__(self, kind: str) -> None:
        """`kind`: of the step, which decides what the process has imported."""
        self._arguments = [sys.executable, "-c", _WARM, _TIER[kind], STEPS[kind]]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()

    def fork(self, times: int) -> float:
        """Milliseconds of processor time of a bare fork: the mean of so many."""
        return self._cost("fork", times)

    def step(self, times: int) -> float:
        """The same of the step in this process."""
        return self._cost("step", times)

    def _cost(self, action: str, times: int) -> float:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{action} {times}\n")
        return float(self._process.stdout.readline())


def config(*, snapshots: bool = True, without: tuple[SandboxWall, ...] = ()) -> SandboxConfig:
    """A sandbox that no limit hinders."""
    return SandboxConfig(wall_seconds=60, cpu_seconds=60, snapshots=64 if snapshots else 0, without=without, require=())


def path(kind: str, depth: int, candidate: int) -> Program:
    """`depth` steps, the last one a candidate."""
    before = tuple(STEPS[kind].format(i=index, c=0) for index in range(1, depth))
    return (*before, STEPS[kind].format(i=depth, c=candidate))


async def walk(sandbox: ProcessSandbox, kind: str, depth: int) -> None:
    """Runs a path step by step, as a search does before it comes to the candidates of its next step."""
    for length in range(1, depth + 1):
        await run(sandbox, [path(kind, length, candidate) for candidate in range(2)])


async def run(sandbox: ProcessSandbox, programs: Sequence[Program]) -> None:
    """All of them at once.

    Raises:
        RuntimeError: one failed.
    """
    for execution in await sandbox.run(programs):
        if execution.status is not Status.OK:
            raise RuntimeError(f"a benchmark's program failed: {execution}")


def steadily(look: Callable[[], T]) -> T:
    """What `look` finds, once no process ends while it looks."""
    for _ in range(_LOOKS - 1):
        with suppress(psutil.NoSuchProcess, OSError):
            return look()
    return look()


def spent() -> float:
    """Seconds of processor time of all processes below this one, those that ended and were waited for included."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        times = process.cpu_times()
        # Its own clock is exact; the other counts whole hundredths of a second, which a program seldom takes.
        total += time.clock_gettime(~process.pid << 3 | 2) + times.children_user + times.children_system
    return total


def cold(kind: str, times: int) -> float:
    """Milliseconds of processor time of a fresh interpreter for one step."""
    before = psutil.Process().cpu_times()
    for _ in range(times):
        subprocess.run([sys.executable, "-c", path(kind, 1, 1)[0]], check=True, stdout=subprocess.DEVNULL)
    after = psutil.Process().cpu_times()
    used: float = after.children_user + after.children_system - before.children_user - before.children_system
    return 1000 * used / times

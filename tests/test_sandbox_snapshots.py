"""Does a step that runs in a fork of its path print what the whole program would, and gain nothing by it?"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from sandboxes import CONFIG, gone, sandbox_processes

from rstar_math.config import SandboxConfig
from rstar_math.records import Program, Status
from rstar_math.sandbox import ProcessSandbox, open_sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Steps that are worth a snapshot: they take processor time, and print something that another run would not.
COSTLY = "import os\nfor _ in range(1_000_000): pass\nborn = os.urandom(8).hex()\nprint(born)\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[ProcessSandbox]:
    async with open_sandbox(CONFIG) as opened:
        if opened.walls["snapshots"]:
            pytest.skip(f"this machine has no snapshots: {opened.walls['snapshots']}")
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def without() -> AsyncIterator[ProcessSandbox]:
    async with open_sandbox(SandboxConfig(workers=4, wall_seconds=60.0, snapshots=0)) as opened:
        yield opened


async def printed(sandbox: ProcessSandbox, *programs: Program) -> list[str]:
    executions = await sandbox.run(programs)
    assert [execution.error for execution in executions] == [""] * len(programs)
    return [execution.stdout for execution in executions]


async def forked(sandbox: ProcessSandbox, path: Program, *steps: str) -> list[str]:
    """What the steps print after the path, each in a fork of the one process that ran it."""
    (before,) = await printed(sandbox, path)
    after = await printed(sandbox, *((*path, step) for step in steps))
    assert all(text.startswith(before) for text in after), "the path was run again"
    return [text.removeprefix(before) for text in after]


async def test_the_path_runs_once_and_its_candidates_share_nothing(sandbox: ProcessSandbox) -> None:
    path = (COSTLY, "x = [1]\n")
    steps = [f"x.append({number})\nprint(x, 'y' in globals())\ny = 1\n" for number in range(8)]
    assert await forked(sandbox, path, *steps) == [f"[1, {number}] False\n" for number in range(8)]


async def test_without_snapshots_every_program_runs_its_path_again(without: ProcessSandbox) -> None:
    (before,) = await printed(without, (COSTLY,))
    first, second = await printed(without, (COSTLY, "print(1)\n"), (COSTLY, "print(2)\n"))
    assert len({before, first.split()[0] + "\n", second.split()[0] + "\n"}) == 3
    assert without.walls["snapshots"] == "none (turned off)"


STEPS = (
    "from __future__ import annotations\nimport random, sympy, numpy as np\nx, n = sympy.symbols('x'), 3\n"
    "print(random.random(), np.random.rand())\n",
    "def f(a: Unknown):\n    global n\n    n += a\n    return n\nprint(sympy.solve(x**3 - 6*x**2 + 11*x - 6, x))\n",
    "class C:\n    value: AlsoUnknown = f(2)\nprint(C.value, random.random(), sympy.core.random.random())\n",
    "if __name__ == '__main__':\n    print(sympy.integrate(sympy.exp(-x**2), (x, -sympy.oo, sympy.oo)), end='')\n",
    "print(sorted({'a', 'b'}), hash('x'), np.random.rand(), n)\nfrom decimal import *\nprint(Decimal(1) / 7)\n",
)


async def test_a_program_prints_the_same_step_by_step_and_in_one_piece(
    sandbox: ProcessSandbox, without: ProcessSandbox
) -> None:
    programs = [STEPS[:length] for length in range(1, len(STEPS) + 1)]
    grown = [(await printed(sandbox, program))[0] for program in programs]
    assert grown == await printed(without, *programs)


@pytest.mark.parametrize(
    ("path", "step", "expected"),
    [
        ("if True:\n    x = 1\n", "else:\n    x = 2\nprint(x)\n", "1\n"),
        ("def f():\n    x = 1\n", "    return x + 1\nprint(f())\n", "2\n"),
        ("x = 1\n", "global x\nx = 2\nprint(x)\n", None),
        ("x = 1\n", "from __future__ import annotations\n", None),
        ("x = 1\n", "def f(:\n", None),
        ("x = 0\n", "\n\n1 / x\n", None),
        ("def f(y):\n    return 1 / y\n", "f(0)\n", None),
    ],
)
async def test_what_counts_for_the_whole_program_is_judged_as_a_whole(
    sandbox: ProcessSandbox, without: ProcessSandbox, path: str, step: str, expected: str | None
) -> None:
    program = (COSTLY + path, step)
    await sandbox.run([program[:1]])
    (continued,), (whole,) = await sandbox.run([program]), await without.run([program])
    assert (continued.status, continued.error) == (whole.status, whole.error)
    assert expected is None or continued.stdout.endswith(f"\n{expected}")


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("import os, sys\nos.dup2(1, 2)\n", "print('warned', file=sys.stderr, flush=True)\n"),
        ("import os\nos.dup2(2, 1)\n", "print('nobody reads this')\n"),
        ("import os, decimal\nos.close(0)\nsource = open(decimal.__file__)\n", "print(os.read(0, 3), source.tell())\n"),
        ("import builtins\nbuiltins.sum = lambda *_: 'mine'\n", "print(sum([1]))\n"),
        ("import builtins\nbuiltins.any = builtins.bool = None\n", "print(bool)\n"),
        ("print('path')\n", "import os\nos.write(1, b'step\\n')\n"),
        (
            "import gc\nseen = []\ngc.callbacks.append(lambda *_: seen.append(1))\ngc.set_threshold(1)\n",
            "print(len(seen) > 99)\n",
        ),
        (
            "import gc\nmade = [0]\nclass Again:\n    def __init__(self):\n        self.me = self\n"
            "    def __del__(self):\n        made[0] += 1\n        Again()\n"
            "gc.collect()\ngc.freeze()\ngc.set_threshold(1, 0, 0)\nAgain()\n",
            "gc.disable()\nprint(made[0] > 99)\n",
        ),
        ("import sys\nsys.stderr = sys.stdout\n", "n = 1\nprint(n is 1)\n"),
        (
            "import sys\ndef refuse(event, _):\n    if event == 'exec':\n        raise RuntimeError('heard')\n"
            "sys.addaudithook(refuse)\n",
            "print('fine')\n",
        ),
        (
            "import signal\nheard = []\nsignal.signal(signal.SIGALRM, lambda *_: heard.append(1))\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\nsignal.setitimer(signal.ITIMER_REAL, 0.001)\n"
            "for _ in range(1_000_000): pass\n",
            "signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])\nprint(heard)\n",
        ),
        ("import atexit\natexit.register(print, 'last')\n", "print('step')\n"),
        (
            "import signal, itertools\nn = itertools.count()\nsignal.signal(signal.SIGCONT, lambda *_: next(n))\n",
            "print(n)\n",
        ),
        (
            "import sys, itertools\nn = itertools.count()\nsys.setprofile(lambda *_: next(n))\n",
            "sys.setprofile(None)\nprint(n)\n",
        ),
    ],
)
async def test_a_path_that_changed_its_surroundings_goes_on_as_the_whole_program_would(
    sandbox: ProcessSandbox, without: ProcessSandbox, path: str, step: str
) -> None:
    """Its forks printed elsewhere, shared an open file, ended, heard of their own compilation, missed a signal that waited,
    or counted who had come before them."""
    program = (COSTLY.replace("print(born)\n", "") + path, step)
    await sandbox.run([program[:1]])
    (whole,) = await without.run([program])
    for candidate in range(2):
        (continued,) = await sandbox.run([(program[0], f"{step}# {candidate}\n")])
        assert (continued.status, continued.error, continued.stdout) == (whole.status, whole.error, whole.stdout)


async def test_a_time_that_a_path_began_to_measure_does_not_go_on_while_its_snapshot_waits(
    sandbox: ProcessSandbox,
) -> None:
    """A search within two seconds found nothing where its step came three seconds after the one that began to count."""
    path = COSTLY + "from time import monotonic\nstart = monotonic()\n"
    await printed(sandbox, (path,))
    await asyncio.sleep(1)
    (text,) = await printed(sandbox, (path, "print(monotonic() - start < 0.9)\n"))
    assert text.endswith("\nTrue\n")


async def test_a_path_cannot_keep_the_channel_on_which_its_candidates_are_ordered(sandbox: ProcessSandbox) -> None:
    """Kept under another number, it told one candidate the code of the next, and let it print there."""
    path = COSTLY + "import os\nos.dup2(3, 0)\n"
    await printed(sandbox, (path,))
    first, second = await printed(sandbox, (path, "print(1)\n"), (path, "print(2)\n"))
    assert first.split()[0] != second.split()[0], "both are forks of the process that has the channel"


async def test_an_open_file_or_a_timer_does_not_join_two_candidates(sandbox: ProcessSandbox) -> None:
    opened = COSTLY + "import decimal\nsource = open(decimal.__file__)\n"
    await printed(sandbox, (opened,))
    read = [f"print(len(source.read({count})), source.tell())\n" for count in (10, 20)]
    assert [text.split("\n", 1)[1] for text in await printed(sandbox, *((opened, step) for step in read))] == [
        "10 10\n",
        "20 20\n",
    ]
    timed = COSTLY + "import signal\nsignal.signal(signal.SIGALRM, lambda *_: print('rang'))\nsignal.alarm(1)\n"
    await printed(sandbox, (timed,))
    (rang,) = await printed(sandbox, (timed, "signal.pause()\n"))
    assert rang.endswith("\nrang\n")


@pytest.mark.parametrize("channel", ["import os\nos.pipe()", "import mmap\nmmap.mmap(-1, 4096)"])
async def test_no_pipe_or_shared_memory_joins_the_forks_of_a_path(sandbox: ProcessSandbox, channel: str) -> None:
    (execution,) = await sandbox.run([(channel + "\n",)])
    assert execution.error.startswith("PermissionError")


async def test_limits_count_the_whole_path() -> None:
    quick = SandboxConfig(workers=2, wall_seconds=1.0, output_bytes=100)
    sleep = COSTLY + "sleep = __import__('time').sleep\nsleep(0.6)\n"
    async with open_sandbox(quick) as narrow:
        assert (await narrow.run([(sleep,)]))[0].status is Status.OK
        assert (await narrow.run([(sleep, "sleep(0.6)\n")]))[0].status is Status.TIMEOUT
        assert (await narrow.run([(COSTLY, "print('x' * 60)\n")]))[0].status is Status.OK
        assert (await narrow.run([(COSTLY, "print('x' * 60)\n", "print('y' * 60)\n")]))[0].status is Status.OUTPUT_LIMIT


# Hostile paths: the process that waits holds their memory


FORK = "import ctypes\nclone = lambda: ctypes.CDLL(None).syscall(56, 0x8000 | 17, 0, 0, 0, 0)\n"


async def test_a_program_cannot_fork_the_way_a_snapshot_does(sandbox: ProcessSandbox) -> None:
    executions = await sandbox.run(
        [(FORK + "print(clone())\n",), (COSTLY + FORK + "print(clone())\n", "print(clone())\n")]
    )
    assert [execution.stdout.split("\n")[-2] for execution in executions] == ["-1", "-1"]


async def test_a_snapshot_that_forks_behind_the_warm_parents_back_leaves_no_process() -> None:
    greedy = (
        COSTLY + FORK + "import rstar_math.sandbox.node as node\nreal = node._fork_sibling\n"
        "def both():\n    first = real()\n    return first and clone() and first\nnode._fork_sibling = both\n"
    )
    before = set(sandbox_processes(os.getpid()))
    async with open_sandbox(SandboxConfig(workers=2, wall_seconds=1.0)) as opened:
        await printed(opened, ("pass\n",))
        idle = set(sandbox_processes(os.getpid()))
        for number in range(4):
            (execution,) = await opened.run([(greedy, f"print({number})\n")])
            assert execution.stdout.endswith(f"\n{number}\n")
        (ended,) = await opened.run([("import ctypes\nctypes.string_at(0)\n",)])
        assert ended.status is Status.KILLED
        # The paths that stay: one, and four with their steps; the kernel needs a moment to end the others.
        async with asyncio.timeout(10):
            while len(set(sandbox_processes(os.getpid())) - idle) > 5:
                await asyncio.sleep(0.02)
    assert await gone(os.getpid(), before)


@pytest.mark.parametrize(
    "refusal",
    [
        "node._fork_sibling = lambda: 1\n",
        "import os\nnode._fork_sibling = lambda: os._exit(0)\n",
        "import time\nnode._fork_sibling = lambda: time.sleep(60)\n",
        "node._decode = lambda text: 1 / 0\n",
    ],
)
async def test_a_snapshot_that_does_not_fork_costs_its_own_path_time_and_nothing_else(refusal: str) -> None:
    path = COSTLY + "import rstar_math.sandbox.node as node\n" + refusal
    async with open_sandbox(SandboxConfig(workers=2, wall_seconds=1.0)) as opened:
        await printed(opened, (path,))
        (execution, other) = await opened.run([(path, "print('whole')\n"), ("print('other')\n",)])
        assert other.stdout == "other\n"
        assert execution.status in (Status.OK, Status.KILLED)
        assert await printed(opened, ("print('after')\n",)) == ["after\n"]


async def test_a_program_that_claims_to_have_ended_is_stopped() -> None:
    """With the password, which the frame that runs it holds."""
    claim = (
        "import os, sys\nframe = sys._getframe()\nwhile 'password' not in frame.f_locals: frame = frame.f_back\n"
        "os.write(3, frame.f_locals['password'].encode() + b'\\nkept')\nwhile True: pass\n"
    )
    before = set(sandbox_processes(os.getpid()))
    async with open_sandbox(CONFIG) as opened:
        (execution,) = await opened.run([(claim,)])
        assert (execution.status, execution.stdout) == (Status.OK, "")
        # A signal reaches a process that runs on another CPU a little later, and the controller may be at work just then.
        async with asyncio.timeout(10):
            states = ["R"]
            while states.count("T") != 1 or "R" in states:
                await asyncio.sleep(0.01)
                states = states_of(set(sandbox_processes(os.getpid())) - before)


async def test_a_snapshot_that_takes_memory_when_it_is_asked_for_a_fork_is_not_kept() -> None:
    """Its memory was measured once, when it became one."""
    greedy = COSTLY + (
        "import rstar_math.sandbox.node as node\nreal, held = node._fork_sibling, []\n"
        "def evil():\n    if not held: held.append(bytearray(b'x' * (200 << 20)))\n    return real()\n"
        "node._fork_sibling = evil\n"
    )
    before = set(sandbox_processes(os.getpid()))
    async with open_sandbox(SandboxConfig(workers=1, wall_seconds=60.0, snapshot_mb=100)) as opened:
        await printed(opened, ("pass\n",))
        await printed(opened, (greedy,))
        async with asyncio.timeout(10):  # a signal reaches a process that runs on another CPU a little later
            while "T" not in states_of(set(sandbox_processes(os.getpid())) - before):
                await asyncio.sleep(0.01)
        await printed(opened, (greedy, "print('x')\n"))
        async with asyncio.timeout(10):
            while "T" in states_of(set(sandbox_processes(os.getpid())) - before):
                await asyncio.sleep(0.02)


def states_of(processes: set[int]) -> list[str]:
    """What each process that is still there does: R runs, S sleeps, T is stopped."""
    states = []
    for process in processes:
        with suppress(FileNotFoundError, ProcessLookupError):
            states.append(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0])
    return states


async def test_no_more_snapshots_stay_than_asked_for() -> None:
    before = set(sandbox_processes(os.getpid()))
    async with open_sandbox(SandboxConfig(workers=2, wall_seconds=60.0, snapshots=3)) as few:
        await printed(few, ("pass\n",))
        idle = len(set(sandbox_processes(os.getpid())) - before)
        await printed(few, *((COSTLY, f"x = {number}\n") for number in range(12)))
        await printed(few, ("pass\n",))
        async with asyncio.timeout(20):  # the kernel needs a moment to end the others
            while len(set(sandbox_processes(os.getpid())) - before) > idle + 3:
                await asyncio.sleep(0.05)
    assert await gone(os.getpid(), before)


async def test_processor_time_of_the_path_counts_for_the_step_that_goes_on_from_it() -> None:
    """Each fork has a clock of its own; three times 0.6 s passed a limit of 1 s."""
    spend = "import time\nstart = time.process_time()\nwhile time.process_time() - start < 0.6: pass\n"
    async with open_sandbox(SandboxConfig(workers=1, wall_seconds=60.0, cpu_seconds=1.0)) as opened:
        statuses = [(await opened.run([(spend,) * steps]))[0].status for steps in (1, 2, 3)]
        (endless,) = await opened.run([(spend, "while True: pass\n")])
    assert statuses == [Status.OK, Status.CPU, Status.CPU]
    assert endless.status is Status.CPU
    assert "processor time" in endless.error


async def test_many_paths_come_and_go_and_the_sandbox_still_answers() -> None:
    """Snapshots that were killed and not buried yet left no room for a fork, and the refused fork was waited for for ever."""
    async with open_sandbox(SandboxConfig(workers=2, wall_seconds=60.0, snapshots=4)) as opened:
        await printed(opened, *((f"import {library}\n",) for library in ("time", "numpy", "sympy", "scipy")))
        for batch in range(8):
            paths = [COSTLY + f"x = {batch * 12 + number}\n" for number in range(12)]
            programs = [(path, f"print(x + {more})\n") for path in paths for more in (0, 1)]
            async with asyncio.timeout(60):
                executions = await opened.run(programs)
            assert {execution.status for execution in executions} == {Status.OK}
        async with asyncio.timeout(20):
            assert await printed(opened, ("print('innocent')\n",)) == ["innocent\n"]


async def test_a_refused_fork_costs_the_snapshots_and_not_the_programs() -> None:
    """Whoever makes the forks says that the kernel refused one; the sandbox makes room and goes on."""
    refuse = COSTLY + "import rstar_math.sandbox.node as node\nnode._fork_sibling = lambda: -1\n"
    async with open_sandbox(SandboxConfig(workers=2, wall_seconds=20.0)) as opened:
        await printed(opened, (refuse,))
        async with asyncio.timeout(10):  # not the twenty seconds of wall clock
            (after,) = await printed(opened, (refuse, "print('whole')\n"))
    assert after.endswith("\nwhole\n")


@pytest.mark.parametrize("ending", ["os._exit(0)", "time.sleep(1e6)"])
async def test_a_fork_that_never_says_so_does_not_outlive_its_snapshot(ending: str) -> None:
    stray = COSTLY + (
        "import os\nimport rstar_math.sandbox.node as node\nreal = node._fork_sibling\n"
        f"def evil():\n    if real() == 0: time.sleep(1e6)\n    {ending}\nnode._fork_sibling = evil\n"
    )
    before = set(sandbox_processes(os.getpid()))
    async with open_sandbox(SandboxConfig(workers=2, wall_seconds=1.0, snapshots=8)) as opened:
        await printed(opened, ("pass\n",))
        idle = set(sandbox_processes(os.getpid()))
        for number in range(3):
            path = f"{stray}number = {number}\n"
            await printed(opened, (path,))
            await opened.run([(path, "print('x')\n")])
        assert await printed(opened, ("print('innocent')\n",)) == ["innocent\n"]
        # Nothing runs that is no stopped snapshot, once the kernel has ended the others.
        async with asyncio.timeout(10):
            while not set(states_of(set(sandbox_processes(os.getpid())) - idle)) <= {"T"}:
                await asyncio.sleep(0.02)
    assert await gone(os.getpid(), before)

"""Does the sandbox run what it should, and hold what it promises?"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Set
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from rstar_math.config import SandboxConfig
from rstar_math.errors import SandboxError
from rstar_math.records import Execution, Status
from rstar_math.sandbox import ProcessSandbox, open_sandbox, promises

CONFIG = SandboxConfig(workers=4, wall_seconds=3.0, cpu_seconds=3.0, memory_mb=256, output_bytes=4096)
module_loop = pytest.mark.asyncio(loop_scope="module")
pytestmark = module_loop


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[ProcessSandbox]:
    async with open_sandbox(CONFIG) as opened:
        yield opened


async def run(sandbox: ProcessSandbox, *steps: str) -> Execution:
    return (await sandbox.run([tuple(step + "\n" for step in steps)]))[0]


def sandbox_processes(owner: int) -> list[int]:
    """Every process that a launcher of process `owner` started, itself included: all keep its command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"rstar_math.sandbox.launcher" in line and f'"owner": {owner},'.encode() in line:
            found.append(int(entry.name))
    return found


async def gone(owner: int, spared: Set[int] = frozenset()) -> bool:
    """Whether all but `spared` end within ten seconds: the kernel needs a moment."""
    deadline = time.monotonic() + 10
    while set(sandbox_processes(owner)) - spared and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    return not set(sandbox_processes(owner)) - spared


# What a program's end is called


async def test_a_program_prints_unrounded_and_later_steps_see_earlier_names(sandbox: ProcessSandbox) -> None:
    execution = await run(sandbox, "x = 1\nprint(x / 3)", "print(x + 1)")
    assert (execution.status, execution.stdout, execution.error) == (Status.OK, "0.3333333333333333\n2\n", "")
    assert 0 < execution.seconds < 3


async def test_an_exception_is_an_error_with_its_step_and_line_and_keeps_what_was_printed(
    sandbox: ProcessSandbox,
) -> None:
    execution = await run(sandbox, "print('before')", "y = 2\nz = y / 0")
    assert execution.status is Status.ERROR
    assert execution.stdout == "before\n"
    assert execution.error == "ZeroDivisionError: division by zero (step 2, line 2)"


async def test_an_error_inside_a_function_of_an_earlier_step_names_the_line_that_failed(
    sandbox: ProcessSandbox,
) -> None:
    execution = await run(sandbox, "def f(x):\n    return 1 / x", "f(0)")
    assert execution.error == "ZeroDivisionError: division by zero (step 1, line 2)"


async def test_code_that_is_no_python_is_an_error_of_its_step(sandbox: ProcessSandbox) -> None:
    execution = await run(sandbox, "x = 1", "y = 2\ndef f(:")
    assert (execution.status, execution.error) == (Status.ERROR, "SyntaxError: invalid syntax (step 2, line 2)")


async def test_the_word_error_in_the_output_is_no_error(sandbox: ProcessSandbox) -> None:
    execution = await run(sandbox, "print('Error: memory timeout killed')")
    assert execution.status is Status.OK


@pytest.mark.parametrize("leave", ["sys.exit(0)", "raise SystemExit(0)"])
async def test_a_program_that_exits_did_not_reach_its_end(sandbox: ProcessSandbox, leave: str) -> None:
    execution = await run(sandbox, f"import sys\nprint('before')\n{leave}")
    assert (execution.status, execution.stdout) == (Status.ERROR, "before\n")
    assert execution.error == "SystemExit: 0 (step 1, line 3)"


async def test_exit_and_quit_are_there_and_end_the_program_only(sandbox: ProcessSandbox) -> None:
    for name in ("exit", "quit"):
        assert (await run(sandbox, f"{name}()")).error.startswith("SystemExit")


async def test_leaving_past_the_interpreter_is_killed_even_with_exit_code_zero(sandbox: ProcessSandbox) -> None:
    execution = await run(sandbox, "import os\nprint('before', flush=True)\nos._exit(0)")
    assert (execution.status, execution.stdout) == (Status.KILLED, "before\n")


async def test_closing_every_channel_is_killed(sandbox: ProcessSandbox) -> None:
    assert (await run(sandbox, "import os\nos.closerange(0, 100)")).status is Status.KILLED


async def test_a_crash_in_native_code_is_killed_by_its_signal(sandbox: ProcessSandbox) -> None:
    execution = await run(sandbox, "import ctypes\nctypes.string_at(0)")
    assert execution.status is Status.KILLED
    assert "signal 11" in execution.error


@pytest.mark.parametrize("loop", ["while True: pass", "x = 10 ** 10 ** 10", "import time\ntime.sleep(60)"])
async def test_what_never_returns_is_a_timeout(loop: str) -> None:
    async with open_sandbox(SandboxConfig(workers=1, wall_seconds=0.3)) as quick:
        execution = await run(quick, "print('before', flush=True)", loop)
        after = await run(quick, "print('still here')")
    assert (execution.status, execution.stdout) == (Status.TIMEOUT, "before\n")
    assert 0.3 <= execution.seconds < 3
    assert after.stdout == "still here\n"


async def test_a_loop_that_swallows_every_exception_is_a_timeout_by_processor_time() -> None:
    loop = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    async with open_sandbox(SandboxConfig(workers=1, wall_seconds=30.0, cpu_seconds=1.0)) as quick:
        execution = await run(quick, loop)
    assert execution.status is Status.TIMEOUT
    assert "processor" in execution.error


async def test_too_much_memory_is_memory(sandbox: ProcessSandbox) -> None:
    for bomb in ("x = bytearray(1 << 30)", "x = []\nwhile True: x.append(' ' * 1000000)"):
        assert (await run(sandbox, bomb)).status is Status.MEMORY
    assert (await run(sandbox, "x = bytearray(100 << 20)\nprint(len(x))")).stdout == "104857600\n"


async def test_a_flood_of_output_is_cut_and_the_cut_is_marked(sandbox: ProcessSandbox) -> None:
    for program in ("while True: print('x' * 99)", "print('x' * 99 + '\\n', end='')\n" * 50):
        execution = await run(sandbox, program)
        assert execution.status is Status.OUTPUT_LIMIT
        printed, mark = execution.stdout.rsplit("\n", 1)
        assert (len(printed), printed[:100]) == (4096, "x" * 99 + "\n")
        assert mark == "[output cut after 4096 bytes]"


async def test_output_of_exactly_the_limit_is_whole(sandbox: ProcessSandbox) -> None:
    execution = await run(sandbox, "print('x' * 4095)")
    assert (execution.status, len(execution.stdout)) == (Status.OK, 4096)


# What a program finds


async def test_programs_share_no_names_and_no_modules(sandbox: ProcessSandbox) -> None:
    leak = "import math\nx = 1\nmath.pi = 3\nprint(x, math.pi)\n"
    look = "import math\nprint('x' in globals(), math.pi)\n"
    executions = await sandbox.run([(leak,), (look,)] * 2)
    assert [execution.stdout for execution in executions] == ["1 3\n", "False 3.141592653589793\n"] * 2


async def test_a_program_is_main_and_reads_an_empty_standard_input(sandbox: ProcessSandbox) -> None:
    assert (await run(sandbox, "if __name__ == '__main__': print('main')")).stdout == "main\n"
    assert (await run(sandbox, "input()")).error == "EOFError: EOF when reading a line (step 1, line 1)"


async def test_any_text_goes_in_and_out(sandbox: ProcessSandbox) -> None:
    assert (await run(sandbox, "print('√2 ≈ 1.414 \\U0001d70b')")).stdout == "√2 ≈ 1.414 𝜋\n"
    assert (await run(sandbox, "print('\\ud800')")).stdout == "\\ud800\n"
    assert (await run(sandbox, "import os\nos.write(1, b'\\xff')")).stdout == "\ufffd"
    assert (await run(sandbox, "print('\ud800')")).status is Status.ERROR
    assert (await run(sandbox, "print('\0')")).status is Status.ERROR
    assert (await run(sandbox, "raise ValueError('\\ud800')")).error == "ValueError: \\ud800 (step 1, line 1)"


async def test_an_exception_whose_text_raises_is_still_an_error(sandbox: ProcessSandbox) -> None:
    execution = await run(sandbox, "class E(Exception):\n    def __str__(self): raise self\nraise E")
    assert execution.status is Status.ERROR
    assert "step 1, line 3" in execution.error


async def test_the_same_program_prints_the_same_in_every_sandbox(sandbox: ProcessSandbox) -> None:
    draw = (
        "import random\nimport numpy as np\nimport sympy\n"
        "print(random.random(), np.random.rand(), hash('x'), {'b', 'a', 'c'}, sympy.core.random.random())\n"
    )
    first, second = await sandbox.run([(draw,), (draw, "pass\n")])
    async with open_sandbox(CONFIG) as other:
        third = await run(other, draw)
    assert first.status is Status.OK, first.error
    assert first.stdout == second.stdout == third.stdout


async def test_sympy_and_numpy_answer(sandbox: ProcessSandbox) -> None:
    solve = "from sympy import *\nx = symbols('x')\nprint(solve(x**2 - 2, x))"
    assert (await run(sandbox, solve)).stdout == "[-sqrt(2), sqrt(2)]\n"
    assert (await run(sandbox, "import numpy as np\nprint(np.ones((2, 2)) @ np.ones(2))")).stdout == "[2. 2.]\n"


async def test_a_module_that_no_tier_holds_can_still_be_imported(sandbox: ProcessSandbox) -> None:
    if sandbox.walls["landlock"].startswith("none"):
        pytest.skip("without Landlock no file is opened after the warm-up")
    assert (await run(sandbox, "import colorsys\nprint(colorsys.rgb_to_hsv(1, 0, 0))")).stdout == "(0.0, 1.0, 1)\n"


# What a program cannot do


async def test_the_environment_holds_no_secret(sandbox: ProcessSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "canary-value")
    async with open_sandbox(CONFIG) as fresh:
        for opened in (fresh, sandbox):
            execution = await run(opened, "import os\nprint(os.environ)")
            assert "PATH" in execution.stdout
            assert "canary" not in execution.stdout.lower()


async def test_a_canary_file_is_neither_read_nor_changed(sandbox: ProcessSandbox, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    for attempt in ("open({0!r})", "open({0!r}, 'w')", "os.remove({0!r})", "os.rename({0!r}, {0!r} + '2')"):
        execution = await run(sandbox, "import os\nprint(" + attempt.format(str(canary)) + ")")
        assert (execution.status, execution.stdout) == (Status.ERROR, "")
    assert canary.read_text() == "untouched"
    assert list(tmp_path.iterdir()) == [canary]


async def test_nothing_can_be_written_where_a_program_runs(sandbox: ProcessSandbox) -> None:
    for attempt in ("open('x', 'w')", "os.mkdir('x')", "os.symlink('/', 'x')", "os.mkfifo('x')"):
        assert (await run(sandbox, f"import os\n{attempt}")).error.startswith("PermissionError")


async def test_a_listener_of_the_test_hears_nothing(sandbox: ProcessSandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        execution = await run(sandbox, f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)")
        assert execution.status is Status.ERROR
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    "attempt",
    [
        "while True: os.fork()",
        "os.kill(os.getppid(), 9)",
        "os.kill(-1, 9)",
        "os.execv('/bin/true', ['true'])",
        "subprocess.run(['true'])",
        "threading.Thread(target=print).start()",
        "os.memfd_create('x')",
        "fcntl.fcntl(1, fcntl.F_SETOWN, os.getppid())",
        "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (1, 1))",
        "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    ],
)
async def test_processes_signals_and_limits_of_others_are_out_of_reach(sandbox: ProcessSandbox, attempt: str) -> None:
    modules = "import os, subprocess, threading, fcntl, resource"
    execution = await run(sandbox, modules, attempt)
    assert execution.status is Status.ERROR
    assert (await run(sandbox, "print('still here')")).stdout == "still here\n"


async def test_files_may_be_written_in_a_private_folder_where_the_config_allows_it(tmp_path: Path) -> None:
    async with open_sandbox(SandboxConfig(workers=2, file_mb=1)) as writing:
        if writing.walls["landlock"].startswith("none"):
            pytest.skip("without Landlock nothing is written")
        write = "open('x', 'w').write('y')\nimport os\nprint(os.listdir('.'), open('x').read())"
        assert (await run(writing, write)).stdout == "['x'] y\n"
        assert (await run(writing, "import os\nprint(os.listdir('.'))")).stdout == "[]\n"
        assert (await run(writing, "import os\nos.listdir('..')")).error.startswith("PermissionError")
        assert (await run(writing, "open('x', 'w').write('y' * (2 << 20))")).error.startswith("OSError")
        assert (await run(writing, f"open({str(tmp_path / 'x')!r}, 'w')")).error.startswith("PermissionError")


async def test_where_the_config_allows_processes_none_outlives_its_program() -> None:
    before = set(sandbox_processes(os.getpid()))
    async with open_sandbox(SandboxConfig(workers=1, processes=2)) as forking:
        if forking.walls["seccomp"].startswith("none"):
            pytest.skip("without seccomp a program may leave its process group")
        standing = set(sandbox_processes(os.getpid()))
        execution = await run(forking, "import os, time\nif os.fork() == 0:\n    time.sleep(60)\nprint('parent')")
        assert execution.stdout == "parent\n"
        assert await gone(os.getpid(), before | standing)
        assert (await run(forking, "import os\nos.setsid()")).status is Status.ERROR


async def test_every_promise_is_held_or_said_with_its_reason() -> None:
    kept = await asyncio.to_thread(promises, CONFIG)
    assert len(kept) == 11
    assert all(promise.by for promise in kept)
    limits = {promise.name: promise.held for promise in kept if promise.by == "limits"}
    assert limits == {
        "no flood of output": True,
        "no memory beyond the limit": True,
        "no program without end": True,
    }


# The sandbox itself


async def test_two_hundred_programs_at_once_come_back_in_order(sandbox: ProcessSandbox) -> None:
    async def square(number: int) -> str:
        return (await run(sandbox, f"x = {number}", "print(x * x)")).stdout

    printed = await asyncio.gather(*(square(number) for number in range(200)))
    assert printed == [f"{number * number}\n" for number in range(200)]


async def test_equal_programs_of_one_call_run_once(sandbox: ProcessSandbox) -> None:
    clock = ("import time\n", "print(time.monotonic_ns())\n")
    other = ("print(1)\n",)
    executions = await sandbox.run([clock, other, clock])
    assert executions[0] == executions[2]
    assert executions[1].stdout == "1\n"
    assert await sandbox.run([]) == []


async def test_no_more_programs_run_at_once_than_workers() -> None:
    program = "import time\nstart = time.monotonic()\ntime.sleep(0.1)\nprint(start, time.monotonic())\n"
    programs = [(program, f"{tier} = {number}\n") for number in range(4) for tier in ("plain", "numpy")]
    async with open_sandbox(SandboxConfig(workers=2)) as narrow:
        executions = await narrow.run(programs)
    spans = [tuple(map(float, execution.stdout.split())) for execution in executions]
    assert max(sum(start <= moment < end for start, end in spans) for moment, _ in spans) <= 2


async def test_a_cancelled_call_leaves_the_sandbox_usable(sandbox: ProcessSandbox) -> None:
    call = asyncio.create_task(run(sandbox, "import time\ntime.sleep(0.2)"))
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await run(sandbox, "print(1)")).stdout == "1\n"


async def test_no_process_is_left_after_the_end() -> None:
    script = (
        "import asyncio, os\nfrom rstar_math.config import SandboxConfig\nfrom rstar_math.sandbox import open_sandbox\n"
        "async def main():\n"
        "    async with open_sandbox(SandboxConfig(workers=2, wall_seconds=60)) as sandbox:\n"
        "        run = asyncio.create_task(sandbox.run([('while True: pass\\n',), ('import numpy\\n',)]))\n"
        "        print(os.getpid(), flush=True)\n"
        "        await asyncio.to_thread(input)\n"
        "    try:\n        await run\n"
        "    except Exception as error:\n        print(type(error).__name__, error, flush=True)\n"
        "    input()\n"
        "asyncio.run(main())\n"
    )
    for killed in (False, True):
        with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True) as search:
            assert search.stdin and search.stdout
            owner = int(await asyncio.to_thread(search.stdout.readline))
            async with asyncio.timeout(30):  # launcher, two warm parents and a program that runs
                while len(sandbox_processes(owner)) < 4:
                    await asyncio.sleep(0.02)
            if killed:
                search.kill()
            else:
                search.stdin.write("\n")
                search.stdin.flush()
                assert await asyncio.to_thread(search.stdout.readline) == "SandboxError the sandbox was closed\n"
            assert await gone(owner)
            search.kill()


async def test_a_dead_sandbox_starts_again_once_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    before = set(sandbox_processes(os.getpid()))
    async with open_sandbox(CONFIG) as mortal:
        slow = asyncio.create_task(run(mortal, "import time\ntime.sleep(0.5)\nprint('done')"))
        await asyncio.sleep(0.1)
        kill_launcher(before)
        assert (await slow).stdout == "done\n"
        assert [record.message for record in caplog.records if "starts again" in record.message] != []
        slow = asyncio.create_task(run(mortal, "import time\ntime.sleep(0.5)\nprint('done')"))
        await asyncio.sleep(0.1)
        kill_launcher(before)
        with pytest.raises(SandboxError, match="died twice"):
            await slow
        with pytest.raises(SandboxError, match="died twice"):
            await run(mortal, "print(1)")
    assert await gone(os.getpid(), before)


def kill_launcher(spared: Set[int]) -> None:
    """Kills the one process that this one started; the rest is the kernel's part."""
    for process in set(sandbox_processes(os.getpid())) - spared:
        with suppress(FileNotFoundError, ProcessLookupError):  # a program's process may end meanwhile
            if f"PPid:\t{os.getpid()}\n" in Path(f"/proc/{process}/status").read_text():
                os.kill(process, signal.SIGKILL)


async def test_a_sandbox_that_is_not_open_says_so() -> None:
    shut = ProcessSandbox(CONFIG)
    with pytest.raises(SandboxError, match="not started"):
        await run(shut, "print(1)")
    async with shut:
        assert (await run(shut, "print(1)")).stdout == "1\n"
    with pytest.raises(SandboxError, match="closed"):
        await run(shut, "print(1)")


async def test_the_room_needs_no_torch_and_no_ray() -> None:
    check = (
        "import sys, rstar_math.sandbox.door, rstar_math.sandbox.canaries\nprint({'torch', 'ray'} & set(sys.modules))"
    )
    shown = await asyncio.to_thread(subprocess.check_output, [sys.executable, "-c", check], text=True)
    assert shown == "set()\n"

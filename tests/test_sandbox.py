"""Does the sandbox run what it should, and say rightly how it ended?"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Set
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from sandboxes import CONFIG, gone, run, sandbox_processes

from rstar_math.config import SandboxConfig
from rstar_math.errors import SandboxError
from rstar_math.records import Status
from rstar_math.sandbox import ProcessSandbox, open_sandbox
from rstar_math.sandbox.confine import fixed_addresses
from rstar_math.sandbox.loop import Loop
from rstar_math.sandbox.tiers import tier_of
from rstar_math.sandbox.warm import PARENTS
from rstar_math.sandbox.wire import Inbox, pack

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[ProcessSandbox]:
    async with open_sandbox(CONFIG) as opened:
        yield opened


# What a program's end is called


async def test_a_program_prints_unrounded_and_later_steps_see_earlier_names(sandbox: ProcessSandbox) -> None:
    execution = await run(sandbox, "x = 1\nprint(x / 3)", "print(x + 1)")
    assert (execution.status, execution.stdout, execution.error) == (Status.OK, "0.3333333333333333\n2\n", "")
    assert 0 < execution.seconds < 60


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
    async with open_sandbox(SandboxConfig(workers=1, wall_seconds=1.0)) as quick:
        execution = await run(quick, "print('before', flush=True)", loop)
        after = await run(quick, "print('still here')")
    assert (execution.status, execution.stdout) == (Status.TIMEOUT, "before\n")
    assert 1 <= execution.seconds < 30
    assert after.stdout == "still here\n"


async def test_a_loop_that_swallows_every_exception_ends_by_its_processor_time_which_has_a_status_of_its_own() -> None:
    """It was a timeout, as what only sleeps is."""
    loop = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    async with open_sandbox(SandboxConfig(workers=1, wall_seconds=60.0, cpu_seconds=1.0)) as quick:
        execution = await run(quick, loop)
    assert execution.status is Status.CPU
    assert "processor" in execution.error


async def test_too_much_memory_is_memory(sandbox: ProcessSandbox) -> None:
    for bomb in ("x = bytearray(1 << 30)", "x = []\nwhile True: x.append(' ' * 1000000)"):
        assert (await run(sandbox, bomb)).status is Status.MEMORY
    assert (await run(sandbox, "x = bytearray(100 << 20)\nprint(len(x))")).stdout == "104857600\n"
    mapped = await run(
        sandbox, "import mmap\nmmap.mmap(-1, 2 << 30, mmap.MAP_PRIVATE)"
    )  # the kernel's words: an OSError
    assert (mapped.status, "Cannot allocate memory" in mapped.error) == (Status.MEMORY, True)


async def test_a_flood_of_output_is_cut_and_the_cut_is_marked(sandbox: ProcessSandbox) -> None:
    for program in ("while True: print('x' * 99)", "print('x' * 99 + '\\n', end='')\n" * 50):
        execution = await run(sandbox, program)
        assert execution.status is Status.OUTPUT_LIMIT
        printed, mark = execution.stdout.rsplit("\n", 1)
        assert (len(printed), printed[:100]) == (4096, "x" * 99 + "\n")
        assert mark == "[output cut after 4096 bytes]"


async def test_output_is_cut_between_characters(sandbox: ProcessSandbox) -> None:
    """Half a character stood before the mark, as U+FFFD."""
    execution = await run(sandbox, "print('x' + 'é' * 9000)")
    assert execution.stdout.endswith("éé\n[output cut after 4096 bytes]")
    assert "\ufffd" not in execution.stdout


async def test_output_of_exactly_the_limit_is_whole(sandbox: ProcessSandbox) -> None:
    execution = await run(sandbox, "print('x' * 4095)")
    assert (execution.status, len(execution.stdout)) == (Status.OK, 4096)


# What a program finds


async def test_standard_output_can_be_made_anew_as_ordinary_code_does(sandbox: ProcessSandbox) -> None:
    """It was made over the null device and remembered that one can seek in it, which a pipe refuses."""
    again = "import io, sys\nsys.stdout.reconfigure(encoding='utf-8')\nprint(sys.stdout.seekable(), flush=True)"
    wrapped = "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8', line_buffering=True)\nprint('√')"
    execution = await run(sandbox, again, wrapped)
    assert (execution.stdout, execution.error) == ("False\n√\n", "")


@pytest.mark.parametrize(
    "program",
    [
        "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding='utf-8')\nprint('x')",
        "import atexit\natexit.register(print, 'x')",
        "import os\nprint('x' if open(os.__file__, opener=os.open).read(1) else '')",
    ],
    ids=["its buffer under another wrapper", "what is done at the end", "an opener"],
)
async def test_ordinary_python_prints_as_it_does_outside(sandbox: ProcessSandbox, program: str) -> None:
    execution = await run(sandbox, program)
    assert (execution.status, execution.stdout, execution.error) == (Status.OK, "x\n", "")


async def test_linear_programs_are_solved_on_machines_of_many_cores(sandbox: ProcessSandbox) -> None:
    """The solver started a thread for every two cores that it counted, and a program may start none."""
    solve = "from scipy.optimize import linprog\nprint(linprog([-1, -2], A_ub=[[1, 1]], b_ub=[4]).fun)"
    assert (await run(sandbox, solve)).stdout == "-8.0\n"
    assert int((await run(sandbox, "import os\nprint(os.cpu_count())")).stdout) <= 2
    assert (await run(sandbox, "import os\nos.sched_getaffinity(0)")).status is Status.ERROR  # where there are two, too


async def test_random_parts_of_names_are_the_same_in_every_sandbox(sandbox: ProcessSandbox) -> None:
    program = "from sympy import Dummy\nprint(hash(Dummy('x')), sorted(map(hash, {Dummy() for _ in range(3)})))"
    async with open_sandbox(CONFIG) as other:
        assert (await run(sandbox, program)).stdout == (await run(other, program)).stdout != ""


async def test_help_is_there(sandbox: ProcessSandbox) -> None:
    assert "absolute value" in (await run(sandbox, "help(abs)")).stdout


async def test_sets_have_one_order_in_every_sandbox(sandbox: ProcessSandbox) -> None:
    """In CPython 3.11 the hash of None is its address, which the kernel draws anew for each process."""
    look = "print(hash(None), {None, 1, 'a', int, str, (None, 2)})"
    with fixed_addresses():
        if (
            subprocess.run(["cat", "/proc/self/personality"], capture_output=True, text=True).stdout.strip()
            != "00040000"
        ):
            pytest.skip("the kernel fixes no addresses for this user")
    async with open_sandbox(CONFIG) as other:
        assert (await run(other, look)).stdout == (await run(sandbox, look)).stdout


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


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("error = ValueError('what went wrong')\nerror.add_note('a note')\nraise error", "ValueError: what went wrong"),
        ("raise SyntaxError('x', ('<program>', 'abc', 1, 't'))", "cannot be put into words"),
    ],
)
async def test_an_error_that_reads_oddly_is_still_an_error(sandbox: ProcessSandbox, program: str, words: str) -> None:
    execution = await run(sandbox, program)
    assert execution.status is Status.ERROR
    assert words in execution.error


async def test_a_stream_of_the_programs_own_needs_no_more_than_python_asks_of_it(sandbox: ProcessSandbox) -> None:
    tee = "import sys\nclass Tee:\n    write = staticmethod(sys.stdout.write)\n    flush = staticmethod(sys.stdout.flush)\n"
    execution = await run(sandbox, tee + "sys.stdout = Tee()\nprint('heard')")
    assert (execution.status, execution.stdout) == (Status.OK, "heard\n")


async def test_a_program_that_claims_to_stay_ends_no_sandbox_that_keeps_none() -> None:
    """Where a program may have processes of its own nothing stays; the claim was believed, and the sandbox died of it."""
    async with open_sandbox(replace(CONFIG, processes=2)) as opened:
        await run(opened, "import os\nos.write(3, b'kept')")
        assert (await run(opened, "print('innocent')")).stdout == "innocent\n"


async def test_who_hears_of_a_descriptor_hears_nothing_of_the_one_that_had_its_number() -> None:
    """Two events of one turn: the first closes the second's descriptor, and a new one gets its number."""
    loop, heard = Loop(), list[str]()
    pipes = [os.pipe() for _ in range(2)]
    for _, end in pipes:
        os.write(end, b"!")

    def first(own: int, other: int) -> None:
        heard.append("first")
        loop.forget(own)
        loop.forget(other)
        os.dup2(quiet, other)
        loop.watch(other, lambda: heard.append("stale"))

    quiet, _ = os.pipe()
    (one, _), (two, _) = pipes
    loop.watch(one, lambda: first(one, two))
    loop.watch(two, lambda: first(two, one))
    loop.turn(1)
    loop.turn(0)
    assert heard == ["first"]


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


async def test_asyncio_runs_tasks_queues_and_timeouts(sandbox: ProcessSandbox) -> None:
    tasks = (
        "import asyncio\n"
        "async def square(number, queue):\n    await asyncio.sleep(0.01)\n    await queue.put(number * number)\n"
        "async def main():\n"
        "    queue = asyncio.Queue()\n    await asyncio.gather(*(square(number, queue) for number in range(4)))\n"
        "    try:\n        await asyncio.wait_for(asyncio.sleep(60), 0.01)\n"
        "    except TimeoutError:\n        print('late')\n"
        "    return sorted(queue.get_nowait() for _ in range(4))\n"
        "print(asyncio.run(main()))"
    )
    again = "print(asyncio.run(main()), asyncio.new_event_loop().close())"
    execution = await run(sandbox, tasks, again)
    assert (execution.status, execution.error) == (Status.OK, "")
    assert execution.stdout == "late\n[0, 1, 4, 9]\nlate\n[0, 1, 4, 9] None\n"


#: Prints the modules of the standard library that this interpreter can import, but for those that open a window or a browser.
IMPORTABLE = """
import contextlib, importlib, io, sys
found = []
for name in sorted(sys.stdlib_module_names - {"antigravity", "idlelib", "this", "tkinter", "turtle", "turtledemo"}):
    with contextlib.suppress(ImportError), contextlib.redirect_stdout(io.StringIO()):
        importlib.import_module(name)
        found.append(name)
print(*found)
"""


async def test_every_module_of_the_standard_library_can_be_imported(sandbox: ProcessSandbox) -> None:
    if sandbox.walls["landlock"].startswith("none"):
        pytest.skip("without Landlock no file is opened after the warm-up")
    shown = await asyncio.to_thread(
        subprocess.check_output, [sys.executable, "-W", "ignore", "-c", IMPORTABLE], text=True
    )
    outside = shown.split()
    assert len(outside) > 200
    executions = await sandbox.run([(f"import {name}\n",) for name in outside])
    refused = {
        name: execution.error for name, execution in zip(outside, executions, strict=True) if execution.status != "ok"
    }
    assert refused == {}


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
    async with open_sandbox(SandboxConfig(workers=2, slow=0, wall_seconds=60.0)) as narrow:
        executions = await narrow.run(programs)
    spans = [tuple(map(float, execution.stdout.split())) for execution in executions]
    assert max(sum(start <= moment < end for start, end in spans) for moment, _ in spans) <= 2


async def test_a_call_of_hundreds_does_not_hold_up_a_call_of_one(sandbox: ProcessSandbox) -> None:
    many = asyncio.create_task(sandbox.run([(f"print({number})\n",) for number in range(600)]))
    await asyncio.sleep(0)
    assert (await run(sandbox, "print('one')")).stdout == "one\n"
    assert not many.done()
    assert [execution.stdout for execution in await many] == [f"{number}\n" for number in range(600)]


async def test_a_program_of_a_megabyte_runs(sandbox: ProcessSandbox) -> None:
    text = "x" * (1 << 20)
    assert (await run(sandbox, f"print(len({text!r}))")).stdout == f"{1 << 20}\n"


async def test_a_warm_parent_that_dies_gets_a_successor_and_nothing_is_lost() -> None:
    before = set(sandbox_processes(os.getpid()))
    async with open_sandbox(CONFIG) as opened:
        await run(opened, "print(1)")
        parent = await only_warm_parent(before)
        slow = asyncio.create_task(run(opened, "import time\ntime.sleep(0.5)\nprint('done')"))
        await asyncio.sleep(0.1)
        os.kill(parent, signal.SIGKILL)
        assert [(await run(opened, f"print({number})")).stdout for number in range(3)] == ["0\n", "1\n", "2\n"]
        assert (await slow).stdout == "done\n"


async def only_warm_parent(spared: Set[int]) -> int:
    """The one process of the sandbox that waits behind a filter of its own.

    So does a program, whose end is known a moment before its process is gone.
    """
    deadline = time.monotonic() + 10
    while len(parents := [each for each in set(sandbox_processes(os.getpid())) - spared if has_own_filter(each)]) != 1:
        assert time.monotonic() < deadline, parents
        await asyncio.sleep(0.02)
    return parents[0]


def has_own_filter(process: int) -> bool:
    try:
        return "Seccomp_filters:\t2" in Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False


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
            async with asyncio.timeout(30):  # two launchers, controller, warm parents and a program that runs
                while len(sandbox_processes(owner)) < 3 + PARENTS + 1:
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


async def test_a_program_goes_to_the_smallest_tier_that_holds_its_libraries() -> None:
    assert tier_of(("import math\n",)) == "bare"
    assert tier_of(("x = 1\n", "import numpy as np\n")) == "numpy"
    assert tier_of(("import numpy\n", "from sympy import *\n")) == "sympy"
    assert tier_of(("from scipy.optimize import minimize\nimport sympy\n",)) == "scipy"
    assert tier_of(("numpyish = sympyish = 1\n",)) == "bare"
    assert tier_of(("import asyncio\n", "import numpy\n")) == "asyncio"


async def test_messages_arrive_whole_however_the_bytes_are_cut() -> None:
    messages = [[[1, ["print('\ud800')\n"]]], [], [[2, ["é" * 300]]]]
    stream = b"".join(map(pack, messages))
    for size in (1, 3, 7, 64, len(stream)):
        inbox = Inbox()
        pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert [message for piece in pieces for message in inbox.feed(piece)] == messages
    assert json.loads(pack(messages[0])[4:]) == messages[0]

"""What can a program in the sandbox not do?"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from sandboxes import CONFIG, gone, run, sandbox_processes

import rstar_math
from rstar_math.bench.sandbox import left_out
from rstar_math.config import SandboxConfig
from rstar_math.errors import SandboxError
from rstar_math.records import Status
from rstar_math.sandbox import ProcessSandbox, canaries, open_sandbox, promises
from rstar_math.sandbox.canaries import _CANARIES

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[ProcessSandbox]:
    async with open_sandbox(CONFIG) as opened:
        yield opened


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
    async with open_sandbox(SandboxConfig(workers=2, wall_seconds=60.0, file_mb=1)) as writing:
        if writing.walls["landlock"].startswith("none"):
            pytest.skip("without Landlock nothing is written")
        write = "open('x', 'w').write('y')\nimport os\nprint(os.listdir('.'), open('x').read())"
        assert (await run(writing, write)).stdout == "['x'] y\n"
        assert (await run(writing, "import os\nprint(os.listdir('.'))")).stdout == "[]\n"
        assert (await run(writing, "import os\nos.listdir('..')")).error.startswith("PermissionError")
        assert (await run(writing, "open('x', 'w').write('y' * (2 << 20))")).error.startswith("OSError")
        outside = await run(writing, f"open({str(tmp_path / 'x')!r}, 'w')")
        assert outside.error.startswith(("PermissionError", "FileNotFoundError"))
        assert not (tmp_path / "x").exists()


async def test_no_program_sees_the_files_of_another_or_finds_its_room_taken() -> None:
    """All shared one space: a name of another's could be asked for, and whoever filled it left the others none."""
    hoard = "for number in range(99):\n    open(str(number), 'w').write('y' * 50_000)"
    hoard = hoard.replace("\n", "\n    ")
    fill = f"import os, time\ntry:\n    {hoard}\nexcept OSError as error:\n    print(error)"
    wait = "while time.monotonic() < START + 3: time.sleep(0.05)"
    look = (
        "seen = [n for n in range(999) if n != os.getpid() and any(attempt(lambda: os.stat(f'{up}{n}')) for up in UP)]"
    )
    write = f"open('own', 'w').write('y' * 900_000)\nprint(os.listdir('.'), seen)\n{wait}"
    attempt = "def attempt(action):\n    try: return action()\n    except OSError: return None\nUP = ('', '../')"
    async with open_sandbox(SandboxConfig(workers=4, slow=1, wall_seconds=60.0, file_mb=1)) as writing:
        if writing.walls["own namespaces"]:
            pytest.skip(f"programs share one space for files: {writing.walls['own namespaces']}")
        start = f"START = {asyncio.get_running_loop().time()}"
        greedy = [run(writing, start, fill, wait, f"pass  # {number}") for number in range(3)]
        under_way = asyncio.gather(*greedy)
        await asyncio.sleep(1)
        modest = await run(writing, start, "import os, time", attempt, look, write)
        filled = await under_way
    assert [execution.stdout for execution in filled] == ["[Errno 28] No space left on device\n"] * 3
    assert (modest.stdout, modest.error) == ("['own'] []\n", "")


async def test_all_files_of_a_program_together_are_bounded() -> None:
    async with open_sandbox(SandboxConfig(workers=2, wall_seconds=60.0, file_mb=1)) as writing:
        if writing.walls["root"].startswith("none"):
            pytest.skip("without a root of its own the size of each file is bounded, not their sum")
        hoard = "for number in range(9):\n    open(str(number), 'w').write('y' * (1 << 20))"
        assert (await run(writing, hoard)).error.startswith("OSError: [Errno 28]")
        assert (await run(writing, "open('x', 'w').write('y' * 1000)")).status is Status.OK


@pytest.mark.parametrize(
    "mess",
    [
        "for _ in range(1200):\n    os.mkdir('d')\n    os.chdir('d')",
        "os.mkdir('d', 0o300)\nwhile True: open(f'd/{time.monotonic_ns()}', 'w').write('y' * 100000)",
        "while True: open(str(time.monotonic_ns()), 'w')",
    ],
    ids=["a deep chain", "a hidden folder", "empty files"],
)
async def test_what_a_program_wrote_goes_away_however_it_is_hidden(mess: str) -> None:
    """The chain ended the sandbox, the folder filled it for good."""
    async with open_sandbox(SandboxConfig(workers=2, wall_seconds=60.0, file_mb=1)) as writing:
        if writing.walls["landlock"].startswith("none"):
            pytest.skip("without Landlock nothing is written")
        if writing.walls["root"].startswith("none") and "1200" not in mess:
            pytest.skip("without a root of its own the size of each file is bounded, not their sum")
        for _ in range(2):
            await run(writing, f"import os, time\n{mess}")
        assert (await run(writing, "open('x', 'w').write('y' * 1000000)\nprint('room')")).stdout == "room\n"


async def test_all_programs_together_are_held_to_one_amount_of_memory_where_the_kernel_lends_a_group() -> None:
    async with open_sandbox(SandboxConfig(workers=1, slow=0, wall_seconds=60.0, memory_mb=900, processes=8)) as forking:
        if forking.walls["cgroup"].startswith("none"):
            pytest.skip(f"no control group: {forking.walls['cgroup']}")
        in_all = int(forking.walls["cgroup"].split()[0])
        assert in_all < 8 * 800
        hoard = "import os\nfor _ in range(8):\n    if os.fork() == 0: break\nx = bytearray(b'x' * (800 << 20))\n"
        await run(forking, hoard + "import time\ntime.sleep(1)")
        assert (await run(forking, "print('still here')")).stdout == "still here\n"


THREADS = """
import threading, time
for number in (1, 2, 3):
    threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
    print(number)
"""
FORKS = """
import os, time
started = 0
while started < 30:
    child = os.fork()
    if child == 0:
        time.sleep(60)
    started += 1
    print(started, flush=True)
"""


async def test_no_program_has_more_processes_than_the_config_allows() -> None:
    """The kernel does not count root's at all, and counted those of an ordinary user's sandbox together: there was room for
    some hundred."""
    async with open_sandbox(SandboxConfig(workers=3, wall_seconds=60.0, processes=2)) as forking:
        if forking.walls["own namespaces"]:
            pytest.skip(f"programs are counted together: {forking.walls['own namespaces']}")
        executions = await forking.run([(FORKS, f"# {number}\n") for number in range(3)])
        (threads,) = await forking.run([(THREADS,)])
        promised = {promise.name: promise.by for promise in forking.promises if promise.kind == "fork"}
    assert [execution.stdout for execution in executions] == ["1\n2\n"] * 3
    assert {execution.error.partition("(step")[0] for execution in executions} == {
        "BlockingIOError: [Errno 11] Resource temporarily unavailable "
    }
    assert (threads.stdout, threads.error) == ("1\n2\n", "RuntimeError: can't start new thread (step 1, line 4)")
    assert promised == {"no more processes than allowed": "own namespaces"}


async def test_where_processes_cannot_be_counted_the_sandbox_says_so() -> None:
    bare = SandboxConfig(workers=1, wall_seconds=60.0, processes=2, without=("namespaces",))
    with pytest.raises(SandboxError, match=r"than allowed: not held \(own namespaces none|may not read"):
        async with open_sandbox(bare):
            pytest.fail("it opened")


async def test_where_the_config_allows_processes_none_outlives_its_program() -> None:
    before = set(sandbox_processes(os.getpid()))
    async with open_sandbox(SandboxConfig(workers=1, wall_seconds=60.0, processes=2)) as forking:
        if forking.walls["seccomp"].startswith("none"):
            pytest.skip("without seccomp a program may leave its process group")
        standing = set(sandbox_processes(os.getpid()))
        execution = await run(forking, "import os, time\nif os.fork() == 0:\n    time.sleep(60)\nprint('parent')")
        assert execution.stdout == "parent\n"
        assert await gone(os.getpid(), before | standing)
        assert (await run(forking, "import os\nos.setsid()")).status is Status.ERROR


async def test_where_the_config_allows_processes_none_can_be_left_to_the_controller() -> None:
    """A child that a program gave to its own parent was killed and never waited for: sixty programs left 138 of them."""
    siblings = "import ctypes\nprint([ctypes.CDLL(None).syscall(56, 0x8000 | 17, 0, 0, 0, 0) for _ in range(4)])"
    async with open_sandbox(SandboxConfig(workers=1, wall_seconds=60.0, processes=8)) as forking:
        if forking.walls["seccomp"].startswith("none"):
            pytest.skip("without seccomp a program may have siblings")
        for _ in range(3):
            assert (await run(forking, siblings)).stdout == "[-1, -1, -1, -1]\n"
        async with asyncio.timeout(10):  # whoever is killed is a zombie for a moment
            while dead():
                await asyncio.sleep(0.02)


def dead() -> list[psutil.Process]:
    """Processes of this one's that ended and were not waited for."""
    return [below for below in psutil.Process().children(recursive=True) if zombie(below)]


def zombie(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return False


async def test_every_promise_is_held_or_said_with_its_reason() -> None:
    kept = await asyncio.to_thread(promises, CONFIG)
    assert len(kept) == 12
    assert all(promise.by for promise in kept)
    limits = {promise.name: promise.held for promise in kept if promise.by == "limits"}
    assert limits == {
        "no flood of output": True,
        "no memory beyond the limit": True,
        "no program without end": True,
    }


@pytest.mark.parametrize(("wall", "lost"), [("namespaces", ["names"]), ("root", ["names"]), ("landlock", [])])
async def test_every_promise_but_that_of_hidden_names_survives_the_loss_of_one_wall(wall: Any, lost: list[str]) -> None:
    kept = await asyncio.to_thread(promises, replace(CONFIG, without=(wall,)))
    assert [promise.kind for promise in kept if not promise.held] == lost


async def test_without_seccomp_the_other_walls_hold_all_but_forks() -> None:
    kept = await asyncio.to_thread(promises, replace(CONFIG, without=("seccomp",)))
    assert {promise.kind for promise in kept if not promise.held} <= {"fork"}


async def test_a_program_sees_libraries_and_nothing_else(sandbox: ProcessSandbox, tmp_path: Path) -> None:
    if sandbox.walls["root"].startswith("none"):
        pytest.skip(f"this machine has no root of its own for it: {sandbox.walls['root']}")
    look = (
        "import os\ndef there(path):\n    try: return bool(os.stat(path))\n    except FileNotFoundError: return False\n"
    )
    # The folders that libraries lie in are there, with nothing else in them.
    homes = {
        place: any(Path(path).is_relative_to(place) for path in (sys.prefix, *sys.path)) for place in ("/home", "/tmp")
    }
    ask = f"print([*map(there, ({str(tmp_path)!r}, '/etc/passwd', '/usr/bin/env', os.__file__, *{[*homes]}))])"
    assert (await run(sandbox, look, ask)).stdout == f"{[False, False, False, True, *homes.values()]}\n"


#: Asks a sandbox of the package in the first folder for the answer to an embedded problem, and for the third one's files,
#: without the walls named; the second folder is a library too.
ASKED = r"""
import asyncio, sys
home, library, package, *without = sys.argv[1:]
sys.path[:0] = [home, library]
from rstar_math.config import SandboxConfig
from rstar_math.problems import wordproblems
from rstar_math.sandbox import open_sandbox
assert wordproblems.__file__.startswith(home)
async def ask():
    async with open_sandbox(SandboxConfig(without=tuple(without), require=())) as sandbox:
        for program in (
            "import sys\nfor name in [*sys.modules]:\n    if name.startswith('rstar'): del sys.modules[name]\n"
            "from rstar_math.problems.wordproblems import generate\nprint(next(iter(generate(0, 5))))\n",
            f"print(open('{package}/problems/wordproblems.py').read())\n",
            "import sympy, numpy\nprint(sympy.sqrt(8), numpy.arange(2))\n",
        ):
            (execution,) = await sandbox.run([(program,)])
            print(execution.status.value, repr(execution.error[:60]), repr(execution.stdout[:60]))
asyncio.run(ask())
"""


@pytest.mark.parametrize("form", ["installed", "through a link", "beside a checkout", "below a library"])
@pytest.mark.parametrize("without", [(), ("root",), ("landlock",), ("namespaces", "root")])
async def test_a_package_that_lies_among_the_libraries_answers_no_program(
    without: tuple[str, ...], form: str, tmp_path: Path
) -> None:
    """Where it was installed and not checked out, a program could import it and make the problems with their answers."""
    checkout, libraries = Path(rstar_math.__file__).parents[1], tmp_path / "real" / "site-packages"
    library = libraries
    if form == "below a library":
        libraries /= "site-packages"
    for folder in ("rstar_math", "conf"):
        ignored = shutil.ignore_patterns("*.safetensors", "__pycache__")
        shutil.copytree(checkout / folder, libraries / folder, ignore=ignored)
    if form == "through a link":
        (tmp_path / "link").symlink_to(tmp_path / "real")
        libraries = library = tmp_path / "link" / "site-packages"
    home = libraries if form in ("installed", "through a link") else checkout
    asked = [sys.executable, "-c", ASKED, str(home), str(library), str(libraries / "rstar_math"), *without]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    imported, opened, computed = done.stdout.splitlines()
    assert imported.startswith("error")
    assert opened.startswith("error")
    landlock = "landlock" in without  # no file can be opened then, so what is imported late is missing
    assert computed == r"ok '' '2*sqrt(2) [0 1]\n'" or landlock, computed


async def test_a_required_promise_that_is_broken_is_an_error_with_the_way_out() -> None:
    bare = replace(CONFIG, without=("namespaces", "landlock", "seccomp"))
    with pytest.raises(SandboxError, match=r"(?s)no connection: not held .*sandbox\.require=\[memory,time\]"):
        async with open_sandbox(bare):
            pytest.fail("it opened")
    async with open_sandbox(replace(bare, require=("memory", "time"))) as risky:
        assert (await run(risky, "print(1)")).stdout == "1\n"


async def test_a_promise_of_time_that_is_broken_is_found_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was required by default, and tested by `doctor` only."""
    async with open_sandbox(CONFIG) as held:
        assert [promise.held for promise in held.promises if promise.kind == "time"] == [True]
    monkeypatch.setattr(canaries, "_WALL_SECONDS", 60.0)
    monkeypatch.setattr(canaries, "_FOR_EVER_SECONDS", 0.2)
    with pytest.raises(SandboxError, match=r"no program without end: not held"):
        async with open_sandbox(CONFIG):
            pytest.fail("it opened")


async def test_no_canary_can_destroy_what_another_must_find() -> None:
    """They run side by side: one removed the file that the next should have read, and reading looked forbidden."""
    assert [canary.kind for canary in _CANARIES if re.search(r"\bFILE\b", canary.program)] == ["writes"]


async def test_small_limits_of_output_do_not_make_a_promise_look_broken() -> None:
    async with open_sandbox(replace(CONFIG, output_bytes=50)) as narrow:
        assert (await run(narrow, "print(1)")).stdout == "1\n"


async def test_the_benchmark_leaves_out_every_wall_that_stands_here_and_then_all() -> None:
    """The root and the control group were never switched off."""
    words = {
        "namespaces": "pid, user",
        "root": "libraries",
        "landlock": "ABI 6",
        "seccomp": "allow-list",
        "cgroup": "none (no)",
    }
    standing = ("namespaces", "root", "landlock", "seccomp")
    assert left_out(words) == [*((wall,) for wall in standing), standing]
    assert left_out(dict.fromkeys(words, "none (no)")) == []

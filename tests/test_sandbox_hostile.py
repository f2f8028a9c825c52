"""Do programs that mean harm do any, seen from outside?"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from hostile import LEAKS, PROGRAMS, Hostile
from sandboxes import gone, run, sandbox_processes

from rstar_math.config import SandboxConfig
from rstar_math.sandbox import ProcessSandbox, open_sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Nobody, who owns nothing.
ORDINARY = 65534
SECRET = "the-canary-sings-at-noon"
CONFIG = SandboxConfig(workers=4, wall_seconds=2.0, cpu_seconds=2.0, memory_mb=256, output_bytes=16_384)
PROBE = ("import sympy\nx = sympy.symbols('x')\n", "print(sympy.solve(x**2 - 4, x))\n")


class Outside(NamedTuple):
    """What hostile programs are pointed at."""

    file: Path
    listeners: tuple[socket.socket, ...]
    names: dict[str, Any]

    def heard(self) -> list[str]:
        """The listeners that somebody reached."""
        found = []
        for listener in self.listeners:
            try:
                listener.recv(1) if listener.type == socket.SOCK_DGRAM else listener.accept()
                found.append(str(listener))
            except BlockingIOError:
                continue
        return found

    def touched(self) -> bool:
        """Whether the canary file, or anything beside it, is not as it was."""
        kept = sorted(path.name for path in self.file.parent.iterdir()) == ["listener", self.file.name]
        same = self.file.stat() if kept else None
        return same is None or self.file.read_text() != SECRET or (same.st_mode & 0o777, same.st_mtime) != (0o644, 1e9)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    file = tmp_path_factory.mktemp("canary") / "secret.py"
    file.write_text(SECRET)
    file.chmod(0o644)
    os.utime(file, (1e9, 1e9))
    os.environ["RSTAR_TEST_SECRET"] = SECRET
    with ExitStack() as stack:
        stream = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        datagram, path, abstract = (
            stack.enter_context(socket.socket(*kind))
            for kind in ((socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_UNIX,), (socket.AF_UNIX,))
        )
        datagram.bind(("127.0.0.1", 0))
        path.bind(str(file.parent / "listener"))
        abstract.bind(f"\0rstar-hostile-{os.getpid()}")
        for listener in (path, abstract):
            listener.listen()
        listeners = (stream, datagram, path, abstract)
        for listener in listeners:
            listener.setblocking(False)
        names = {
            "FILE": str(file),
            "FOLDER": str(file.parent),
            "PORT": stream.getsockname()[1],
            "DATAGRAM_PORT": datagram.getsockname()[1],
            "PATH_SOCKET": path.getsockname(),
            "NAME": abstract.getsockname(),
            "OWNER": os.getpid(),
        }
        yield Outside(file, listeners, names)
    del os.environ["RSTAR_TEST_SECRET"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(outside: Outside) -> AsyncIterator[ProcessSandbox]:
    async with open_sandbox(CONFIG) as opened:
        await opened.run([PROBE])
        yield opened


async def complaints(sandbox: ProcessSandbox, hostile: Hostile, outside: Outside, *, told: bool = True) -> list[str]:
    """What went wrong, in words; nothing should. `told`: the program's own word counts, too."""
    head = "".join(f"{name} = {place!r}\n" for name, place in outside.names.items())
    (execution,) = await sandbox.run([(head, hostile.program)])
    found = [f"heard: {listener}" for listener in outside.heard()]
    if told and hostile.ends and execution.status.value not in hostile.ends:
        found.append(f"ended as {execution.status.value} ({execution.error})")
    if told and "BREACH" in execution.stdout:
        found.append(f"it says it broke out: {execution.stdout[-200:]}")
    if SECRET in execution.stdout + execution.error:
        found.append("the secret is in its output")
    if outside.touched():
        found.append("the canary was touched")
    return found


@pytest.mark.parametrize("category", sorted({program.category for program in PROGRAMS}))
async def test_no_hostile_program_does_harm(sandbox: ProcessSandbox, outside: Outside, category: str) -> None:
    programs = [program for program in PROGRAMS if program.category == category]
    found = await asyncio.gather(*(complaints(sandbox, program, outside) for program in programs))
    harm = {program.name: words for program, words in zip(programs, found, strict=True) if words}
    assert harm == {}
    (probe,) = await sandbox.run([PROBE])
    assert (probe.status.value, probe.stdout) == ("ok", "[-2, 2]\n")


@pytest.mark.parametrize(("name", "spoil", "look", "expected"), LEAKS, ids=[leak[0] for leak in LEAKS])
async def test_nothing_leaks_into_the_next_program(
    sandbox: ProcessSandbox, name: str, spoil: str, look: str, expected: str | None
) -> None:
    del name
    before = await run(sandbox, look)
    # Spoiled as a path of its own, and with a sibling that continues the same costly beginning.
    costly = "for _ in range(500_000): pass\n"
    await asyncio.gather(*(run(sandbox, spoil) for _ in range(4)), run(sandbox, costly), run(sandbox, costly, spoil))
    after = [await run(sandbox, look), await run(sandbox, costly, look)]
    assert [execution.error for execution in (before, *after)] == [""] * 3
    assert {execution.stdout for execution in (before, *after)} == {before.stdout}
    assert expected is None or before.stdout == f"{expected}\n"


#: Looks through every page of memory that is certain to be there, for words that it does not hold in one piece itself.
SEARCH_MEMORY = """
import ctypes, gc
import numpy
gc.unfreeze()
wanted, own = ("need", "le in a ", "haystack"), set()
wanted = [bytearray(word.encode()) for word in wanted]
for found in gc.get_objects():
    own.add(id(found) >> 12)
    own.update(id(part) >> 12 for part in gc.get_referents(found))
seen = 0
for page in own:
    held = ctypes.string_at(page << 12, 4096)
    place = held.find(wanted[0])
    while place >= 0:
        rest = held[place + 4:]
        seen += rest.startswith(wanted[1]) and rest[8:].startswith(wanted[2])
        place = held.find(wanted[0], place + 1)
    del held
print(len(own) > 500, seen)
"""


async def test_a_library_that_is_asked_for_late_holds_nothing_of_earlier_programs() -> None:
    async with open_sandbox(replace(CONFIG, workers=1)) as fresh:
        printing = [(f"print('needle in a haystack {number}')\n",) for number in range(400)]
        earlier = await fresh.run(printing)
        (late,) = await fresh.run([(SEARCH_MEMORY,)])
    assert all(execution.stdout.startswith("needle in a haystack") for execution in earlier)
    assert (late.stdout, late.error) == ("True 0\n", "")


@pytest.mark.parametrize("wall", ["namespaces", "landlock"])
async def test_no_hostile_program_does_harm_with_a_wall_missing(outside: Outside, wall: Any) -> None:
    async with open_sandbox(replace(CONFIG, without=(wall,), wall_seconds=1.0)) as thinner:
        programs = [program for program in PROGRAMS if program.category != "exhaustion"]
        found = await asyncio.gather(*(complaints(thinner, program, outside) for program in programs))
        harm = {program.name: words for program, words in zip(programs, found, strict=True) if words}
    assert harm == {}


#: Of every category, so many apart.
SAMPLE = [
    program
    for category, apart in {
        program.category: 9 if program.category == "exhaustion" else 5 for program in PROGRAMS
    }.items()
    for program in [program for program in PROGRAMS if program.category == category][::apart]
]


@pytest.mark.parametrize(
    "without", [(), ("root",), ("cgroup",), ("seccomp",)], ids=lambda walls: "".join(walls) or "none"
)
async def test_no_program_of_a_sample_does_harm_seen_from_outside(outside: Outside, without: Any) -> None:
    """Without seccomp a socket can be had and a call be made; that they reach nothing is what counts. Root's forks are then
    bounded by nothing, so no bomb is thrown."""
    filtered = "seccomp" not in without
    sample = [program for program in SAMPLE if filtered or program.category != "exhaustion"]
    async with open_sandbox(replace(CONFIG, without=without, wall_seconds=1.0, require=())) as thinner:
        found = await asyncio.gather(*(complaints(thinner, program, outside, told=filtered) for program in sample))
        harm = {program.name: words for program, words in zip(sample, found, strict=True) if words}
        (probe,) = await thinner.run([PROBE])
    assert harm == {}
    assert (probe.status.value, probe.stdout) == ("ok", "[-2, 2]\n")


async def test_no_program_of_a_sample_does_harm_where_the_search_is_an_ordinary_user() -> None:
    if os.geteuid() != 0:
        pytest.skip("the search is an ordinary user in all of these tests")
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, ORDINARY, ORDINARY)
        as_user: dict[str, Any] = {"user": ORDINARY, "group": ORDINARY, "extra_groups": (), "cwd": folder, "text": True}
        as_user |= {
            "env": {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "PYTHONPATH": os.pathsep.join(sys.path)}
        }
        look = ["/bin/sh", "-c", '"$0" -c "import hostile"', sys.executable]
        sees = subprocess.run(look, capture_output=True, check=False, **as_user)
        if sees.returncode:
            pytest.skip(f"an ordinary user cannot run this interpreter: {sees.stderr.strip()[-200:]}")
        tests = [
            f"{__file__}::test_no_program_of_a_sample_does_harm_seen_from_outside[{name}]"
            for name in ("none", "seccomp")
        ]
        pytest_run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
        ran = await asyncio.to_thread(subprocess.run, pytest_run, capture_output=True, check=False, **as_user)
    assert ran.returncode == 0, ran.stdout[-3000:]


async def test_no_process_of_a_hostile_program_is_left(outside: Outside) -> None:
    before = set(sandbox_processes(os.getpid()))
    async with open_sandbox(replace(CONFIG, snapshots=0)) as fresh:
        await fresh.run([PROBE, ("print(1)\n",)])
        idle = set(sandbox_processes(os.getpid()))
        forking = [program for program in PROGRAMS if "fork" in program.program or "Thread" in program.program]
        assert len(forking) >= 5
        await asyncio.gather(*(complaints(fresh, program, outside) for program in forking))
        assert await gone(os.getpid(), idle)
    assert await gone(os.getpid(), before)


async def test_the_suite_is_as_large_as_it_says() -> None:
    assert len(PROGRAMS) + len(LEAKS) >= 200
    assert len({(program.category, program.name) for program in PROGRAMS}) == len(PROGRAMS)

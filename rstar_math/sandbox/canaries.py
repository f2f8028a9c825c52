"""What does the sandbox hold on this machine?

Canary programs in a real sandbox -> promise, held or not, by what. Each tries to do one forbidden thing; whether it
happened is judged from outside where that is possible: by a listener that must hear nothing, a file that must stay as
it was. Promises are tested, not mechanisms: a wall that stands but does not hold is not held.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rstar_math.config import SandboxConfig, SandboxPromise
from rstar_math.errors import SandboxError
from rstar_math.records import Execution, Status
from rstar_math.sandbox.connection import ENVIRONMENT
from rstar_math.sandbox.door import ProcessSandbox

logger = logging.getLogger(__name__)

#: What the program without end is given, and when nobody believes any more that it will be ended.
_WALL_SECONDS, _FOR_EVER_SECONDS = 0.2, 60.0


class Promise(NamedTuple):
    """`kind`: what `sandbox.require` calls it. `by`: what keeps it, or why it is not kept."""

    kind: SandboxPromise
    name: str
    held: bool
    by: str


class _Traps(NamedTuple):
    """Things outside that a program must not touch. `secret_file` is not the `file` that a program might remove: programs
    run side by side, and one that destroys what another should read would make a promise look held."""

    stream: socket.socket
    datagram: socket.socket
    abstract: socket.socket
    file: Path
    secret_file: Path
    secret: str

    def address(self) -> dict[str, object]:
        """Where they are, as the names that canaries use."""
        return {
            "PORT": self.stream.getsockname()[1],
            "DATAGRAM_PORT": self.datagram.getsockname()[1],
            "NAME": self.abstract.getsockname(),
            "FILE": str(self.file),
            "SECRET_FILE": str(self.secret_file),
            "OWNER": os.getpid(),
        }


class _Canary(NamedTuple):
    """A forbidden thing to try. `walls`: those that stop it, the strongest first; see `_by`."""

    kind: SandboxPromise
    name: str
    program: str
    held: Callable[[_Traps, Execution], bool]
    walls: tuple[str, ...]


def _unheard(listener: socket.socket) -> bool:
    try:
        listener.recv(1) if listener.type == socket.SOCK_DGRAM else listener.accept()[0].close()
    except BlockingIOError:
        return True
    return False


def _unchanged(traps: _Traps) -> bool:
    return list(traps.file.parent.iterdir()) == [traps.file] and traps.file.read_text() == traps.secret


_TRY = """
def attempt(action):
    try:
        return action()
    except Exception as error:
        return None
"""
_CANARIES = (
    _Canary(
        "network",
        "no connection",
        "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1)",
        lambda traps, _: _unheard(traps.stream),
        ("seccomp", "namespaces", "landlock"),
    ),
    _Canary(
        "network",
        "no datagram",
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'!', ('127.0.0.1', DATAGRAM_PORT))",
        lambda traps, _: _unheard(traps.datagram),
        ("seccomp", "namespaces"),
    ),
    _Canary(
        "network",
        "no local socket",
        "import socket\nsocket.socket(socket.AF_UNIX).connect(NAME)",
        lambda traps, _: _unheard(traps.abstract),
        ("seccomp", "namespaces", "landlock"),
    ),
    _Canary(
        "secrets",
        "no file of others read",
        "print(open(SECRET_FILE).read())",
        lambda traps, execution: traps.secret not in execution.stdout,
        ("root", "landlock", "seccomp"),
    ),
    _Canary(
        "names",
        "no name of others' files",
        "import os\nif attempt(lambda: os.stat(SECRET_FILE)): print('seen')",
        lambda _, execution: execution.status is Status.OK and execution.stdout == "",
        ("root",),
    ),
    _Canary(
        "writes",
        "no file outside written, made, renamed or removed",
        "import os\nattempt(lambda: open(FILE, 'a').write('!'))\nattempt(lambda: open(FILE + '2', 'w'))\n"
        "attempt(lambda: os.rename(FILE, FILE + '3'))\nattempt(lambda: os.remove(FILE))",
        lambda traps, _: _unchanged(traps),
        ("seccomp", "root", "landlock"),
    ),
    _Canary(
        "kill",
        "no signal to others",
        "import os\nfor process in (OWNER, os.getppid()):\n    os.kill(process, 0)\n    print('reached', flush=True)",
        lambda _, execution: "reached" not in execution.stdout,
        ("seccomp", "namespaces", "landlock"),
    ),
    _Canary(
        "secrets",
        "no environment but the fixed one",
        "import os\nseen = sorted(set(os.environ) - set(KNOWN))\nfor process in (OWNER, os.getppid()):\n"
        "    seen += [attempt(lambda: open(f'/proc/{process}/environ').read())]\nif any(seen): print('seen')",
        lambda _, execution: execution.status is Status.OK and execution.stdout == "",
        ("landlock", "namespaces", "fresh execution"),
    ),
    _Canary(
        "output",
        "no flood of output",
        "while True:\n    print('!' * 1000)",
        lambda _, execution: execution.status is Status.OUTPUT_LIMIT,
        ("limits",),
    ),
    _Canary(
        "memory",
        "no memory beyond the limit",
        "everything = bytearray(2 * MEMORY)",
        lambda _, execution: execution.status is Status.MEMORY,
        ("limits",),
    ),
)
#: The second where the configuration allows processes.
_NO_PROCESS = _Canary(
    "fork",
    "no new process",
    "import os\nos.fork()\nprint('forked', flush=True)",
    lambda _, execution: "forked" not in execution.stdout,
    ("seccomp", "limits"),
)
_FEW_PROCESSES = _Canary(
    "fork",
    "no more processes than allowed",
    "import os, time\nstarted = 0\nwhile started <= MOST and (child := attempt(os.fork)) is not None:\n"
    "    if child == 0:\n        time.sleep(60)\n    started += 1\nprint('more' if started > MOST else 'held')",
    lambda _, execution: execution.stdout == "held\n",
    ("own namespaces",),
)
_NO_DELAY = _Canary(
    "time",
    "no program without end",
    "10 ** 10 ** 10",
    lambda _, execution: execution.status is Status.TIMEOUT,
    ("limits",),
)


@contextmanager
def _traps() -> Iterator[_Traps]:
    with ExitStack() as stack:
        stream = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        datagram = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagram.bind(("127.0.0.1", 0))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0rstar-canary-{secrets.token_hex(8)}")
        abstract.listen()
        for listener in (stream, datagram, abstract):
            listener.setblocking(False)
        secret = secrets.token_hex(16)
        files = [
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rstar-canary-"))) / name
            for name in ("file", "secret")
        ]
        for file in files:
            file.write_text(secret)
        yield _Traps(stream, datagram, abstract, files[0], files[1], secret)


async def probe(sandbox: ProcessSandbox) -> list[Promise]:
    """Every promise, tested in `sandbox`, all at the same time."""
    limits = sandbox.config
    canaries = [*_CANARIES, _FEW_PROCESSES if limits.processes else _NO_PROCESS, _NO_DELAY]
    with _traps() as traps:
        names = traps.address() | {"MEMORY": limits.memory_mb << 20, "KNOWN": list(ENVIRONMENT)}
        names["MOST"] = limits.processes
        head = _TRY + "".join(f"{name} = {place!r}\n" for name, place in names.items())
        several, endless = await asyncio.gather(
            sandbox.run([(head, canary.program) for canary in canaries[:-1]]), _run_endless(sandbox)
        )
        return [
            Promise(canary.kind, canary.name, held, _by(canary, held, sandbox.walls))
            for canary, execution in zip(canaries, [*several, endless], strict=True)
            for held in (canary.held(traps, execution),)
        ]


async def _run_endless(sandbox: ProcessSandbox) -> Execution:
    """The program without end; where nothing ends it, nobody waits for it for ever either."""
    try:
        async with asyncio.timeout(_FOR_EVER_SECONDS):
            return (await sandbox.run([(_NO_DELAY.program,)], _WALL_SECONDS))[0]
    except TimeoutError:
        return Execution(Status.OK)


def _by(canary: _Canary, held: bool, walls: dict[str, str]) -> str:
    """The strongest wall that stands, or all reasons. Limits and the fresh execution are there on every machine."""
    words = {"limits": "limits", "fresh execution": "fixed", **walls}
    standing = [wall for wall in canary.walls if not words[wall].startswith("none")]
    if held:
        return standing[0] if standing else "no wall of this sandbox"
    missing = [f"{wall} {words[wall]}" for wall in canary.walls if wall not in standing]
    return f"not held ({'; '.join(missing) or ', '.join(standing) + ' stand, yet it happened'})"


async def insist(sandbox: ProcessSandbox) -> list[Promise]:
    """Tests the promises, twice where one seems broken, for a busy machine can keep a canary from its end; says once, as a
    warning, which ones are. Returns all.

    Raises:
        SandboxError: `sandbox.require` names one of those.
    """
    for _ in range(2):
        tested = await probe(sandbox)
        broken = [promise for promise in tested if not promise.held]
        if not broken:
            return tested
    words = "; ".join(f"{promise.name}: {promise.by}" for promise in broken)
    lost = {promise.kind for promise in broken}
    if lost & set(sandbox.config.require):
        left = ",".join(kind for kind in sandbox.config.require if kind not in lost)
        raise SandboxError(
            f"this machine cannot keep what sandbox.require asks of the sandbox: {words}.\nRun where it can (`rstar-math "
            f"doctor` shows what is missing), or take the risk with sandbox.require=[{left}]"
        )
    _warn_once(words)
    return tested


@functools.cache
def _warn_once(words: str) -> None:
    logger.warning("this machine cannot keep every promise of the sandbox: %s", words)


def promises(config: SandboxConfig) -> list[Promise]:
    """Every promise, tested in a sandbox of its own. Takes a second or two; not for a running event loop.

    Raises:
        SandboxError: the sandbox does not start.
    """

    async def ask() -> list[Promise]:
        async with ProcessSandbox(replace(config, require=())) as sandbox:
            return sandbox.promises

    return asyncio.run(ask())

"""How does a sandbox begin and end, seen from the search process?

configuration -> a freshly executed launcher, the socket to the controller that it becomes, and the words for its walls.
What goes over the socket is the door's business.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from rstar_math.config import SandboxConfig
from rstar_math.errors import SandboxError
from rstar_math.sandbox import cgroup, confine
from rstar_math.sandbox.launcher import Plan
from rstar_math.sandbox.node import Limits
from rstar_math.sandbox.tiers import TIERS
from rstar_math.sandbox.warm import PARENTS
from rstar_math.sandbox.wire import HEADER, pack

#: All that a program's environment holds. One BLAS thread: programs may start no other, and cores are shared anyway.
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "PYTHONIOENCODING": "utf-8:backslashreplace",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
#: No `-I`: it would ignore the hash seed. The environment is fixed, so nothing else can come in through it.
_INTERPRETER = ("-S", "-s", "-P", "-B")
_ENTRY = (
    "import sys; sys.path.insert(0, {!r}); from rstar_math.sandbox.launcher import main; del sys.path[0]; main({!r})"
)
_START_SECONDS, _END_SECONDS = 60.0, 10.0
_MB = 1 << 20
#: What a warm parent takes at most, and processes of the sandbox that run nothing.
_WARM_BYTES, _OWN_PROCESSES = 256 * _MB, 4


def _limits(config: SandboxConfig) -> Limits:
    return Limits(
        config.wall_seconds,
        config.cpu_seconds,
        config.memory_mb * _MB,
        config.output_bytes,
        config.processes,
        config.file_mb * _MB,
    )


def _group(config: SandboxConfig, workers: int) -> cgroup.Group:
    """What all programs, snapshots and warm parents may take together."""
    programs = workers * (1 + config.slow)
    # A program may change what the warm parent left it, beside what it may take itself.
    memory = programs * (config.memory_mb * _MB + _WARM_BYTES) + config.snapshot_mb * _MB + len(TIERS) * _WARM_BYTES
    # As many again of each may have been killed and not be buried yet (`Snapshots.room`).
    processes = 2 * (programs * (1 + config.processes) + config.snapshots) + PARENTS + _OWN_PROCESSES
    return cgroup.make(memory, processes, cgroup.own_trees())


class Connection:
    """A launcher with its socket, from its start to its end."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes], scratch: Path, group: cgroup.Group) -> None:
        self.process, self.errors, self.scratch, self.group = process, errors, scratch, group
        self.writer: asyncio.StreamWriter | None = None
        self.listener: asyncio.Task[None] | None = None
        self.walls: dict[str, str] = {}

    @classmethod
    async def open(cls, config: SandboxConfig, workers: int, settle: Callable[[list[Any]], None]) -> Self:
        """Starts a launcher and waits until its walls stand; `settle` gets the rows of each message of results.

        Raises:
            SandboxError: it ends, or says nothing, before that.
        """
        near, far = socket.socketpair()
        libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        scratch = Path(tempfile.gettempdir()) / f"rstar-sandbox-{secrets.token_hex(8)}"
        snapshots = (config.snapshots, config.snapshot_mb * _MB, config.snapshot_forks)
        group = cgroup.Group((), "none (left out)") if "cgroup" in config.without else _group(config, workers)
        asked = (
            _limits(config),
            workers,
            workers * config.slow,
            snapshots,
            libraries,
            str(scratch),
            group.folders,
            config.without,
        )
        plan = Plan(os.getpid(), far.fileno(), *asked)
        entry = _ENTRY.format(str(Path(__file__).parents[2]), json.dumps(plan._asdict()))
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the connection
        unread, stdout = os.pipe()  # as a program's is: Python remembers whether one can seek in it
        with confine.fixed_addresses():
            process = subprocess.Popen(
                [sys.executable, *_INTERPRETER, "-c", entry],
                env=ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=errors,
                pass_fds=(plan.channel,),
                start_new_session=True,
            )
        far.close()
        os.close(unread)
        os.close(stdout)
        connection = cls(process, errors, scratch, group)
        try:
            reader, connection.writer = await asyncio.open_connection(sock=near)
            await connection._hear_walls(reader)
            connection.listener = asyncio.create_task(_listen(reader, settle))
        except BaseException:  # cancelled too: leave nothing behind
            await connection.close()
            raise
        return connection

    async def _hear_walls(self, reader: asyncio.StreamReader) -> None:
        try:
            async with asyncio.timeout(_START_SECONDS):
                self.walls = await _message(reader) | {"cgroup": self.group.words}
            if not self.walls["root"].startswith("none"):
                self.scratch.rmdir()  # the root was built on it, and stands without it
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
            raise SandboxError(f"the sandbox did not start: {self.last_words() or repr(error)}") from error

    def send(self, rows: list[list[Any]]) -> None:
        """Programs for the controller; the door sees to it that they are few."""
        if self.writer is not None:
            self.writer.write(pack(rows))

    def last_words(self) -> str:
        """The last line that the launcher or anything below it wrote to its standard error."""
        self.errors.seek(0)
        lines = self.errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    async def close(self) -> None:
        """Closes the socket, which ends the controller and all below it; waits for that."""
        if self.listener is not None:
            self.listener.cancel()
            await asyncio.gather(self.listener, return_exceptions=True)
        if self.writer is not None:
            self.writer.transport.abort()
        try:
            await asyncio.to_thread(self.process.wait, _END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)
        shutil.rmtree(self.scratch, ignore_errors=True)  # a launcher that was killed could not
        cgroup.remove(self.group.folders)
        self.errors.close()


async def _message(reader: asyncio.StreamReader) -> Any:
    size = HEADER.unpack(await reader.readexactly(HEADER.size))[0]
    return json.loads(await reader.readexactly(size))


async def _listen(reader: asyncio.StreamReader, settle: Callable[[list[Any]], None]) -> None:
    """Hands on every message until the other end closes."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            settle(await _message(reader))

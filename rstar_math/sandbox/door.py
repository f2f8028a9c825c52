"""How does the search process reach the sandbox?

programs -> executions, over one socket a tier to warm parents that a freshly executed launcher forked. This side
holds no walls and starts no program's process: it numbers programs, batches them, hands results back to whoever
waits, and begins the sandbox anew if it dies.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from rstar_math.config import SandboxConfig
from rstar_math.errors import SandboxError
from rstar_math.records import Execution, Program, Status
from rstar_math.sandbox.launcher import Plan
from rstar_math.sandbox.node import Limits
from rstar_math.sandbox.tiers import TIERS, tier_of
from rstar_math.sandbox.wire import HEADER, pack

logger = logging.getLogger(__name__)

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
#: A second death within this time is no accident.
_GRACE_SECONDS = 60.0
_MB = 1 << 20


def _limits(config: SandboxConfig) -> Limits:
    return Limits(
        config.wall_seconds,
        config.cpu_seconds,
        config.memory_mb * _MB,
        config.output_bytes,
        config.processes,
        config.file_mb * _MB,
    )


@dataclass(slots=True)
class _Call:
    """One `run` under way: the executions that came so far, and who waits for the last of them."""

    done: asyncio.Future[None]
    missing: int
    executions: dict[Program, Execution] = field(default_factory=dict)


class _Connection:
    """A launcher with its sockets, from its start to its end."""

    def __init__(
        self, process: subprocess.Popen[bytes], control: socket.socket, errors: IO[bytes], scratch: Path
    ) -> None:
        self.process, self.control, self.errors, self.scratch = process, control, errors, scratch
        self.writers: dict[str, asyncio.StreamWriter] = {}
        self.listeners: list[asyncio.Task[None]] = []
        self.walls: dict[str, str] = {}

    @classmethod
    async def open(cls, config: SandboxConfig, workers: int, settle: Callable[[list[Any]], None]) -> Self:
        """Starts a launcher and waits until its walls stand; `settle` gets each row of each result.

        Raises:
            SandboxError: it ends, or says nothing, before that.
        """
        control, far_control = socket.socketpair()
        channels = {tier: socket.socketpair() for tier in TIERS}
        far = {tier: pair[1].fileno() for tier, pair in channels.items()}
        libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        scratch = Path(tempfile.gettempdir()) / f"rstar-sandbox-{secrets.token_hex(8)}"
        snapshots = (config.snapshots, config.snapshot_mb * _MB, config.snapshot_cpu_seconds)
        asked = (_limits(config), workers, snapshots, libraries, str(scratch), config.without)
        plan = Plan(os.getpid(), far_control.fileno(), far, *asked)
        entry = _ENTRY.format(str(Path(__file__).parents[2]), json.dumps(plan._asdict()))
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the connection
        process = subprocess.Popen(
            [sys.executable, *_INTERPRETER, "-c", entry],
            env=ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=(plan.control, *far.values()),
            start_new_session=True,
        )
        for end in (far_control, *(pair[1] for pair in channels.values())):
            end.close()
        connection = cls(process, control, errors, scratch)
        try:
            for tier, (near, _) in channels.items():
                reader, connection.writers[tier] = await asyncio.open_connection(sock=near)
                connection.listeners.append(asyncio.create_task(_listen(reader, settle)))
            await connection._hear_walls()
        except BaseException:  # cancelled too: leave nothing behind
            await connection.close()
            raise
        return connection

    async def _hear_walls(self) -> None:
        reader, self.writers["control"] = await asyncio.open_connection(sock=self.control)
        try:
            async with asyncio.timeout(_START_SECONDS):
                size = HEADER.unpack(await reader.readexactly(HEADER.size))[0]
                self.walls = json.loads(await reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
            raise SandboxError(f"the sandbox did not start: {self.last_words() or repr(error)}") from error
        self.listeners.append(asyncio.create_task(_listen(reader, lambda _: None)))

    def last_words(self) -> str:
        """The last line that the launcher or a warm parent wrote to its standard error."""
        self.errors.seek(0)
        lines = self.errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    async def close(self) -> None:
        """Closes the sockets, which ends the launcher and all below it; waits for that."""
        for listener in self.listeners:
            listener.cancel()
        for writer in self.writers.values():
            writer.transport.abort()
        await asyncio.gather(*self.listeners, return_exceptions=True)
        try:
            await asyncio.to_thread(self.process.wait, _END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)
        shutil.rmtree(self.scratch, ignore_errors=True)  # a launcher that was killed could not
        self.errors.close()


async def _listen(reader: asyncio.StreamReader, settle: Callable[[list[Any]], None]) -> None:
    """Hands on every row until the other end closes."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            size = HEADER.unpack(await reader.readexactly(HEADER.size))[0]
            for row in json.loads(await reader.readexactly(size)):
                settle(row)


class ProcessSandbox:
    """`ports.Sandbox` in processes of its own on this machine.

    An asynchronous context manager; `start` and `aclose` do the same by hand. Serves one event loop, and as many
    coroutines of it as there are. When `run` is cancelled, its programs still run to their end, unheard.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._workers = config.workers or os.cpu_count() or 1
        self._numbers = itertools.count()
        self._pending: dict[int, tuple[Program, _Call]] = {}
        self._connection: _Connection | None = None
        self._watch: asyncio.Task[None] | None = None
        self._failure: SandboxError | None = SandboxError("the sandbox is not started: use `async with` or `start`")

    @property
    def config(self) -> SandboxConfig:
        """What one program may use up."""
        return self._config

    @property
    def walls(self) -> dict[str, str]:
        """What stands between a program and the machine, in words: namespaces, landlock, seccomp."""
        return dict(self._connection.walls) if self._connection else {}

    async def start(self) -> None:
        """Starts the launcher and says once, as a warning, which promises this machine cannot keep.

        Raises:
            SandboxError: it does not start, or `config.require` names one of those promises.
        """
        from rstar_math.sandbox.canaries import insist

        self._connection = await _Connection.open(self._config, self._workers, self._settle)
        self._failure = None
        self._watch = asyncio.create_task(self._keep_alive())
        try:
            await insist(self)
        except BaseException:  # cancelled, refused, or died at once: leave nothing behind
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Ends every process of the sandbox; whoever still waits gets a `SandboxError`."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        connection, self._connection = self._connection, None
        self._fail(SandboxError("the sandbox was closed"))
        if connection is not None:
            await connection.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def run(self, programs: Sequence[Program]) -> list[Execution]:
        """See `ports.Sandbox`. Equal programs of one call run once."""
        if self._failure is not None:
            raise SandboxError(str(self._failure))
        distinct = dict.fromkeys(programs)
        if not distinct:
            return []
        call = _Call(asyncio.get_running_loop().create_future(), len(distinct))
        numbered = dict(zip(self._numbers, distinct, strict=False))
        self._pending |= {number: (program, call) for number, program in numbered.items()}
        await self._send(numbered)
        await call.done
        return [call.executions[program] for program in programs]

    async def _send(self, numbered: dict[int, Program]) -> None:
        """One message a tier; waits while the tier's socket is full. Without a connection the next one sends them."""
        if self._connection is None:
            return
        writers = self._connection.writers
        batches: dict[str, list[tuple[int, Program]]] = {}
        for number, program in numbered.items():
            batches.setdefault(tier_of(program), []).append((number, program))
        for tier, rows in batches.items():
            writers[tier].write(pack(rows))
        for tier in batches:
            with suppress(ConnectionError):  # it died; `_keep_alive` sends again what is pending
                await writers[tier].drain()

    def _settle(self, row: list[Any]) -> None:
        number, status, stdout, error, seconds = row
        program, call = self._pending.pop(number)
        call.executions[program] = Execution(Status(status), stdout, error, seconds)
        call.missing -= 1
        if call.missing == 0 and not call.done.done():
            call.done.set_result(None)

    async def _keep_alive(self) -> None:
        """Begins the sandbox anew after its first death; after a second soon after, nothing runs any more."""
        died_at = -_GRACE_SECONDS
        while self._connection is not None:
            await asyncio.wait(self._connection.listeners, return_when=asyncio.FIRST_COMPLETED)
            said = self._connection.last_words() or "without a word"
            connection, self._connection = self._connection, None
            await connection.close()
            try:
                if time.monotonic() - died_at < _GRACE_SECONDS:
                    raise SandboxError(f"the sandbox died twice within {_GRACE_SECONDS:g} s; it said last: {said}")
                logger.warning("the sandbox died (%s); it starts again, and what ran starts over", said)
                died_at = time.monotonic()
                self._connection = await _Connection.open(self._config, self._workers, self._settle)
            except SandboxError as error:
                self._fail(error)
                return
            await self._send({number: program for number, (program, _) in self._pending.items()})

    def _fail(self, error: SandboxError) -> None:
        """From now on every `run` raises this."""
        self._failure = error
        for _, call in self._pending.values():
            if not call.done.done():
                call.done.set_exception(SandboxError(str(error)))
        self._pending.clear()


@asynccontextmanager
async def open_sandbox(config: SandboxConfig) -> AsyncIterator[ProcessSandbox]:
    """A started sandbox, ended on the way out."""
    async with ProcessSandbox(config) as sandbox:
        yield sandbox

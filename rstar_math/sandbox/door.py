"""How does the search process reach the sandbox?

programs -> executions, over one socket to the controller that a freshly executed launcher became. This side holds no
walls and starts no program's process: it numbers programs and calls, hands results back to whoever waits, and begins the
sandbox anew if it dies. Whose program is next is decided over there (`turns`).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from rstar_math.config import SandboxConfig
from rstar_math.errors import SandboxError
from rstar_math.records import Execution, Program, Status
from rstar_math.sandbox.connection import Connection
from rstar_math.sandbox.tiers import tier_of

if TYPE_CHECKING:
    from rstar_math.sandbox.canaries import Promise

logger = logging.getLogger(__name__)

#: Programs of one call on their way to the controller for each that may run, and at least; the others wait here.
_AHEAD, _LEAST_AHEAD = 4, 64
#: A second death within this time is no accident.
_GRACE_SECONDS = 60.0


@dataclass(slots=True)
class _Call:
    """One `run` under way: who waits for it, the programs not sent yet, their own limit, the executions that came so far."""

    number: int
    done: asyncio.Future[None]
    left: deque[Program]
    missing: int
    wall_seconds: float | None
    executions: dict[Program, Execution] = field(default_factory=dict)

    def next(self, most: int) -> Program | None:
        """The next program that is to be sent; None where none is left, or `most` are under way."""
        return self.left.popleft() if self.left and self.missing - len(self.left) < most else None


class ProcessSandbox:
    """`ports.Sandbox` in processes of its own on this machine.

    An asynchronous context manager; `start` and `aclose` do the same by hand. Serves one event loop, and as many
    coroutines of it as there are. When `run` is cancelled, its programs still run to their end, unheard.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._workers = config.workers or os.cpu_count() or 1
        self._most_sent = max(_LEAST_AHEAD, _AHEAD * self._workers)
        self._numbers = itertools.count()
        self._sent: dict[int, tuple[Program, _Call]] = {}
        self._connection: Connection | None = None
        self._watch: asyncio.Task[None] | None = None
        self._promises: list[Promise] = []
        self._failure: SandboxError | None = SandboxError("the sandbox is not started: use `async with` or `start`")

    @property
    def config(self) -> SandboxConfig:
        """What one program may use up."""
        return self._config

    @property
    def walls(self) -> dict[str, str]:
        """What stands between a program and the machine, in words: namespaces, landlock, seccomp."""
        return dict(self._connection.walls) if self._connection else {}

    @property
    def promises(self) -> list[Promise]:
        """What was tested when it started: every promise, held or not, and by what."""
        return list(self._promises)

    async def start(self) -> None:
        """Starts the launcher and says once, as a warning, which promises this machine cannot keep.

        Raises:
            SandboxError: it does not start, or `config.require` names one of those promises.
        """
        from rstar_math.sandbox.canaries import insist

        self._connection = await Connection.open(self._config, self._workers, self._settle)
        self._failure = None
        self._watch = asyncio.create_task(self._keep_alive())
        try:
            self._promises = await insist(self)
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

    async def run(self, programs: Sequence[Program], wall_seconds: float | None = None) -> list[Execution]:
        """See `ports.Sandbox`. Equal programs of one call run once. `wall_seconds`: their limit, if it is to be a shorter one
        than the configuration's."""
        if self._failure is not None:
            raise SandboxError(str(self._failure))
        distinct = deque(dict.fromkeys(programs))
        if not distinct:
            return []
        done = asyncio.get_running_loop().create_future()
        call = _Call(next(self._numbers), done, distinct, len(distinct), wall_seconds)
        self._send_more([call])
        try:
            await call.done
        finally:
            call.left.clear()
        return [call.executions[program] for program in programs]

    def _send_more(self, calls: Sequence[_Call]) -> None:
        """Sends what may be on its way of these calls."""
        rows = []
        for call in calls:
            while program := call.next(self._most_sent):
                number = next(self._numbers)
                self._sent[number] = (program, call)
                rows.append(_row(number, program, call))
        if rows and self._connection is not None:  # without one, the next one sends what is on its way
            self._connection.send(rows)

    def _settle(self, rows: list[Any]) -> None:
        calls = []
        for number, status, stdout, error, seconds in rows:
            program, call = self._sent.pop(number)
            call.executions[program] = Execution(Status(status), stdout, error, seconds)
            call.missing -= 1
            if call.missing == 0 and not call.done.done():
                call.done.set_result(None)
            calls.append(call)
        self._send_more(calls)

    async def _keep_alive(self) -> None:
        """Begins the sandbox anew after its first death; after a second soon after, nothing runs any more."""
        died_at = -_GRACE_SECONDS
        while self._connection is not None and self._connection.listener is not None:
            await asyncio.wait([self._connection.listener])
            said = self._connection.last_words() or "without a word"
            connection, self._connection = self._connection, None
            await connection.close()
            try:
                if time.monotonic() - died_at < _GRACE_SECONDS:
                    raise SandboxError(f"the sandbox died twice within {_GRACE_SECONDS:g} s; it said last: {said}")
                logger.warning("the sandbox died (%s); it starts again, and what ran starts over", said)
                died_at = time.monotonic()
                self._connection = await Connection.open(self._config, self._workers, self._settle)
            except SandboxError as error:
                self._fail(error)
                return
            self._connection.send([_row(number, program, call) for number, (program, call) in self._sent.items()])

    def _fail(self, error: SandboxError) -> None:
        """From now on every `run` raises this."""
        self._failure = error
        for _, call in self._sent.values():
            if not call.done.done():
                call.done.set_exception(SandboxError(str(error)))
        self._sent.clear()


def _row(number: int, program: Program, call: _Call) -> list[Any]:
    return [number, call.number, tier_of(program), program, call.wall_seconds]


@asynccontextmanager
async def open_sandbox(config: SandboxConfig) -> AsyncIterator[ProcessSandbox]:
    """A started sandbox, ended on the way out."""
    async with ProcessSandbox(config) as sandbox:
        yield sandbox

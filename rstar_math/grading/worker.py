"""Who waits for the process that compares?

One long-lived process (`child`), asked one pair at a time, killed when it takes too long and replaced when next needed. No
thread, and no signal in this process.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from rstar_math.config import GradingConfig
from rstar_math.errors import GradingError, RstarError
from rstar_math.grading.child import READY
from rstar_math.records import Grade, Verdict

#: Comparisons one process makes before a fresh one takes over, for its caches only grow.
_SERVED = 2_000
#: On a busy machine a process may get no processor; one that had less than this share of the limit gets more time, but
#: never more than so many times the limit.
_STARVED_SHARE, _LONGEST_WAIT = 0.5, 8
_STARTS, _START_SECONDS = 2, 120.0
_KILLED = "the process that compared was killed by another"


class Worker:
    """One process that compares, and how many comparisons it has made."""

    def __init__(self, config: GradingConfig) -> None:
        self._config = config
        self._process: asyncio.subprocess.Process | None = None
        self._served = 0
        self._worked = False

    async def compare(self, answer: str, gold: str, tolerance: float) -> Grade:
        """The grade; `timeout` if the process had to be killed or died of it. One that somebody else killed (the kernel,
        short of memory) says nothing about the pair: another is asked, once.

        Raises:
            RstarError: no process can be started; `GradingError` where one could be before.
        """
        asked = (answer, gold, tolerance)
        grade = await self._once(*asked)
        return await self._once(*asked) if grade.reason == _KILLED else grade

    async def _once(self, *asked: str | float) -> Grade:
        process = await self._ready()
        assert process.stdin and process.stdout
        spent = _processor_seconds(process.pid)
        line = b""
        why = ""
        try:
            with suppress(ConnectionError):
                process.stdin.write(json.dumps(asked).encode() + b"\n")
                await process.stdin.drain()
                line, why = await self._answered(process, spent)
        finally:
            # Without an answer (killed, timed out, or this coroutine cancelled) the process cannot be used again.
            self._served += 1
            grade = _read(line)
            if grade is None or grade.verdict is Verdict.TIMEOUT or self._served >= _SERVED:
                code = await self.stop()
        return grade or Grade(Verdict.TIMEOUT, why or _death(code, self._config.timeout_seconds))

    async def _answered(self, process: asyncio.subprocess.Process, spent: float) -> tuple[bytes, str]:
        """Its answer, or nothing and which limit it met."""
        assert process.stdout
        limit = self._config.timeout_seconds
        started = time.monotonic()
        reading = asyncio.ensure_future(process.stdout.readline())
        try:
            while True:
                done, _ = await asyncio.wait([reading], timeout=limit)
                if done:
                    if not reading.result():  # it has died; a signal now would take its exit code away
                        with suppress(TimeoutError):
                            await asyncio.wait_for(process.wait(), limit)
                    return reading.result(), ""
                waited = time.monotonic() - started
                had = _processor_seconds(process.pid) - spent
                if had >= _STARVED_SHARE * limit or waited >= _LONGEST_WAIT * limit:
                    return b"", f"more than {waited:.0f} s on the clock"
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await reading

    async def _ready(self) -> asyncio.subprocess.Process:
        for _ in range(_STARTS):
            if self._process is None:
                await self._start()
                await self._hear_ready()
        if self._process is None:
            # An installation in which none ever starts is no accident of this machine at this hour.
            raise (GradingError if self._worked else RstarError)(
                f"grading: the process that compares answers ended while it started, {_STARTS} times, or took more than "
                f"{_START_SECONDS:.0f} s for it; "
                f"try `{sys.executable} -m rstar_math.grading.child 3 0 0` to see why (is math-verify installed?)"
            )
        return self._process

    async def _hear_ready(self) -> None:
        """Waits until it serves; stops it if it does not."""
        assert self._process and self._process.stdout
        line = b""
        try:
            with suppress(TimeoutError):
                line = await asyncio.wait_for(self._process.stdout.readline(), _START_SECONDS)
        finally:
            self._worked |= line.decode().strip() == READY
            if line.decode().strip() != READY:
                await self.stop()

    async def _start(self) -> None:
        """Executes a fresh interpreter, with nothing of this process's environment but where modules are found."""
        environment = {
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)]),
            "PYTHONHASHSEED": "0",
            "PATH": os.environ.get("PATH", ""),
        }
        config = self._config
        limits = (config.timeout_seconds, config.rounded_digits, config.tolerance)
        self._served = 0
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "ignore", "-m", "rstar_math.grading.child", *map(str, limits)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )

    async def stop(self) -> int:
        """Kills the process, if there is one, and waits for its end; its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with suppress(ProcessLookupError):
            process.kill()
        if process.stdin:
            process.stdin.close()
        return await process.wait()


def _read(line: bytes) -> Grade | None:
    if not line:
        return None
    verdict, reason = json.loads(line)
    return Grade(Verdict(verdict), reason)


def _processor_seconds(pid: int) -> float:
    """Processor time of a process so far, by its own clock; 0 once it is gone."""
    with suppress(OSError):
        return time.clock_gettime(~pid << 3 | 2)
    return 0.0


def _death(code: int, limit: float) -> str:
    if code == -signal.SIGPROF:
        return f"more than {limit:g} s of processor time"
    return _KILLED if code == -signal.SIGKILL else f"the process that compared died (exit code {code})"

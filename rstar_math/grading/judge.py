"""Is this answer right?

answer, gold -> Verdict, through processes that are killed when a comparison takes too long. What the text alone decides
never leaves this process; every verdict is remembered. It does not look for the answer in a solution.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rstar_math.config import GradingConfig
from rstar_math.errors import RstarError
from rstar_math.grading import surface
from rstar_math.grading.child import READY
from rstar_math.records import Verdict

#: Pairs whose verdicts are remembered: a problem's candidates repeat a handful of answers.
_REMEMBERED = 65_536
#: Longest answer, in characters, that anybody compares; a final answer has a few dozen.
_LONGEST = 2_000
#: Comparisons one process makes before a fresh one takes over, for its caches only grow.
_SERVED = 2_000
#: The limit counts processor time, so that verdicts do not depend on what else runs; wall time may be so much longer.
_WALL_FACTOR = 6
_START_SECONDS = 120.0


class _Comparer:
    """One process that compares, and how many comparisons it has made."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout = timeout_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._served = 0

    async def compare(self, answer: str, gold: str) -> Verdict:
        """The verdict; undecided if the process had to be killed or died of it."""
        process = await self._ready()
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps([answer, gold]).encode() + b"\n")
        line = b""
        try:
            with suppress(TimeoutError, ConnectionError):
                await process.stdin.drain()
                line = await asyncio.wait_for(process.stdout.readline(), self._timeout * _WALL_FACTOR)
        finally:
            # Without an answer (killed, timed out, or this coroutine cancelled) the process cannot be used again.
            self._served += 1
            if not line or self._served >= _SERVED:
                await self.stop()
        return Verdict(line.decode().strip()) if line else Verdict.UNDECIDED

    async def _ready(self) -> asyncio.subprocess.Process:
        if self._process is None:
            await self.start()
            assert self._process and self._process.stdout
            line = b""
            try:
                with suppress(TimeoutError):
                    line = await asyncio.wait_for(self._process.stdout.readline(), _START_SECONDS)
            finally:
                if line.decode().strip() != READY:
                    await self.stop()
            if self._process is None:
                raise RstarError(
                    f"grading: the process that compares answers did not start within {_START_SECONDS:.0f} s; "
                    f"try `{sys.executable} -m rstar_math.grading.child 5` to see why (is math-verify installed?)"
                )
        return self._process

    async def start(self) -> None:
        """Executes a fresh interpreter, with nothing of this process's environment but where modules are found."""
        environment = {
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)]),
            "PYTHONHASHSEED": "0",
            "PATH": os.environ.get("PATH", ""),
        }
        self._served = 0
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "ignore", "-m", "rstar_math.grading.child", str(self._timeout)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )

    async def stop(self) -> None:
        """Kills the process, if there is one, and waits for its end."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        if process.stdin:
            process.stdin.close()
        await process.wait()


class ProcessJudge:
    """A `Judge` that compares in `workers` processes; an asynchronous context manager.

    A comparison that takes more than `timeout_seconds` of processor time (or six times that on the clock) is killed and
    undecided. Processes are started when first needed.
    """

    def __init__(self, config: GradingConfig) -> None:
        self._comparers = [_Comparer(config.timeout_seconds) for _ in range(config.workers)]
        self._idle: asyncio.LifoQueue[_Comparer] = asyncio.LifoQueue()
        self._verdicts: OrderedDict[tuple[str, str], asyncio.Task[Verdict]] = OrderedDict()

    async def __aenter__(self) -> Self:
        for comparer in self._comparers:
            self._idle.put_nowait(comparer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [task for task in self._verdicts.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(comparer.stop() for comparer in self._comparers))

    async def grade(self, answer: str, gold: str) -> Verdict:
        """Whether `answer` equals `gold` mathematically.

        Raises:
            RstarError: no process that compares can be started.
        """
        if max(len(answer), len(gold)) > _LONGEST:
            return Verdict.CORRECT if answer.strip() == gold.strip() else Verdict.UNDECIDED
        if "boxed" not in answer:
            verdict = surface.quick(surface.clean(answer), surface.clean(gold))
            if verdict is not None:
                return verdict
        pair = (answer, gold)
        if pair not in self._verdicts:
            self._verdicts[pair] = asyncio.create_task(self._compare(answer, gold))
            self._forget()
        self._verdicts.move_to_end(pair)
        # Whoever gives up waiting leaves the comparison to the others that ask for it.
        return await asyncio.shield(self._verdicts[pair])

    async def _compare(self, answer: str, gold: str) -> Verdict:
        comparer = await self._idle.get()
        try:
            return await comparer.compare(answer, gold)
        finally:
            self._idle.put_nowait(comparer)

    def _forget(self) -> None:
        oldest, task = next(iter(self._verdicts.items()))
        if len(self._verdicts) > _REMEMBERED and task.done():
            del self._verdicts[oldest]

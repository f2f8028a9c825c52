"""Is this answer right?

prediction, ground truth -> grade. What text and exact arithmetic decide never leaves this process; the rest is asked of
processes that are killed when a comparison takes too long. Every grade is remembered.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from functools import lru_cache
from types import TracebackType
from typing import Self

from rstar_math.config import GradingConfig
from rstar_math.grading.comparing import compare
from rstar_math.grading.failures import NeedsAlgebra
from rstar_math.grading.formulas import Exact, Rules
from rstar_math.grading.worker import Worker
from rstar_math.records import Grade

#: Pairs whose grades are remembered: a problem's candidates repeat a handful of answers.
_REMEMBERED = 65_536


@lru_cache(maxsize=_REMEMBERED)
def at_once(prediction: str, gold: str, config: GradingConfig, tolerance: float = 0.0) -> Grade | None:
    """The grade where no computer algebra is needed; None where it is."""
    try:
        return compare(prediction, gold, Exact(Rules(config.rounded_digits, config.tolerance, tolerance)))
    except NeedsAlgebra:
        return None


class ProcessJudge:
    """A `Judge` that compares in `workers` processes; an asynchronous context manager.

    A comparison is killed after `timeout_seconds` on the clock if it had at least half of that on a processor; on a machine
    too busy for that it gets up to eight times as long, so that a verdict does not depend on what else runs. Processes are
    started when first needed.
    """

    def __init__(self, config: GradingConfig) -> None:
        self._config = config
        self._workers = [Worker(config) for _ in range(config.workers)]
        self._idle: asyncio.LifoQueue[Worker] = asyncio.LifoQueue()
        self._grades: OrderedDict[tuple[str, str, float], asyncio.Task[Grade]] = OrderedDict()

    async def __aenter__(self) -> Self:
        for worker in self._workers:
            self._idle.put_nowait(worker)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [task for task in self._grades.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    async def grade(self, prediction: str, gold: str, tolerance: float = 0.0) -> Grade:
        """Whether `prediction`, a reply with a box or the bare text of an answer, states the answer `gold`, or a number no
        further from it than the problem's own `tolerance`.

        Raises:
            RstarError: no process that compares can be started.
        """
        if (decided := at_once(prediction, gold, self._config, tolerance)) is not None:
            return decided
        asked = (prediction, gold, tolerance)
        if asked not in self._grades:
            self._grades[asked] = asyncio.create_task(self._compare(*asked))
            self._forget()
        self._grades.move_to_end(asked)
        # Whoever gives up waiting leaves the comparison to the others that ask for it.
        return await asyncio.shield(self._grades[asked])

    async def _compare(self, prediction: str, gold: str, tolerance: float) -> Grade:
        worker = await self._idle.get()
        try:
            return await worker.compare(prediction, gold, tolerance)
        finally:
            self._idle.put_nowait(worker)

    def _forget(self) -> None:
        oldest, task = next(iter(self._grades.items()))
        if len(self._grades) > _REMEMBERED and task.done():
            del self._grades[oldest]

"""Whose program is next, and who gives up its place?

programs of many calls -> the next one that may start. Calls take turns, a program each. As many programs run at once as there
are places; one that runs for longer than most do gives up its own and goes on beside the others, so that it delays nobody but
its call: of such slow ones there are few, and no call has more of them than are left for the others. It starts and ends none.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable

from rstar_math.sandbox.running import Running, Waiting

#: A program that runs for longer is slow. Most take a tenth of that, on a busy machine too.
_QUICK_SECONDS = 0.25


class Turns:
    """Programs that wait, by call, and those that run."""

    def __init__(self, places: int, most_slow: int) -> None:
        """`most_slow`: programs without a place that run beside those with one."""
        self._places, self._most_slow = places, most_slow
        self._waiting: OrderedDict[int, deque[Waiting]] = OrderedDict()
        self._slow: set[Running] = set()
        self.running: set[Running] = set()

    def enqueue(self, programs: Iterable[Waiting]) -> None:
        """These wait from now on, behind those of their calls that do."""
        for program in programs:
            self._waiting.setdefault(program.call, deque()).append(program)

    def put_first(self, program: Waiting) -> None:
        """It had its turn already."""
        self._waiting.setdefault(program.call, deque()).appendleft(program)
        self._waiting.move_to_end(program.call, last=False)

    def next(self) -> Waiting | None:
        """The program whose turn it is; None where no place is free, or nobody who waits may have it."""
        if len(self.running) - len(self._slow) >= self._places:
            return None
        call = next(filter(self._may_start, self._waiting), None)
        if call is None:
            return None
        program = self._waiting[call].popleft()
        if self._waiting[call]:
            self._waiting.move_to_end(call)
        else:
            del self._waiting[call]
        return program

    def _may_start(self, call: int) -> bool:
        """A call that has slow programs tries one more at a time, as long as they would fit in all places and it leaves
        others as much room beside as it took."""
        slow = sum(running.program.call == call for running in self._slow)
        if not slow:
            return True
        tried = any(running.program.call == call for running in self.running - self._slow)
        return not tried and slow < min(self._places, self._most_slow - len(self._slow))

    def started(self, running: Running) -> None:
        """It has a place."""
        self.running.add(running)

    def ended(self, running: Running) -> None:
        """It needs none any more."""
        self.running.discard(running)
        self._slow.discard(running)

    def free_places(self) -> None:
        """The slow ones give up theirs, as long as there is room beside."""
        for running in self._until_slow():
            if running.placed_seconds() >= _QUICK_SECONDS and len(self._slow) < self._most_slow:
                self._slow.add(running)

    def late(self) -> list[Running]:
        """Those whose time is over."""
        return [running for running in self.running if running.is_late()]

    def _until_slow(self) -> set[Running]:
        """Those that may become slow: none where there is no room for another."""
        return self.running - self._slow if len(self._slow) < self._most_slow else set()

    def patience(self) -> float:
        """Seconds until one is late or slow; infinite where none runs."""
        late = min((running.left() for running in self.running), default=math.inf)
        slow = min((_QUICK_SECONDS - running.placed_seconds() for running in self._until_slow()), default=math.inf)
        return min(late, slow)

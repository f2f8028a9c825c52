"""How many trees at once keep the engines' batches full, and no more?

More trees than that would only wait, and take memory; fewer leave places in the batch empty. Nothing is asked here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

#: Between two looks: long enough for a change to show.
_PAUSE_SECONDS = 1.0
#: A batch fuller than the first is full, one beyond the second makes sequences wait; by how much room changes at a time.
_FULL, _TOO_FULL, _STEP = 0.9, 1.3, 1.25
#: Trees a worker grows at least and at most.
LEAST, MOST = 8, 2048


@dataclass
class Flow:
    """The room that each worker has for trees; `measured`: it follows what is heard of the engines."""

    room: int = 32
    measured: bool = True

    def __post_init__(self) -> None:
        self._heard = time.monotonic()

    @property
    def pause(self) -> float | None:
        """Seconds after which to look again, whatever happens meanwhile; None: never."""
        return _PAUSE_SECONDS if self.measured else None

    def is_due(self) -> bool:
        """Whether it is time to look how full the engines are."""
        return self.measured and time.monotonic() - self._heard >= _PAUSE_SECONDS

    def hear(self, filled: float, running: float) -> int:
        """The room from now on. `filled`: sequences under way, of those that a batch takes; `running`: trees a worker grows
        now, for where they are fewer than there is room for, more room would change nothing."""
        self._heard = time.monotonic()
        if filled < _FULL and running >= 0.9 * self.room:
            self.room = min(int(self.room * _STEP) + 1, MOST)
        elif filled > _TOO_FULL:
            self.room = max(int(self.room / _STEP), LEAST)
        return self.room

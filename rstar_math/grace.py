"""How long may a run still take that was asked to end?"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass
class Grace:
    """From the moment that a run is asked to end all of its parts together have so many seconds."""

    seconds: float
    _asked: float | None = None

    def begin(self) -> None:
        """It was asked to end; what counts is the first time."""
        if self._asked is None:
            self._asked = time.monotonic()

    @property
    def lasts(self) -> bool:
        """Whether it was asked to end, and its time is not over."""
        return self._asked is not None and time.monotonic() - self._asked < self.seconds

    @property
    def left(self) -> float:
        """Seconds, all of them where nobody has asked yet; never less than one, for whatever has to be done all the same."""
        spent = 0.0 if self._asked is None else time.monotonic() - self._asked
        return max(self.seconds - spent, 1.0)

"""Is anything left of what descends from one whole run?

A snapshot and all forks that descend from it are one process group. Programs' code runs in there, so a fork may be made and
never say so: once nobody of the group is known any more, whatever is left of it is killed and buried.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from contextlib import suppress


class Groups:
    """How many processes of each group are known and not buried yet. All are this process's own children."""

    def __init__(self) -> None:
        self._known: Counter[int] = Counter()

    def joined(self, group: int) -> None:
        """One more is known."""
        self._known[group] += 1

    def buried(self, group: int) -> None:
        """One that was known is gone; with the last one all others go."""
        self._known[group] -= 1
        if self._known[group] > 0:
            return
        del self._known[group]
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-group, 0)

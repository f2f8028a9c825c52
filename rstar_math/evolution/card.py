"""Who may write to a run's copy?

One start at a time. It keeps a card in the store and renews it while it lives; a card that was not renewed for three times
the interval that it names is nobody's. Times are the store's own, so clocks need not agree.
"""

from __future__ import annotations

import json
import os
import platform
import time
import uuid
from datetime import datetime
from typing import Any

from rstar_math.errors import StageError, StoreError
from rstar_math.evolution.contents import OWN
from rstar_math.evolution.objects import Objects

CARD = f"{OWN}-writer.json"
#: A card that was not renewed for so many times its interval is nobody's.
_LATE = 3


class Card:
    """This start's card. `folder`: what the run's folder is known by, wherever the program is started on it."""

    def __init__(self, objects: Objects, url: str, folder: str, interval_seconds: float) -> None:
        self._objects, self._url, self._interval = objects, url, interval_seconds
        self.me = {"host": platform.node(), "process": os.getpid(), "folder": folder, "start": uuid.uuid4().hex}
        self.me |= {"since": datetime.now().astimezone().isoformat(timespec="seconds")}
        self._renewed = 0.0

    def take(self) -> None:
        """Lays it down. Raises StageError where another start's lies there and counts."""
        card = read(self._objects, CARD)
        # The folder's own lock has been taken: a start of this folder that left a card is dead.
        if card and not self.is_of_this_folder(card):
            since, wait = self._seconds_since(), _LATE * card["interval"]
            if since < wait:
                raise StageError(
                    f"process {card['process']} on {card['host']} (since {card['since']}) writes to {self._url}. End it; "
                    f"if it is dead, its place is free in {wait - since:.0f} seconds, or once {self._url}/{CARD} is deleted"
                )
        self._lay()
        self.renew()

    def renew(self) -> None:
        """Raises StageError where another start has laid its own."""
        card = read(self._objects, CARD)
        if card.get("start") != self.me["start"]:
            whose = f"process {card['process']} on {card['host']}" if card else "nobody"
            raise StageError(
                f"{self._url} is written by {whose} now, not by this start, which could not reach it for long. What it did "
                "since stands in its own folder alone; start again to go on from the copy"
            )
        self._lay()

    def renew_in_time(self) -> None:
        """The same, where it is due."""
        if _seconds() - self._renewed > self._interval / 2:
            self.renew()

    def give_back(self) -> None:
        """Another start may write from now on."""
        if read(self._objects, CARD).get("start") == self.me["start"]:
            self._objects.delete(CARD)

    def is_of_this_folder(self, writer: dict[str, Any]) -> bool:
        """Whether a start on this machine and folder wrote that."""
        return all(writer.get(key) == self.me[key] for key in ("host", "folder"))

    def _lay(self) -> None:
        self._objects.write(CARD, json.dumps(self.me | {"interval": self._interval}).encode())
        self._renewed = _seconds()

    def _seconds_since(self) -> float:
        probe = f"{OWN}-{self.me['start']}"
        self._objects.write(probe, b"what time is it there?")
        since = self._objects.seconds_between(CARD, probe)
        self._objects.delete(probe)
        return since


def _seconds() -> float:
    """A clock that nobody sets and that goes on while the machine sleeps, where there is one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def read(objects: Objects, name: str) -> dict[str, Any]:
    """What a mirror wrote there; empty where it wrote nothing.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        written: dict[str, Any] = json.loads(objects.read(name) or b"{}")
    except ValueError as error:
        raise StoreError(f"{name} is not what was written there ({error}); delete it") from error
    return written

"""Who may write to a run's copy, and by which clock."""

import time

import pytest

from rstar_math.evolution.card import CARD, Card


class Shelf:
    """Stands where the object store does, and counts how often each object was written."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.written: list[str] = []

    def read(self, name: str) -> bytes | None:
        return self.held.get(name)

    def write(self, name: str, content: bytes) -> None:
        self.held[name] = content
        self.written.append(name)


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="no clock here goes on while the machine sleeps")
def test_a_card_is_renewed_as_soon_as_a_machine_wakes(monkeypatch) -> None:
    """The clock stood still while it slept: others saw the card grow old, and it went on as if no time had passed."""
    shelf, now = Shelf(), [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    monkeypatch.setattr(time, "clock_gettime", lambda clock: now[0] if clock == time.CLOCK_BOOTTIME else 1000.0)
    card = Card(shelf, "s3://bucket/run", "a folder", 100.0)  # type: ignore[arg-type]
    card.take()
    laid = shelf.written.count(CARD)
    card.renew_in_time()
    assert shelf.written.count(CARD) == laid
    now[0] += 60
    card.renew_in_time()
    assert shelf.written.count(CARD) == laid + 1

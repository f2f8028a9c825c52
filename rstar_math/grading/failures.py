"""What can stand in the way of a comparison?

Raised while two answers are compared, caught where the grade is made; none of them leaves the room.
"""

from __future__ import annotations


class Unreadable(Exception):
    """A text has no reading that can be compared; its message is the reason of the grade."""


class NeedsAlgebra(Exception):
    """Text and exact arithmetic cannot tell; the pair goes to a process that computes."""

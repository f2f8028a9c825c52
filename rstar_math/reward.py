"""What reward does a PPM's raw score stand for?

score -> reward in [-1, 1]: the tanh on top of the PPM's one linear output (paper §3.3). A PPM folder is a stock
sequence classifier whose output is the raw score, so this one function turns it into a reward, in training (on a
tensor) and in serving (on a number) alike. It imports no torch: a tensor brings its own tanh.
"""

from __future__ import annotations

import math
from typing import Protocol, Self, TypeVar, overload


class Squashable(Protocol):
    """Anything that has a tanh of its own, such as a torch tensor."""

    def tanh(self) -> Self:
        """The hyperbolic tangent, element by element."""
        ...


T = TypeVar("T", bound=Squashable)


@overload
def reward(score: float) -> float: ...


@overload
def reward(score: T) -> T: ...


def reward(score: float | Squashable) -> float | Squashable:
    """tanh of the raw score: a number for a number, a tensor of the same shape for a tensor."""
    return math.tanh(score) if isinstance(score, float | int) else score.tanh()

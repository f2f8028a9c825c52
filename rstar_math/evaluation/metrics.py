"""verdicts -> accuracies with intervals.

Plain numbers in and out; it knows no tree and no grader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Accuracy(NamedTuple):
    """Share of right answers with its 95% bootstrap interval, over so many problems."""

    value: float
    low: float
    high: float
    problems: int


def accuracy(right: Sequence[bool], *, resamples: int, seed: int) -> Accuracy:
    """The share of True, with the 2.5th and 97.5th percentile over `resamples` resamplings of the problems."""
    if not right:
        return Accuracy(0.0, 0.0, 0.0, 0)
    outcomes = np.asarray(right, dtype=np.float64)
    draws = np.random.default_rng(seed).integers(0, len(outcomes), size=(resamples, len(outcomes)))
    low, high = np.percentile(outcomes[draws].mean(axis=1), [2.5, 97.5])
    return Accuracy(float(outcomes.mean()), float(low), float(high), len(outcomes))

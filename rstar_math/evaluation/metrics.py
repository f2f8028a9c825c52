"""verdicts -> accuracies with intervals.

Plain numbers in and out; it knows no tree and no grader.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np

#: Beyond either end of a 95% interval.
_TAIL = 0.025


class Accuracy(NamedTuple):
    """Share of right answers with its 95% bootstrap interval, over so many problems."""

    value: float
    low: float
    high: float
    problems: int

    def named(self, key: str) -> dict[str, float]:
        """As metrics below `key`."""
        return {key: self.value, f"{key}/low": self.low, f"{key}/high": self.high, f"{key}/count": self.problems}


def accuracy(right: Sequence[float], *, resamples: int, seed: int) -> Accuracy:
    """The mean over problems (each right, wrong, or right in a share of the draws), with the 2.5th and 97.5th percentile over
    `resamples` resamplings of the problems. Where all are right, or none is, resamplings are all alike: there it is the exact
    binomial interval (Clopper-Pearson), which 30 problems without a right answer leave at 0 to 11.6%."""
    if not right:
        return Accuracy(0.0, 0.0, 0.0, 0)
    outcomes = np.asarray(right, dtype=np.float64)
    if outcomes.min() == outcomes.max() and outcomes[0] in (0.0, 1.0):
        reach = 1 - _TAIL ** (1 / len(outcomes))
        low, high = (1 - reach, 1.0) if outcomes[0] else (0.0, reach)
        return Accuracy(float(outcomes[0]), float(low), float(high), len(outcomes))
    random = np.random.default_rng(seed)
    means = [outcomes[random.integers(0, len(outcomes), len(outcomes))].mean() for _ in range(resamples)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Accuracy(float(outcomes.mean()), float(low), float(high), len(outcomes))


def pass_at(k: int, *, drawn: int, right: int) -> float:
    """The chance that one of `k` of the draws is right, without bias: 1 - C(n-c, k) / C(n, k) (Chen et al. 2021, eq. 1)."""
    return 1.0 - comb(drawn - right, k) / comb(drawn, k)


def doublings(limit: int) -> list[int]:
    """1, 2, 4, … up to `limit`, and `limit` itself."""
    return [*(2**power for power in range(limit.bit_length()) if 2**power < limit), limit]

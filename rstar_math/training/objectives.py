"""What may a reward model be trained to say?

batch of paths and their rewards -> loss. The paper's preference model (PPM) and the two that it is compared with (§4.3): all
three learn from the same harvest and are used alike. Nothing is trained here.

A batch holds, over all of its paths: `q`, the Q-value of the step that the path ends with; `side`, +1 where it is preferred,
-1 where it is not; `share`, its weight (the paths of a group share theirs, groups count alike); and over all pairs:
`chosen`, `rejected` (paths) and `weight`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.nn.functional import logsigmoid

from rstar_math.config import Objective

Batch = Mapping[str, torch.Tensor]
#: (rewards of the paths in [-1, 1], their batch) -> a scalar.
Loss = Callable[[torch.Tensor, Batch], torch.Tensor]
#: The tanh of a large score is 1 in float32, and the logarithm of what is left of it must stay finite.
_LEAST = 1e-6


def bradley_terry(rewards: torch.Tensor, batch: Batch) -> torch.Tensor:
    """PPM: -sum of weight * log sigma(r+ - r-), the preferred path has the higher reward (paper §3.3)."""
    return -(batch["weight"] * logsigmoid(rewards[batch["chosen"]] - rewards[batch["rejected"]])).sum()


def value_regression(rewards: torch.Tensor, batch: Batch) -> torch.Tensor:
    """PQM: the squared distance of the reward to the step's Q-value."""
    return (batch["share"] * (rewards - batch["q"]) ** 2).sum()


def outcome(rewards: torch.Tensor, batch: Batch) -> torch.Tensor:
    """ORM: the cross-entropy of a solution being right, whose probability is (1 + r) / 2."""
    likely = ((1 + batch["side"] * rewards) / 2).clamp(min=_LEAST)
    return -(batch["share"] * likely.log()).sum()


LOSSES: Mapping[Objective, Loss] = {"pairwise": bradley_terry, "pqm": value_regression, "orm": outcome}

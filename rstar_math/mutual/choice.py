"""trajectories, and those that a second model agrees with -> the answer to give (rStar §3.3).

Among the mutually consistent trajectories the one with the highest reward times the confidence of its last node; where none
is, the answer of most trajectories. The ground truth is never consulted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rstar_math.evaluation.choice import Choice, choose, solutions
from rstar_math.records import Tree


def choose_consistent(
    tree: Tree,
    consistent: Collection[int],
    same: Mapping[str, str],
    first: int | None = None,
    *,
    drawn: bool = False,
) -> Choice | None:
    """The choice after the `first` rollouts (None: all). A trajectory's reward is what all its rollouts brought; of draws
    (`drawn`) each counts."""
    rewards: dict[int, float] = {}
    for rollout in tree.rollouts[:first]:
        rewards[rollout.leaf] = rewards.get(rollout.leaf, 0.0) + rollout.value
    found = solutions(tree, drawn=drawn, first=first)
    agreed = [
        choice._replace(score=rewards[choice.leaf] * choice.score) for choice in found if choice.leaf in consistent
    ]
    if agreed:
        return choose(agreed, "best", len(agreed), same)
    return choose(found, "majority", len(found), same)

"""trees of one problem -> its trajectories, how hard it was, and the best of them for the policy.

Pairs for the PPM are chosen elsewhere (`pairs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from rstar_math.records import Problem, Step, Tree, Verdict, mean


class Difficulty(StrEnum):
    """How a problem's trajectories ended (paper §3.4.2): all right, a mix, none right."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"


class Trajectory(NamedTuple):
    """A path to a final answer. `average_q`: mean of Q over its steps, the last included."""

    problem: Problem
    steps: tuple[Step, ...]
    average_q: float
    verdict: Verdict
    tree_seed: int


def trajectories(trees: Sequence[Tree]) -> list[Trajectory]:
    """The distinct trajectories that rollouts reached, best average Q first; the same steps found twice count once."""
    found: dict[tuple[Step, ...], Trajectory] = {}
    for tree in trees:
        for leaf in tree.answers():
            verdict = tree.nodes[leaf].verdict
            if verdict is None:  # sampled but never reached by a rollout
                continue
            path = tree.path(leaf)
            steps = tree.steps(leaf)
            average_q = mean([tree.nodes[index].q for index in path])
            if steps not in found or found[steps].average_q < average_q:
                found[steps] = Trajectory(tree.problem, steps, average_q, verdict, tree.seed)
    return sorted(found.values(), key=lambda trajectory: -trajectory.average_q)


def difficulty(trees: Sequence[Tree]) -> Difficulty:
    """Easy, medium or hard, over all rollouts; a rollout that reached no answer counts as wrong."""
    share = correct_share(trees)
    return Difficulty.HARD if share == 0 else Difficulty.EASY if share == 1 else Difficulty.MEDIUM


def correct_share(trees: Sequence[Tree]) -> float:
    """Share of rollouts whose answer is right."""
    right = [float(tree.nodes[rollout.leaf].verdict is Verdict.CORRECT) for tree in trees for rollout in tree.rollouts]
    return mean(right)


def best(found: Sequence[Trajectory], count: int) -> list[Trajectory]:
    """The `count` correct trajectories with the highest average Q (paper §3.4: top-2)."""
    return [trajectory for trajectory in found if trajectory.verdict is Verdict.CORRECT][:count]

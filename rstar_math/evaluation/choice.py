"""tree -> the answer to give.

At test time the ground truth is unknown: a choice sees answers and PPM scores alone.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Literal, NamedTuple

from rstar_math.records import Tree


class Choice(NamedTuple):
    """The chosen trajectory: its last node, its answer, and the PPM's score of it (0 where no PPM was asked)."""

    leaf: int
    answer: str
    score: float


def choose_answer(tree: Tree, rule: Literal["best", "majority"], top: int) -> Choice | None:
    """The answer of the trajectory with the highest PPM score ("best", paper §4.1), or the one with the highest sum of votes
    among the `top` best ("majority", released code; ties go to the higher score). None if no rollout reached an answer.
    """
    reached = {rollout.leaf for rollout in tree.rollouts if tree.nodes[rollout.leaf].answer is not None}
    choices = [Choice(leaf, tree.nodes[leaf].answer or "", tree.nodes[leaf].prior or 0.0) for leaf in sorted(reached)]
    ranked = sorted(choices, key=lambda choice: -choice.score)
    if not ranked or rule == "best":
        return ranked[0] if ranked else None
    votes: dict[str, int] = defaultdict(int)
    for choice in ranked[:top]:
        votes[choice.answer] += 1
    return max(ranked[:top], key=lambda choice: (votes[choice.answer], choice.score))

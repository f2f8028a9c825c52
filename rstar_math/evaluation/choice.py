"""tree -> the answer to give.

At test time the ground truth is unknown: a choice sees answers and PPM scores alone. Votes are counted by which answers are
the same (`search.agreement`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from rstar_math.records import Tree

#: "best": the highest PPM score (paper §4.1). "majority": most votes (released code). "weighted": the PPM's scores as votes.
Rule = Literal["best", "majority", "weighted"]


class Choice(NamedTuple):
    """A trajectory: its last node, its answer, and the PPM's score of it (0 where no PPM was asked)."""

    leaf: int
    answer: str
    score: float


def solutions(tree: Tree, *, drawn: bool, first: int | None = None) -> list[Choice]:
    """The answers that the `first` rollouts reached (None: all), in their order.

    `drawn`: every rollout is a draw of its own and counts, also where two are alike; else a trajectory counts once, however
    often search came back to it.
    """
    leaves = [rollout.leaf for rollout in tree.rollouts[:first] if tree.nodes[rollout.leaf].answer is not None]
    counted = leaves if drawn else dict.fromkeys(leaves)
    return [Choice(leaf, tree.nodes[leaf].answer or "", tree.nodes[leaf].prior or 0.0) for leaf in counted]


def choose(
    found: Sequence[Choice], rule: Rule, top: int, same: Mapping[str, str], *, drawn: bool = False
) -> Choice | None:
    """The chosen one of `found`, None of nothing.

    Votes are counted over the `top` with the highest scores; of answers with equally many the one with the higher score wins,
    then the one found first. A majority of draws (`drawn`) is one of answers alone, whatever a PPM was asked for others: of
    two draws its score would make it the better one. `same`: for each answer the one that stands for all that mean the same
    (`alike`).
    """
    blind = drawn and rule == "majority"
    ranked = list(found) if blind else sorted(found, key=lambda choice: -choice.score)
    if not ranked or rule == "best":
        return ranked[0] if ranked else None
    votes: dict[str, float] = defaultdict(float)
    for choice in ranked[:top]:
        votes[same[choice.answer]] += 1.0 if rule == "majority" else (choice.score + 1) / 2
    return max(ranked[:top], key=lambda choice: (votes[same[choice.answer]], 0.0 if blind else choice.score))

"""tree -> the answer to give.

At test time the ground truth is unknown: a choice sees answers and PPM scores alone. Whether two answers are the same is the
judge's business; votes are counted by what it says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from rstar_math.ports import Judge
from rstar_math.records import Tree, Verdict

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


def choose(found: Sequence[Choice], rule: Rule, top: int, same: Mapping[str, str]) -> Choice | None:
    """The chosen one of `found`, None of nothing.

    Votes are counted over the `top` with the highest scores; of answers with equally many the one with the higher score wins,
    then the one found first. `same`: for each answer the one that stands for all that mean the same (`alike`).
    """
    ranked = sorted(found, key=lambda choice: -choice.score)
    if not ranked or rule == "best":
        return ranked[0] if ranked else None
    votes: dict[str, float] = defaultdict(float)
    for choice in ranked[:top]:
        votes[same[choice.answer]] += 1.0 if rule == "majority" else (choice.score + 1) / 2
    return max(ranked[:top], key=lambda choice: (votes[same[choice.answer]], choice.score))


async def alike(answers: Iterable[str], judge: Judge) -> dict[str, str]:
    """Each answer with the first one that means the same: one of the two, taken for the gold, makes the other right."""
    found: dict[str, str] = {}
    for answer in dict.fromkeys(answers):
        found[answer] = answer
        for other in dict.fromkeys(found.values()):
            if other != answer and await _same(answer, other, judge):
                found[answer] = other
                break
    return found


async def _same(one: str, other: str, judge: Judge) -> bool:
    """The ground truth's side decides what may be left out (a unit, a name), so both sides are asked."""
    for answer, gold in ((one, other), (other, one)):
        if (await judge.grade(answer, gold)).verdict is Verdict.CORRECT:
            return True
    return False

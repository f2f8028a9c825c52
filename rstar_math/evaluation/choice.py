"""tree -> the answer to give.

At test time the ground truth is unknown: a choice sees answers and PPM scores alone. Whether two answers are the same is the
judge's business; votes are counted by what it says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from rstar_math.ports import Judge
from rstar_math.records import Tree, Verdict


class Choice(NamedTuple):
    """The chosen trajectory: its last node, its answer, and the PPM's score of it (0 where no PPM was asked)."""

    leaf: int
    answer: str
    score: float


async def choose(tree: Tree, rule: Literal["best", "majority"], top: int, judge: Judge) -> Choice | None:
    """`choose_answer`, with the votes of answers that `judge` finds the same counted together."""
    ranked = _ranked(tree)[:top] if rule == "majority" else []
    return choose_answer(tree, rule, top, await alike([choice.answer for choice in ranked], judge))


def choose_answer(
    tree: Tree, rule: Literal["best", "majority"], top: int, same: Mapping[str, str] | None = None
) -> Choice | None:
    """The answer of the trajectory with the highest PPM score ("best", paper §4.1), or the one with the highest sum of votes
    among the `top` best ("majority", released code; ties go to the higher score). None if no rollout reached an answer.

    `same`: for each answer the one that stands for all that mean the same (`alike`); an answer left out stands for itself.
    """
    ranked = _ranked(tree)
    if not ranked or rule == "best":
        return ranked[0] if ranked else None
    votes: dict[str, int] = defaultdict(int)
    meaning = same or {}
    for choice in ranked[:top]:
        votes[meaning.get(choice.answer, choice.answer)] += 1
    return max(ranked[:top], key=lambda choice: (votes[meaning.get(choice.answer, choice.answer)], choice.score))


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


def _ranked(tree: Tree) -> list[Choice]:
    """The answers that rollouts reached, best PPM score first."""
    reached = {rollout.leaf for rollout in tree.rollouts if tree.nodes[rollout.leaf].answer is not None}
    choices = [Choice(leaf, tree.nodes[leaf].answer or "", tree.nodes[leaf].prior or 0.0) for leaf in sorted(reached)]
    return sorted(choices, key=lambda choice: -choice.score)

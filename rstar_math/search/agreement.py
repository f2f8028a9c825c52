"""Which answers mean the same?

answers -> groups, by the grader and not by their text. No ground truth is looked at: one answer stands in for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from rstar_math.ports import Judge
from rstar_math.records import Verdict


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

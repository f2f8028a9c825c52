r"""answer text -> the members of a list or set

"1 and 2", `\{1, 2\}`, `x = \pm 3`. A list's members come in any order, each as often as it stands there; braces make a set,
in which repetition means nothing. Members stay texts: whether two are the same is asked elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from rstar_math.grading import reals, structure
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.kinds import EMPTY_SET
from rstar_math.grading.naming import named, out_of_order
from rstar_math.grading.signs import squeezed


class Members(NamedTuple):
    """The members of an answer, a single one if it is no list, and whether braces make it a set."""

    texts: tuple[str, ...]
    is_set: bool = False

    def distinct(self) -> bool:
        """Whether no two members have the same text."""
        return len(set(map(squeezed, self.texts))) == len(self.texts)


def members(text: str, *, grouping: bool = True) -> Members:
    r"""The members of an unordered answer, `\pm` written out; without `grouping`, "1,000" is two.

    Raises:
        Unreadable: plus-minus signs can be read in two ways.
    """
    if reals.relational(text) or "\\begin{" in text:
        return Members((text,))
    text = reals.membership(text)
    inside = braced(text)
    parts = structure.elements(text if inside is None else inside, grouping=grouping) or [text]
    if inside is not None and len(parts) == 1:  # between braces a comma alone parts members
        parts = structure.elements(inside, grouping=False) or [text]
    texts = [sign for part in parts for sign in _both_signs(reals.membership(part))]
    if inside is not None:
        texts = list({squeezed(member): member for member in texts}.values())
    return Members(tuple(texts), inside is not None)


def braced(text: str) -> str | None:
    """What stands between the braces of a set that is written by its members; None of all else."""
    opened = structure.brackets(text)
    if opened is None or opened[0] not in ("\\{", "{") or EMPTY_SET.fullmatch(text.strip()) or reals.describes(text):
        return None
    return opened[1] or None


def unnamed(text: str) -> str:
    r"""`A = \{1, 2\}` as the set alone."""
    found = named(text)
    return found.value if found.name and braced(found.value) else text


def matched(pairs: Sequence[Sequence[bool]]) -> bool:
    """Whether every member has one of its own on the other side; equals of the same are equal to each other."""
    free = set(range(len(pairs[0])))
    for row in pairs:
        found = next((column for column in free if row[column]), None)
        if found is None:
            return False
        free.discard(found)
    return not free


def order_counts(given: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether one list has names and the other has none: "AB=4, CD=5" is answered by "4, 5", in that order only."""
    names = [[named(member).name for member in texts] for texts in (given, wanted)]
    if bool(any(names[0])) == bool(any(names[1])):
        return False
    stated = [name for name in (*names[0], *names[1]) if name]
    if out_of_order(stated, asked=any(names[1])):
        raise Unreadable("names in another order than the alphabet's, for values without names")
    return len(set(stated)) > 1


def twins(given: Sequence[str], wanted: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """What stands in both lists, as often as it does, and what is left of each: twins are the same if they can be read."""
    common = Counter(given) & Counter(wanted)
    left = [list((Counter(texts) - common).elements()) for texts in (given, wanted)]
    return list(common), left[0], left[1]


def _both_signs(text: str) -> list[str]:
    r"""`\pm` and `\mp` written out.

    Raises:
        Unreadable: there is more than one; whether they go together nobody can tell.
    """
    signs = len(re.findall(r"\\(?:pm|mp)(?![a-z])", text))
    if signs == 0:
        return [text]
    if signs > 1:
        raise Unreadable("more than one plus-minus sign")
    return [re.sub(r"\\(?:pm|mp)(?![a-z])\s*", sign, text) for sign in ("+", "-")]

r"""answer text -> the members of a list or set

"1 and 2", `\{1, 2\}`, `x = \pm 3`. A list's members come in any order, each as often as it stands there; braces make a set,
in which repetition means nothing. Members stay texts: whether two are the same is asked elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from rstar_math.grading import reals, structure
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.kinds import EMPTY_SET
from rstar_math.grading.naming import as_named, named, out_of_order
from rstar_math.grading.signs import squeezed
from rstar_math.grading.units import quantity


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
    inside = braced(text)
    whole = text if inside is None else inside
    parts = structure.elements(whole, grouping=grouping) or (whole,)
    if inside is not None and len(parts) == 1:  # between braces a comma alone parts members
        parts = structure.elements(inside, grouping=False) or (whole,)
    texts = [sign for part in _under_their_names(parts) for sign in structure.both_signs(part)]
    if inside is not None:
        texts = list({squeezed(member): member for member in texts}.values())
    return Members(tuple(texts), inside is not None)


def _under_their_names(parts: Sequence[str]) -> list[str]:
    """ "x = 1, 3, y = 2, 4" with the name before every value; of one name alone it need not stand there."""
    texts = list(map(as_named, parts))
    names = [named(text).name for text in texts]
    if len(set(names) - {""}) < 2 or not names[0]:
        return texts
    for place, name in enumerate(names):
        if not name and "=" not in texts[place]:
            names[place] = names[place - 1]
            texts[place] = f"{names[place]} = {texts[place]}"
    return texts


def braced(text: str) -> str | None:
    """What stands between the braces of a set that is written by its members, none of which is a matrix; None of all else."""
    opened = None if "\\begin{" in text else structure.brackets(text)
    if opened is None or opened[0] not in ("\\{", "{") or EMPTY_SET.fullmatch(text.strip()) or reals.describes(text):
        return None
    return opened[1] or None


def unnamed(said: str, meant: str) -> tuple[str, str]:
    r"""`A = \{1, 2\}` as the set alone, unless both are sets with names."""
    found = [named(text) for text in (said, meant)]
    sets = [each.value if each.name and braced(each.value) else "" for each in found]
    return (said, meant) if all(sets) else (sets[0] or said, sets[1] or meant)


def check_joined(said: str, meant: str) -> None:
    """ "x = 1 or y = 2" is not "x = 1 and y = 2"; of the values of one name both are the list.

    Raises:
        Unreadable: statements of different things are joined by "or" on one side only.
    """
    either = [reals.OR.search(text) is not None and not reals.describes(text) for text in (said, meant)]
    if either[0] != either[1]:
        parts = [named(as_named(part)) for part in structure.elements(said if either[0] else meant)]
        if len({part.name or part.value for part in parts if part.sides}) > 1:
            raise Unreadable("statements of which one holds, beside some that all do")


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
    """Whether one list has names, or different units, and the other has none: "AB=4, CD=5" is answered by "4, 5", in that
    order only.

    Raises:
        Unreadable: the names are not in their own order.
    """
    names = [[named(member).name for member in texts] for texts in (given, wanted)]
    if not any(names[0] + names[1]):
        units = [{quantity(member).unit for member in texts} for texts in (given, wanted)]
        return any(len(one) > 1 and "" not in one and other == {""} for one, other in (units, units[::-1]))
    if any(names[0]) and any(names[1]):
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

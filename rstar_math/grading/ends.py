r"""intervals, unions and inequalities -> how many open and closed ends, and whether they reach to infinity

The second look at sets of reals, whose witness it is: `reals` places their boundaries and tests what lies between. Here
nothing is placed. An end is open or closed, lower or upper; whether a set goes on below or above all of them follows from its
parts. What the text does not show (the side on which 3 - x < 2 holds) is left open.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, product
from typing import NamedTuple

from rstar_math.grading.failures import Unreadable
from rstar_math.grading.levels import ALL, COMMAS, EITHER, Group, Items, cut, holds, parts, signed, spelt

_BUT = frozenset(["\\setminus", "\\backslash"])
_LESS = {"<": "open", "\\lt": "open", "<=": "closed", "\\le": "closed", "\\leq": "closed", "\\leqslant": "closed"}
_MORE = {">": "open", "\\gt": "open", ">=": "closed", "\\ge": "closed", "\\geq": "closed", "\\geqslant": "closed"}
_UNEQUAL = frozenset(["!=", "\\ne", "\\neq"])
_RELATIONS = _LESS.keys() | _MORE.keys() | _UNEQUAL
_OF_REALS = _RELATIONS | _BUT | {"\\cup", "\\cap"}
_SUCH_THAT = frozenset(["|", ":", "\\colon", "\\mid", "\\vert"])
_INFINITE = re.compile(r"[+-]?(?:\\infty|\\?infinity|inf)")
#: What grows with the symbol of an inequality: x, 2x + 1, x_1, f(x).
_GROWING = re.compile(
    r"(?:\d+(?:\.\d+)?)?(?:[A-Za-z]|\\[a-z]+)(?:_(?:\w|\{\w+\}))?(?:\([a-z]\))?(?:[+-]\d+(?:\.\d+)?)?", re.ASCII
)
_NOTHING = re.compile(r"\\emptyset|\\varnothing|\\\{\\\}")
_EVERYTHING = re.compile(r"(?i:\\mathbb\{?R\}?|\\R|allrealnumbers?)")
_SIDES = ("lower", "upper")
_OTHER_KIND, _OTHER_SIDE = {"open": "closed", "closed": "open"}, {"lower": "upper", "upper": "lower", "": ""}


class End(NamedTuple):
    """Open or closed; lower, upper or "" for either; the text of its place."""

    kind: str
    side: str
    place: str


class Extent(NamedTuple):
    """The ends of a set, and whether it goes on below and above all of them; None where that does not show."""

    ends: tuple[End, ...] = ()
    below: bool | None = False
    above: bool | None = False


def describe(items: Items) -> bool:
    """Whether an answer is written as a set of reals: by an inequality, as a union or difference, or as all or none."""
    own = spelt(cut(items, ("\\in", "="))[-1])
    return holds(items, _OF_REALS) or any(pattern.fullmatch(own) for pattern in (_EVERYTHING, _NOTHING))


def same(said: Items, meant: Items) -> bool:
    """Whether two sets of reals have the same ends, as far as they show.

    Raises:
        Unreadable: something in one of them is no set of reals.
    """
    one, other = _extent(said), _extent(meant)
    if any(None not in pair and pair[0] != pair[1] for pair in zip(one[1:], other[1:], strict=True)):
        return False
    kinds = [Counter(end.kind for end in extent.ends) for extent in (one, other)]
    common = [holds(items, {"\\cap"}) for items in (said, meant)]
    if any(common):  # ends of what has numbers in common may vanish
        return (common[0] or kinds[0] <= kinds[1]) and (common[1] or kinds[1] <= kinds[0])
    if not all(end.side for end in one.ends + other.ends):
        return kinds[0] == kinds[1]
    return Counter(end[:2] for end in one.ends) == Counter(end[:2] for end in other.ends)


def _extent(items: Items) -> Extent:
    for signs, together in _TOGETHER:
        found = parts(items, signs)
        if len(found) > 1:
            return together(_listed(found))
    first, *taken = [_of_one(piece) for piece in cut(found[0] if found else items, _BUT)]
    for extent in taken:
        first = _without(first, extent)
    return first


def _listed(found: Sequence[Items]) -> list[Extent]:
    """The extents of parts; behind an "unequal" numbers alone are unequal too."""
    extents, unequal = [], False
    for part in found:
        unequal = holds(part, _UNEQUAL) or (unequal and not holds(part, _RELATIONS))
        extents.append(_extent(part) if holds(part, _RELATIONS) or not unequal else _unequal(part))
    return extents


def _any(values: Iterable[bool | None]) -> bool | None:
    found = set(values)
    return True if True in found else None if None in found else False


def _all(values: Iterable[bool | None]) -> bool | None:
    found = set(values)
    return False if False in found else None if None in found else True


def _agreed(values: Iterable[bool | None]) -> bool | None:
    found = set(values)
    return found.pop() if len(found) == 1 else None


def _joined(extents: Sequence[Extent], choose: Callable[[Iterable[bool | None]], bool | None]) -> Extent:
    ends = tuple(end for extent in extents for end in extent.ends)
    return Extent(ends, choose(extent.below for extent in extents), choose(extent.above for extent in extents))


def _union(extents: Sequence[Extent]) -> Extent:
    """Without the ends at which two parts meet."""
    whole = _joined(extents, _any)
    left = list(whole.ends)
    for upper, lower in product(whole.ends, whole.ends):
        meet = (upper.side, lower.side) == ("upper", "lower") and upper.place == lower.place != ""
        if meet and "closed" in (upper.kind, lower.kind) and upper in left and lower in left:
            left.remove(upper)
            left.remove(lower)
    return whole._replace(ends=tuple(left))


def _common(extents: Sequence[Extent]) -> Extent:
    return _joined(extents, _all)


def _either_way(extents: Sequence[Extent]) -> Extent:
    """Parts with commas between them: all of them hold, or one."""
    return _joined(extents, _agreed)


_TOGETHER = ((EITHER, _union), (ALL, _common), (COMMAS, _either_way))


def _without(whole: Extent, taken: Extent) -> Extent:
    ends = tuple(End(_OTHER_KIND[end.kind], _OTHER_SIDE[end.side], end.place) for end in taken.ends)
    left = [
        _all((reaches, None if removed is None else not removed))
        for reaches, removed in zip(whole[1:], taken[1:], strict=True)
    ]
    return Extent(whole.ends + ends, *left)


def _of_one(piece: Items) -> Extent:
    piece = cut(piece, ("\\in",))[-1]
    own = spelt(piece)
    if _EVERYTHING.fullmatch(own) or _NOTHING.fullmatch(own):
        everything = _EVERYTHING.fullmatch(own) is not None
        return Extent((), everything, everything)
    if any(item in _RELATIONS for item in piece):
        sides, signs = cut(piece, _RELATIONS), [item for item in piece if item in _RELATIONS]
        links = zip(pairwise(sides), signs, strict=True)
        return _common([_of_link(left, str(sign), right) for (left, right), sign in links])
    if len(piece) != 1 or isinstance(piece[0], str):
        raise Unreadable("no set of real numbers at a second look")
    return _of_group(piece[0])


def _of_group(group: Group) -> Extent:
    inside = parts(group.items)
    if group.opening == "\\{":
        if not holds(group.items, _RELATIONS):
            points = [spelt(point) for part in inside for point in signed(part)]
            return Extent(tuple(End("closed", side, point) for point in points for side in _SIDES))
        start = next((at for at, item in enumerate(group.items) if item in _SUCH_THAT), len(group.items))
        return _extent(group.items[start + 1 :])
    if len(inside) == 1 or holds(group.items, _RELATIONS):
        return _extent(group.items)
    if len(inside) != 2 or group.opening == "{":
        raise Unreadable("no set of real numbers at a second look")
    places = [spelt(part) for part in inside]
    infinite = [_INFINITE.fullmatch(place) is not None for place in places]
    if any(
        beyond and place.startswith("-") != (at == 0)
        for at, (beyond, place) in enumerate(zip(infinite, places, strict=True))
    ):
        raise Unreadable("the wrong infinity at a second look")
    brackets = zip(_SIDES, places, (group.opening, group.closing), infinite, strict=True)
    ends = (End("closed" if mark in "[]" else "open", side, at) for side, at, mark, beyond in brackets if not beyond)
    return Extent(tuple(ends), *infinite)


def _of_link(left: Items, sign: str, right: Items) -> Extent:
    texts = [spelt(left), spelt(right)]
    if any(map(_INFINITE.fullmatch, texts)):
        return Extent((), True, True)
    if sign in _UNEQUAL:
        return _unequal(left if _GROWING.fullmatch(texts[1]) else right)
    less, more = texts if sign in _LESS else texts[::-1]
    kind = _LESS.get(sign) or _MORE[sign]
    if "|" in less + more:
        far = None if "|" in less and "|" in more else "|" in more
        return Extent(tuple(End(kind, side, "") for side in _SIDES), far, far)
    growing = [_GROWING.fullmatch(text) is not None for text in (less, more)]
    if growing[0] == growing[1]:
        return Extent((End(kind, "", ""),), None, None)
    return Extent((End(kind, "upper" if growing[0] else "lower", ""),), *growing)


def _unequal(items: Items) -> Extent:
    places = [spelt(point) for point in signed(items)]
    return Extent(tuple(End("open", side, place) for place in places for side in _SIDES), True, True)

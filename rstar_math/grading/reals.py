r"""intervals, unions and inequalities -> sets of real numbers

A set is the list of its boundaries and a test of membership; two are equal if the test agrees at every boundary of either,
between any two of them, and beyond the last: exact for unions of intervals. Boundaries come from outside as comparable
numbers; nothing is computed here.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

from rstar_math.grading import structure
from rstar_math.grading.failures import Unreadable

#: A boundary's place on the line: an exact fraction, or a number to many digits.
Place = Any

_RELATION = re.compile(r"<|>|\\(?:leq|geq|neq)(?![a-z])")
_FLIPPED = {"<": ">", ">": "<", "\\leq": "\\geq", "\\geq": "\\leq", "\\neq": "\\neq"}
MEMBER = re.compile(r"^\s*([A-Za-z](?:_\{?\w+\}?)?)\s*\\in(?![a-z])\s*")
_REAL = r"\\(?:mathbb|text|Bbb|mathbf)\s*\{?\s*R\s*\}?|\\R(?![a-z])"
_REALS = re.compile(rf"{_REAL}|\\text\{{\s*all real numbers?\s*\}}|(?i:all real numbers?)")
_OF_REALS = re.compile(rf"^(\s*[A-Za-z])\s*\\in\s*(?:{_REAL})\s*")
_ANY_REAL = re.compile(rf"[A-Za-z](?:\s*\\in\s*(?:{_REAL}))?\s*")
SUCH_THAT = re.compile(r"^\\\{\s*(.*?[A-Za-z].*?)\s*(?:\||:|\\mid(?![a-z])|\\vert)\s*(.*)\\\}$")
OR = re.compile(
    r"\s*(?:\\cup(?![a-z])|\\text\{\s*,?\s*or\s*\}|(?<![A-Za-z\\])or(?![A-Za-z])|\\(?:lor|vee)(?![a-z]))\s*,?\s*"
)
AND = re.compile(
    r"\s*(?:\\text\{\s*,?\s*and\s*\}|(?<![A-Za-z\\])and(?![A-Za-z])|\\(?:land|wedge)(?![a-z])|,|;)\s*(?:\\text\{\s*and\s*\})?"
)
_INFINITE = re.compile(r"([+-]?)\s*\\infty")
#: f(x) between two bounds is what an inequality speaks of.
_APPLIED = re.compile(r"[A-Za-z]\s*\(\s*[a-z](?:\s*,\s*[a-z])*\s*\)")
_ABSOLUTE = re.compile(r"\|([^|]+)\|")
_TESTS = {"<": operator.lt, ">": operator.gt, "\\leq": operator.le, "\\geq": operator.ge, "\\neq": operator.ne}
_OPERATIONS = (("\\cup", "or"), ("\\cap", "and"), ("\\setminus", "not"), ("\\backslash", "not"))


class Line(Protocol):
    """Who tells where on the line of real numbers a formula lies."""

    def linear(self, text: str) -> tuple[str, Place, Place]:
        """The one symbol of a linear formula, its factor and the rest: 2x+1 -> ("x", 2, 1). A constant: ("", 0, value).

        Raises:
            Unreadable: it is not linear in one symbol, or not real.
        """
        ...

    def alike(self, one: Place, other: Place) -> bool:
        """Whether two places are the same."""
        ...


class Reals(NamedTuple):
    """A set of real numbers; `symbol` is what an inequality speaks of, "" for an interval. Not `solved`: 3x - 7 > 8."""

    boundaries: tuple[Place, ...]
    holds: Callable[[Place], bool]
    symbol: str = ""
    solved: bool = True

    def same(self, other: Reals) -> bool:
        """Whether both hold the same numbers."""
        places = sorted({*self.boundaries, *other.boundaries})
        between = [(low + high) / 2 for low, high in pairwise(places)]
        beyond = [places[0] - 1, places[-1] + 1] if places else [Fraction(0)]
        return all(self.holds(place) == other.holds(place) for place in (*places, *between, *beyond))

    def empty(self) -> bool:
        """Whether it holds no number."""
        return self.same(Reals((), lambda _: False))


def describes(text: str) -> bool:
    """Whether a text is written as a set of reals: by an inequality, as a union or difference, or with all reals in it."""
    return bool(
        _RELATION.search(text)
        or re.search(r"\\(?:cup|cap|setminus|backslash)(?![a-z])", text)
        or _REALS.fullmatch(membership(text.strip()))
    )


class Link(NamedTuple):
    """One inequality of a chain, the greater side first; `sign` tells whether the sides may be equal."""

    sides: tuple[str, str]
    sign: str


def falling(text: str) -> list[Link]:
    """The links of a chain of inequalities, from the greatest side to the least.

    Raises:
        Unreadable: it goes up and down.
    """
    signs, between = _RELATION.findall(text), [side.strip() for side in sides(text)]
    if signs[0] in ("<", "\\leq"):
        signs, between = [_FLIPPED[sign] for sign in reversed(signs)], between[::-1]
    if not all(between) or any(sign in ("<", "\\leq") for sign in signs):
        raise Unreadable("a chain of inequalities that goes up and down")
    return [Link((left, right), sign) for sign, (left, right) in zip(signs, pairwise(between), strict=True)]


def many_symbols(said: str, meant: str) -> bool:
    """Whether both are inequalities, without lists and conditions, and one of them of more than one symbol."""
    plain = [re.sub(rf"{_REAL}|[A-Za-z]\([\w,\s]*\)", "f", text) for text in (said, meant)]
    single = all(relational(text) and not re.search(r"[,;|:]|\\in(?![a-z])|\\(?:cup|text)", text) for text in plain)
    letters = [symbols(text) for text in plain]
    applied = any(len(re.findall(r"[A-Za-z]\([\w,\s]*\)", text)) > 1 for text in (said, meant))
    return single and (max(map(len, letters)) > 1 or applied)


def symbols(text: str) -> set[str]:
    """The single letters in a text that are no part of a command."""
    return set(re.findall(r"(?<![\\A-Za-z])[a-zA-Z](?![A-Za-z])", text))


def membership(text: str) -> str:
    r"""`x \in S` as S."""
    return MEMBER.sub("", text)


def sides(text: str) -> list[str]:
    """What stands between the signs of a chain of inequalities."""
    return _RELATION.split(text)


def relational(text: str) -> bool:
    """Whether there is an inequality in a text."""
    return bool(_RELATION.search(text))


class Reader:
    """Reads sets whose boundaries a `Line` places; two that are compared come from one reader."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._known: list[Place] = []

    def _placed(self, place: Place) -> Place:
        """The boundary itself, or one that was read before and is the same: inexact ones differ in their last digits."""
        for known in self._known:
            if self._line.alike(known, place):
                return known
        self._known.append(place)
        return place

    def read(self, text: str) -> Reals:
        """The set that a text describes.

        Raises:
            Unreadable: it describes none, or not one of real numbers.
        """
        text = text.strip()
        if found := SUCH_THAT.match(text):
            return self._such_that(found[1], found[2])
        text = _without_domain(text)
        if relational(text):
            return self._relations(text)
        for mark, operation in _OPERATIONS:
            parts = structure.parted(text, mark)
            if len(parts) > 1:
                return _combined([self.read(part) for part in parts], operation)
        text = membership(text)
        if _REALS.fullmatch(text):
            return Reals((), lambda _: True)
        if text in ("\\emptyset", "\\{\\}", "\\{ \\}"):
            return Reals((), lambda _: False)
        if (opened := structure.brackets(text)) and opened[0] == "\\{":
            return _points([self._point(member) for member in structure.elements(opened[1])])
        if (row := structure.row(text)) and len(row.members) == 2:
            return self._interval(row)
        if opened and opened[0] == "(":
            return self.read(opened[1])
        raise Unreadable("no set of real numbers")

    def _such_that(self, member: str, condition: str) -> Reals:
        if not _ANY_REAL.fullmatch(member):
            raise Unreadable("a set of other members than all real numbers for which something holds")
        found = self.read(_without_domain(condition))
        if found.symbol not in ("", member.strip()[0]):
            raise Unreadable("a set whose condition speaks of another symbol than its member's")
        return found

    def _interval(self, row: structure.Row) -> Reals:
        low, high = (self._end(member, below=at == 0) for at, member in enumerate(row.members))
        if (low is None and row.opening == "[") or (high is None and row.closing == "]"):
            raise Unreadable("an interval that holds infinity")
        if low is not None and high is not None and not low < high:
            raise Unreadable("an interval that ends where it begins, or before")
        ends = tuple(end for end in (low, high) if end is not None)
        left = ">" if row.opening == "(" else "\\geq"
        right = "<" if row.closing == ")" else "\\leq"
        return Reals(ends, lambda place: _compare(place, left, low) and _compare(place, right, high))

    def _end(self, text: str, *, below: bool) -> Place | None:
        """A boundary; None at the infinity on its own side."""
        if (infinite := _INFINITE.fullmatch(text.strip())) and (infinite[1] == "-") != below:
            raise Unreadable("an interval that reaches to the wrong infinity")
        return None if infinite else self._point(text)

    def _point(self, text: str) -> Place:
        symbol, _, value = self._line.linear(text)
        if symbol:
            raise Unreadable("a boundary with a symbol in it")
        return self._placed(value)

    def _relations(self, text: str) -> Reals:
        """Inequalities joined by "or", or by "and"; by a comma, both hold if they can, else one of them."""
        either = [part for part in OR.split(text) if part.strip()]
        if len(either) > 1:
            return _combined([self._relations(part) for part in either], "or")
        parts = [part for part in AND.split(text) if part.strip()] or [text]
        parts = _repeated(parts)
        if len(parts) > 1:
            sets = [self.read(part) for part in parts]
            both = _combined(sets, "and")
            stated = "and" in text or "land" in text or "wedge" in text
            if not (stated or both.empty()) and any(part.boundaries and part.same(both) for part in sets):
                raise Unreadable("inequalities of which one says it all, or either")
            if not both.empty():
                return both
            if stated:
                raise Unreadable("inequalities that cannot hold together")
            return _combined(sets, "or")
        return self._chain(text)

    def _chain(self, text: str) -> Reals:
        """1 < x < 2, link by link."""
        pairs = zip(_RELATION.findall(text), pairwise(map(str.strip, sides(text))), strict=True)
        links = [self._link(left, sign, right) for sign, (left, right) in pairs]
        return _combined(links, "and")

    def _link(self, left: str, sign: str, right: str) -> Reals:
        absolute = _ABSOLUTE.fullmatch(left.strip()) or _ABSOLUTE.fullmatch(right.strip())
        if absolute:
            flipped = absolute.string != left.strip()
            return self._absolute(absolute[1], _FLIPPED[sign] if flipped else sign, left if flipped else right)
        if _INFINITE.fullmatch(left) or _INFINITE.fullmatch(right):
            return self._unbounded(left, sign, right)
        said, meant = self._form(left), self._form(right)
        if said[0] and meant[0] and said[0] != meant[0]:
            raise Unreadable("an inequality that is not linear in one symbol")
        factor, rest = said[1] - meant[1], meant[2] - said[2]
        if factor == 0:
            raise Unreadable("an inequality without a symbol")
        boundary, sign = self._placed(rest / factor), sign if factor > 0 else _FLIPPED[sign]
        alone = _is_bare(said, meant) or _is_bare(meant, said)
        return Reals((boundary,), lambda place: _compare(place, sign, boundary), said[0] or meant[0], alone)

    def _form(self, side: str) -> tuple[str, Place, Place]:
        if _APPLIED.fullmatch(side):
            return side.replace(" ", ""), 1, 0
        return self._line.linear(side)

    def _unbounded(self, left: str, sign: str, right: str) -> Reals:
        """x < infinity says nothing."""
        if _INFINITE.fullmatch(left):
            left, sign, right = right, _FLIPPED[sign], left
        symbol = self._form(left)[0]
        if not symbol or sign not in (("<", "\\leq") if right[0] != "-" else (">", "\\geq")):
            raise Unreadable("an inequality with infinity that is never true, or has no symbol")
        return Reals((), lambda _: True, symbol)

    def _absolute(self, inner: str, sign: str, bound: str) -> Reals:
        """|x| < c lies between -c and c, |x| > c outside."""
        links = [self._link(inner, sign, bound), self._link(inner, _FLIPPED[sign], f"-({bound})")]
        return _combined(links, "and" if sign in ("<", "\\leq", "\\neq") else "or")


def _repeated(parts: list[str]) -> list[str]:
    r"""`x \neq 1, 2` with its symbol before every number, `x \neq \pm 2` with both."""
    start = re.match(r"\s*([A-Za-z])\s*\\neq(?![a-z])", parts[0])
    if start is None:
        return parts
    parts = [part if relational(part) else f"{start[1]} \\neq {part}" for part in parts]
    return [sign for part in parts for sign in (structure.both_signs(part) if "\\neq" in part else [part])]


def _without_domain(text: str) -> str:
    r"""`x \in \mathbb{R}` says nothing where a condition follows or stands before."""
    shorter = re.sub(rf"^\s*[A-Za-z]\s*\\in\s*(?:{_REAL})\s*(?:,|:|\\mid|\|)\s*(?=\S)", "", text)
    return re.sub(rf"\s*,\s*[A-Za-z]\s*\\in\s*(?:{_REAL})\s*$", "", shorter)


def _is_bare(one: tuple[str, Place, Place], other: tuple[str, Place, Place]) -> bool:
    """Whether a side is a symbol alone, and the other a number. Sympy's numbers equal no others; a zero is false."""
    return bool(one[0]) and not (other[0] or one[2] or abs(one[1]) - 1)


def _points(places: list[Place]) -> Reals:
    return Reals(tuple(places), lambda place: place in places)


def _combined(sets: list[Reals], operation: str) -> Reals:
    symbols = {part.symbol for part in sets} - {""}
    if len(symbols) > 1:
        raise Unreadable("inequalities of more than one symbol")
    boundaries = tuple(place for part in sets for place in part.boundaries)
    tests = [part.holds for part in sets]
    symbol = symbols.pop() if symbols else ""
    solved = all(part.solved for part in sets)
    if operation == "or":
        return Reals(boundaries, lambda place: any(test(place) for test in tests), symbol, solved)
    if operation == "and":
        return Reals(boundaries, lambda place: all(test(place) for test in tests), symbol, solved)
    return Reals(
        boundaries, lambda place: tests[0](place) and not any(test(place) for test in tests[1:]), symbol, solved
    )


def _compare(place: Place, sign: str, boundary: Place | None) -> bool:
    return boundary is None or bool(_TESTS[sign](place, boundary))

r"""What is only the name of an answer?

"x = 5", "f(x) = 2x", "AB:CD = 1:2", "(p,q) = (3,2)" state a value under a name. Names are taken apart here, texts in and
texts out; whether the values are the same is asked elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from rstar_math.grading import notations, reals, structure
from rstar_math.grading.callings import may_say_something_else
from rstar_math.grading.characters import replaced
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.trees import FUNCTIONS
from rstar_math.grading.units import quantity

_INDEX = r"(?:_(?:\{[^{}]*\}|\\[A-Za-z]+|\w))?'*"
_SINGLE = (
    rf"(?:[a-zA-Z]\^\{{-1\}}\s*\([a-z]\)|[A-Z]\^\{{-1\}}|\\?[A-Za-z]+{_INDEX}\s*(?:\((?:[A-Za-z,\s\\]*|-?\d+)\))?"
    r"|\\frac\{d[a-z]?\}\{d[a-z]\}|m?\\(?:overline|bar|hat|angle|triangle|text|vec|mathbf)\s*\{?[A-Za-z\s]+\}?\s*|\|[A-Za-z]+\|"
    rf"|\\Delta\s*[A-Za-z]{_INDEX}|[A-Z]_\{{[A-Z]+\}}|\\frac\{{[A-Z]+\}}\{{[A-Z]+\}})"
)
#: \\sin x = 1 is an equation, no value under a name.
_APPLIED = re.compile(rf"\\(?:{'|'.join(FUNCTIONS)}|sqrt|frac|binom|pi|infty)(?![a-z])")
#: What stands left of "=" when the answer is given a name: x, f(x), S_{ABC}, AB:CD, \angle ABC.
_NAME = re.compile(rf"\s*{_SINGLE}\s*(?::\s*{_SINGLE})?\s*")
#: A(1, 2) is a point; C(5, 2) and P(5, 2) count, N(0, 1) distributes, and F(1, 2) may be a value.
_POINT = re.compile(r"[ABDEI-MOQ-Z]'*(?=\()")
#: The greatest m is asked for, and may be called m.
_EXTREME = re.compile(r"_\\?(?:max|min)$")
#: Letters that are added up: what contests ask for. A sum of others may be a condition.
_SUM = re.compile(r"\s*[a-dkm-t](?:\s*\+\s*[a-dkm-t])+\s*")
#: A function of one symbol: f(x), g^-1(x).
_FUNCTION = re.compile(r"([A-Za-z](?:\^-1)?)\([A-Za-z]\)")
_Y = re.compile(r"[fgh](?:\^-1)?\(x\)")
_APPROXIMATELY = re.compile(r"\s*\\(?:approx|simeq|sim|doteq)(?![a-z])\s*")


_SIGNS = re.compile(r"\\?[A-Za-z]+|\d+|'+", re.ASCII)
_GREEK = re.findall(
    r"\w+",
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi psi "
    "omega",
)


class Named(NamedTuple):
    """An answer with its name ("" for none), all sides of its equation (none if it is no equation), and its value."""

    name: str
    sides: tuple[str, ...]
    value: str

    def chain(self) -> Iterator[tuple[str, str]]:
        """The neighbouring values of "x = 1 = 2", which have to be the same."""
        return iter(pairwise(self.sides[1:])) if self.name else iter(())

    def misplaced(self, *, asked: bool = False) -> bool:
        """Whether it is "(y, x) = (1, 2)", which is not (1, 2); `asked`: as the ground truth."""
        row = structure.row(self.sides[0]) if self.name else None
        return row is not None and out_of_order(row.members, asked=asked)

    def called_like(self, other: Named) -> bool:
        """Whether both have one name; C is C(h), and y is f(x)."""
        if (
            self.name == other.name
            or other.name in _without_extreme(self.name)
            or self.name in _without_extreme(other.name)
        ):
            return True
        plain, applied = sorted((self.name, other.name), key=len)
        function = _FUNCTION.fullmatch(applied)
        return function is not None and (plain == function[1] or (plain == "y" and _Y.fullmatch(applied) is not None))

    def sum_of_symbols(self) -> str:
        """The value of "m + n = 17"; "" of all else."""
        if len(self.sides) != 2 or not _SUM.fullmatch(self.sides[0]):
            return ""
        letters = re.findall("[a-z]", self.sides[0])
        return self.sides[1] if len(set(letters)) == len(letters) else ""

    def is_misleading(self) -> bool:
        """Whether there is a name that may say something else than that the value is the answer."""
        return bool(self.name) and not structure.row(self.sides[0]) and may_say_something_else(self.sides[0])


def _without_extreme(name: str) -> list[str]:
    """The name without the index that says that it is the greatest or least; nothing if it has none."""
    return [_EXTREME.sub("", name)] if _EXTREME.search(name) else []


def named(text: str, rounds: Callable[[str, str], bool] | None = None) -> Named:
    r"""Name and value of "x = 5". "X \approx 0.58" states X, if `rounds` finds that the decimal is X, rounded.

    Raises:
        Unreadable: it is not.
    """
    return _named(_without_approximation(text, rounds) if rounds else text)


@lru_cache(maxsize=structure.SEEN)
def _named(text: str) -> Named:
    sides = structure.equation(text)
    if len(sides) > 1 and reals.relational(structure.outside(text)):
        return Named("", sides, text)  # "x > 1 = y"
    if len(sides) == 1:
        point = _POINT.match(text)
        if point and structure.row(text[point.end() :]):
            return Named(point[0], (point[0], text[point.end() :]), text[point.end() :])
        return Named("", (), text)
    if not _is_name(sides[0]) and _is_name(sides[-1]):
        if sides[-1].strip() not in ("i", "e"):
            sides = (sides[-1], *sides[:-1])  # 5 = x
        elif len(sides) == 2:
            raise Unreadable("a name, or a number")
    if len(sides) > 2 and all(map(_is_name, sides[:-1])):
        raise Unreadable("one value under several names")
    if _is_name(sides[0]) or _is_tuple_of_names(sides[0]):
        return Named(re.sub(r"[\s{}]", "", sides[0]), sides, sides[-1])
    return Named("", sides, text)


def as_named(text: str) -> str:
    r"""`x \in S` as `x = S`: whose set it is counts as much as what is in it."""
    return text if reals.relational(text) else replaced(reals.MEMBER, r"\1 = ", text)


def _without_approximation(text: str, rounds: Callable[[str, str], bool]) -> str:
    parts = _APPROXIMATELY.split(text)
    if len(parts) == 1:
        return text
    if len(parts) > 2:
        raise Unreadable("more than one approximation")
    if not parts[0]:
        return parts[1]
    if _is_name(parts[0]):
        return f"{parts[0]} = {parts[1]}"
    exact = structure.equation(parts[0])[-1]
    amount, own = quantity(parts[1]), quantity(exact)
    decimal = parts[1] if amount.unsure() else amount.text
    if notations.number(decimal) is None or amount.percent != own.percent or not rounds(decimal, own.text):
        raise Unreadable("an approximation that is none")
    if amount.unit in ("", own.unit) or amount.unsure():
        return parts[0]
    if own.unit:
        raise Unreadable("an approximation in another unit")
    return parts[0] + parts[1].removeprefix(decimal)


def _is_name(text: str) -> bool:
    return bool(_NAME.fullmatch(text)) and not (_APPLIED.search(text) and "\\frac{" not in text)


def _is_tuple_of_names(text: str) -> bool:
    row = structure.row(text)
    return row is not None and all(map(_is_name, row.members))


def as_rows(text: str, other: str) -> str:
    """ "p=5, q=2; p=7, q=2" and "p=5, q=2 or p=7, q=2" as tuples, and "x=1, y=2" as one where `other` is a tuple."""
    choices = [part for part in reals.OR.split(text) if part.strip()]
    groups = [_pieces(part) for choice in choices for part in structure.split(choice, ";")]
    if len(groups) > 1 and all(len(group) > 1 for group in groups):
        return ", ".join(map(_row, groups))
    alone = _pieces(text) if len(choices) == 1 else []
    tuple_of_other = structure.row(named(other).value)
    if len(alone) > 1 and tuple_of_other and len(tuple_of_other.members) == len(alone):
        return _row(alone)
    return text


def out_of_order(names: Iterable[str], *, asked: bool = False) -> bool:
    """Whether names come in another order than that of the alphabet and of their indices: who is asked for x and y and says
    "y = 1, x = 2" does not mean (1, 2). A ground truth (`asked`) may name its values in the order of the question: only
    letters that are neighbours in the alphabet are expected in theirs."""
    names = list(names)
    ranks = list(map(_rank, names))
    if asked and all(re.fullmatch("[A-Za-z]", name) for name in names):
        return ranks != sorted(ranks) and ord(max(names)) - ord(min(names)) <= len(names)
    return ranks != sorted(ranks)


def _rank(name: str) -> list[tuple[int, int, str]]:
    """What names are sorted by, sign by sign: primes, numbers, Latin letters, Greek ones."""
    return [_rank_of_sign(sign) for sign in _SIGNS.findall(name)]


def _rank_of_sign(sign: str) -> tuple[int, int, str]:
    if sign[0] == "'" or sign.isdigit():
        return (0, len(sign), "") if sign[0] == "'" else (1, int(sign), "")
    greek = sign.removeprefix("\\").lower().removeprefix("var")
    return (3, _GREEK.index(greek), sign) if sign[0] == "\\" and greek in _GREEK else (2, 0, f"{sign.lower()} {sign}")


def _row(pieces: list[Named]) -> str:
    return f"({','.join(piece.sides[0] for piece in pieces)}) = ({', '.join(piece.value for piece in pieces)})"


def _pieces(text: str) -> list[Named]:
    """The equations of "x=1, y=2"; none unless all have names, all different."""
    found = [named(part) for part in structure.elements(text)]
    names = {piece.name for piece in found}
    return found if "" not in names and len(names) == len(found) else []

r"""What is only the range of a symbol in an answer?

"k\pi, k \in \mathbb{Z}" and "n\pi \text{ where } n \text{ is an integer}" state the same numbers, and so does a bare "k\pi"
beside one of them. The range is taken off here, and the symbol of both is given one name; texts in and texts out.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rstar_math.grading import reals, structure
from rstar_math.grading.characters import replaced
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.naming import named

_TEXT = re.compile(r"\\text\{([^{}]*)\}")
#: { n\\pi : n \\in Z } states what "n\\pi, n \\in Z" does.
_BUILT = re.compile(r"\\\{\s*(.+?)\s*(?::|\||\\mid(?![a-z]))\s*([a-z]\s*\\in.*?)\s*\\\}", re.DOTALL)
_FOR = r"[\s,;(]*(?:(?:where|for|with)\s+)?(?:(?:all|any|every|each|some)\s+)?"
_RANGES = (
    re.compile(
        rf"(.*?[^\s,;(]){_FOR}(?<![A-Za-z\\])([a-z])\s*(?:\\in\s*\\mathbb\s*\{{?\s*Z\s*\}}?|(?:is\s+)?an\s+integer)[\s)]*",
        re.DOTALL,
    ),
    re.compile(rf"(.*?[^\s,;(]){_FOR}(?:an\s+)?integers?\s+([a-z])[\s)]*", re.DOTALL),
)


#: Letters that stand for whole numbers unless something else is said.
_INDICES = frozenset("jklmn")


class Family(NamedTuple):
    """What is stated for every integer, the symbol that stands for it, and whether it is a set's condition."""

    value: str
    symbol: str
    built: bool = False

    def about_the_symbol(self) -> bool:
        """Whether the range is part of what is stated: of sets, of inequalities and curves of the symbol itself. `n\\pi` and
        `x = n\\pi` state the same numbers without it."""
        if self.built:
            return True
        if reals.relational(self.value):
            alone = {
                side for side in map(str.strip, reals.sides(self.value)) if re.fullmatch(r"[A-Za-z]|\\[a-z]+", side)
            }
            return self.symbol not in _INDICES or self.symbol in alone or not alone
        unnamed = len(structure.equation(self.value)) > 1 and not named(self.value).name
        return unnamed or ("=" in self.value and self.symbol not in _INDICES)


def settled(said: str, meant: str) -> tuple[str, str, bool]:
    """Both without the range of a symbol, under one name, and whether there was one.

    Raises:
        Unreadable: the range is on one side only, and part of what is stated there.
    """
    families = _family(said), _family(meant)
    if families[0] and families[1]:
        return _renamed(families[0].value, families[0].symbol, families[1].symbol), families[1].value, True
    family, other = families[0] or families[1], meant if families[0] else said
    index = _index_of(other, family) if family else ""
    if family is None or not index:
        return said, meant, False
    if family.about_the_symbol():
        raise Unreadable("a range of integers on one side only")
    value = _renamed(family.value, family.symbol, index)
    return (value, meant, True) if families[0] else (said, value, True)


def _index_of(text: str, family: Family) -> str:
    """What a text that states no range calls the family's symbol: the same, or the one letter for whole numbers that the
    family has not; "" for nothing."""
    if _mentions(text, family.symbol):
        return family.symbol
    own = [letter for letter in sorted(_INDICES) if _mentions(text, letter) and not _mentions(family.value, letter)]
    return own[0] if len(own) == 1 and family.symbol in _INDICES and not family.about_the_symbol() else ""


def _family(text: str) -> Family | None:
    plain = replaced(_TEXT, r" \1 ", text).strip()
    built = _BUILT.fullmatch(plain)
    if built:
        plain = f"{built[1]}, {built[2]}"
    found = next(filter(None, (pattern.fullmatch(plain) for pattern in _RANGES)), None)
    return Family(found[1], found[2], bool(built)) if found and _mentions(found[1], found[2]) else None


def _renamed(value: str, symbol: str, new: str) -> str:
    if symbol == new or _mentions(value, new):
        return value
    return _symbol(symbol).sub(new, value)


def _mentions(text: str, symbol: str) -> bool:
    return _symbol(symbol).search(text) is not None


def _symbol(symbol: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z\\]){symbol}(?![A-Za-z])")

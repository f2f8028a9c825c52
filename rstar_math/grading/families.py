r"""What is only the range of a symbol in an answer?

"k\pi, k \in \mathbb{Z}" and "n\pi \text{ where } n \text{ is an integer}" state the same numbers, and so does a bare "k\pi"
beside one of them. The range is taken off here, and the symbol of both is given one name; texts in and texts out.
"""

from __future__ import annotations

import re
from typing import NamedTuple

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


class Family(NamedTuple):
    """What is stated for every integer, and the symbol that stands for it."""

    value: str
    symbol: str


def settled(said: str, meant: str) -> tuple[str, str, bool]:
    """Both without the range of a symbol, under one name, and whether there was one."""
    families = _family(said), _family(meant)
    if families[0] and families[1]:
        return _renamed(*families[0], families[1].symbol), families[1].value, True
    if families[1] and _mentions(said, families[1].symbol):
        return said, families[1].value, True
    if families[0] and _mentions(meant, families[0].symbol):
        return families[0].value, meant, True
    return said, meant, False


def _family(text: str) -> Family | None:
    plain = _TEXT.sub(r" \1 ", text).strip()
    if built := _BUILT.fullmatch(plain):
        plain = f"{built[1]}, {built[2]}"
    found = next(filter(None, (pattern.fullmatch(plain) for pattern in _RANGES)), None)
    return Family(found[1], found[2]) if found and _mentions(found[1], found[2]) else None


def _renamed(value: str, symbol: str, new: str) -> str:
    if symbol == new or _mentions(value, new):
        return value
    return _symbol(symbol).sub(new, value)


def _mentions(text: str, symbol: str) -> bool:
    return _symbol(symbol).search(text) is not None


def _symbol(symbol: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z\\]){symbol}(?![A-Za-z])")

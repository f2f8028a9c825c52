r"""answer text -> its signs, level by level

For the second look at how answers are put together (`outline`, `ends`): straight at the LaTeX, in one pass in which every
bracket opens a level. It shares no rule with `surface` and `structure`, but for `characters`, which makes ≤ a \leq.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from typing import NamedTuple

from rstar_math.grading import characters

#: What shows nothing; words are looked at like all else.
_UNSEEN = (
    (re.compile(r"\\\\(?=[A-Za-z{}%$])"), r"\\"),
    (re.compile(r"\\(?:text\w*|math(?:rm|bf|it|sf)|mbox|hbox|operatorname)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\(?:left|right|middle|[bB]igg?[lrm]?)(?![a-z])\.?|(?<!\\)\\[,:;> ()\[\]]|[$~*]"), " "),
    (re.compile(r"\\!\s*"), ""),
    (re.compile(r"^\s*\+\s?/?\s?-"), r"\\pm "),
    (re.compile(r"(?:-|\\(?=\\\{)|\\backslash(?![a-z]))\s*(?=\\\{)"), r"\\setminus "),
    (re.compile(r"\{\s*,\s*\}"), ","),
    (re.compile(r"^\W*(?i:(?:the )?(?:final |correct )?answer(?:\s*:| is\b\s*:?))"), ""),
)
#: Equations below each other.
_STACKED = re.compile(r"^\W*\\begin\{(?:cases|aligned|array\}\{[lcr]+)\}([^&]*=[^&]*(?:&=[^&]*)*)\\end\{\w+\}\s*$")
_SIGN = re.compile(
    r"(?P<open>\\\{|\\lbrace(?![a-z])|\\langle(?![a-z])|[(\[{])|(?P<close>\\\}|\\rbrace(?![a-z])|\\rangle(?![a-z])|[)\]}])"
    r"|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])|<=|>=|!=|\\[A-Za-z]+|\\\\|\d+(?:\.\d+)?|\S"
)
_OPENING = {"\\lbrace": "\\{", "\\langle": "("}
_CLOSING = {"\\rbrace": "\\}", "\\rangle": ")"}
EITHER = frozenset(["or", "\\lor", "\\vee", "\\cup"])
ALL = frozenset(["and", "\\land", "\\wedge", "\\cap"])
COMMAS = frozenset([",", ";", "\\quad", "\\qquad"])
_JOINS = EITHER | ALL | COMMAS
_BOTH_SIGNS = frozenset(["\\pm", "\\mp"])
#: What a symbol in an answer stands for.
_RANGE = re.compile(r"\\in\\mathbb\{?Z|integers?$|integers?[a-z]$")


class Group(NamedTuple):
    """Brackets and what stands between them."""

    opening: str
    items: tuple[str | Group, ...]
    closing: str


Items = Sequence[str | Group]


def shown(text: str) -> str:
    """What is seen of a text."""
    text = characters.plain(text)
    for pattern, replacement in _UNSEEN[1 if "\\begin" in text else 0 :]:
        text = characters.replaced(pattern, replacement, text)
    return _STACKED.sub(_rows_of, text).rstrip(". ")


def _rows_of(found: re.Match[str]) -> str:
    return found[0] if "&" in found[1].replace("&=", "=") else found[1].replace("&=", "=").replace("\\\\", ",")


def tree(text: str) -> Items:
    """The signs of a text, with a group for all that brackets hold; a bracket without its other is a sign."""
    levels: list[tuple[str, list[str | Group]]] = [("", [])]
    for sign in _SIGN.finditer(text):
        if sign["open"]:
            levels.append((_OPENING.get(sign[0], sign[0]), []))
        elif sign["close"] and len(levels) > 1:
            opening, items = levels.pop()
            levels[-1][1].append(Group(opening, tuple(items), _CLOSING.get(sign[0], sign[0])))
        else:
            levels[-1][1].append(sign[0])
    while len(levels) > 1:
        opening, items = levels.pop()
        levels[-1][1].extend([opening, *items])
    return levels[0][1]


def spelt(items: Items) -> str:
    """The signs in a row."""
    return "".join(item if isinstance(item, str) else item.opening + spelt(item.items) + item.closing for item in items)


def cut(items: Items, signs: Container[object]) -> list[Items]:
    """What stands between some signs of this level; nothing is left out."""
    parts: list[list[str | Group]] = [[]]
    for item in items:
        if item in signs:
            parts.append([])
        else:
            parts[-1].append(item)
    return list(parts)


def parts(items: Items, joins: Container[object] = _JOINS) -> list[Items]:
    """The parts of an answer, without the range of a symbol in it."""
    found = [part for part in cut(items, joins) if part]
    return [part for part in found if not _RANGE.search(spelt(part))] or found


def holds(items: Items, signs: Container[str]) -> bool:
    """Whether one of some signs stands on any level."""
    return any(item in signs if isinstance(item, str) else holds(item.items, signs) for item in items)


def signed(items: Items) -> list[Items]:
    r"""Both that a part with `\pm` stands for."""
    return [_with(items, sign) for sign in "+-"] if holds(items, _BOTH_SIGNS) else [items]


def _with(items: Items, sign: str) -> Items:
    return [
        (sign if item in _BOTH_SIGNS else item)
        if isinstance(item, str)
        else item._replace(items=tuple(_with(item.items, sign)))
        for item in items
    ]

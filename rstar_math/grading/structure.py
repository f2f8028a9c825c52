r"""answer text -> lists, rows and equations of formulas

Splits a cleaned answer at its top level, where a computer algebra's own reading is not safe: "(1,2)" would be an interval
and "(2,1)" a pair. It evaluates nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from rstar_math.grading.characters import replaced
from rstar_math.grading.failures import Unreadable

_OPEN, _CLOSE = "([{", ")]}"
_AND_OR = re.compile(
    r"\s*[,;]?\s*(?:\\text\{\s*,?\s*(?:and|or)\s*\}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])|\\(?:lor|vee)(?![a-z]))\s*[,;]?\s*"
)
#: Whether there is anything to part at all.
_SEPARATED = re.compile("[,;]|and|or|vee")
#: "and" inside a longer piece of text: `\text{ cm and }`.
_INNER_AND_OR = re.compile(r"\\text\{\s*([^{}]*?\w)\s*,?\s+(and|or)\s*\}")
_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?!,?\d)")
#: A comma between digits of one number whatever else is read: no number begins with a nought and another digit.
_BEFORE_NOUGHT = re.compile(r"(?<=\d),(?=0\d)")
#: One number with a decimal comma, or two.
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
#: One comparison asks the same of the same few texts again and again; so many answers are kept.
SEEN = 1024


class Row(NamedTuple):
    """A tuple or an interval: its brackets and its members."""

    opening: str
    members: tuple[str, ...]
    closing: str


@lru_cache(maxsize=SEEN)
def split(text: str, separators: str, *, grouping: bool = True) -> tuple[str, ...]:
    """`text` cut at the separators outside all brackets; commas that group thousands do not count with `grouping`,
    and those of 1,000 and 0,05 never do."""
    if not any(separator in text for separator in separators):
        return (text.strip(),)
    patterns = (_THOUSANDS, _BEFORE_NOUGHT) if grouping else (_BEFORE_NOUGHT,)
    grouped = {at for pattern in patterns for found in pattern.finditer(text) for at in range(*found.span())}
    parts, depth, start = [], 0, 0
    for sign in re.finditer(rf"\\.|[()\[\]{{}}{separators}]", text, re.DOTALL):
        last = sign[0][-1]
        if len(sign[0]) == 1 or last in "{}":  # \{ is a bracket, \( and \, are none
            depth += (last in _OPEN) - (last in _CLOSE)
        if sign[0] in separators and depth <= 0 and sign.start() not in grouped:
            parts.append(text[start : sign.start()])
            start = sign.end()
    parts.append(text[start:])
    return tuple(part.strip() for part in parts)


def parted(text: str, command: str) -> list[str]:
    """`text` cut at a command outside all brackets."""
    depth, start, parts = 0, 0, []
    for found in re.finditer(rf"[(\[{{]|[)\]}}]|\{command}(?![a-z])", text):
        if found[0] == command:
            if depth == 0:
                parts.append(text[start : found.start()])
                start = found.end()
        else:
            depth += 1 if found[0] in "([{" else -1
    return [*parts, text[start:]]


def outside(text: str) -> str:
    """`text` without its brackets and what stands in them."""
    kept, depth = [], 0
    for character in text:
        depth += character in _OPEN
        kept.append("" if depth else character)
        depth -= character in _CLOSE
    return "".join(kept)


def both_signs(text: str) -> list[str]:
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


def balanced(text: str) -> bool:
    """Whether brackets pair up; a round one may pair with a square one, as in an interval."""
    open_brackets: list[str] = []
    for character in text:
        if character in _OPEN:
            open_brackets.append(character)
        elif character in _CLOSE and (not open_brackets or (open_brackets.pop() == "{") != (character == "}")):
            return False
    return not open_brackets


@lru_cache(maxsize=SEEN)
def elements(text: str, *, grouping: bool = True) -> tuple[str, ...]:
    """The members of a list that is written with commas, semicolons, "and" or "or"; one member if it is no list.

    Raises:
        Unreadable: a place is empty, or commas may be decimal ones.
    """
    if not _SEPARATED.search(text):
        return (text.strip(),) if text.strip() else ()
    groups = split(text, ";")
    if len(groups) > 1 and any(_DECIMAL_COMMA.fullmatch(group) and len(split(group, ",")) > 1 for group in groups):
        raise Unreadable("commas between semicolons, which may be decimal ones")
    joined = [part for part in split(text, ",;", grouping=grouping) if len(list(filter(None, _AND_OR.split(part)))) > 1]
    if len(joined) > 1 or len({_joiner(found[0]) for part in joined for found in _AND_OR.finditer(part)}) > 1:
        raise Unreadable("lists within a list")
    outer = _AND_OR.sub(";", replaced(_INNER_AND_OR, r"\\text{ \1};", text))
    parts = split(outer, ",;", grouping=grouping or len(groups) > 1)
    if not all(parts[1:-1]):
        raise Unreadable("an empty place in a list")
    return tuple(part for part in parts if part and part != "\\text{ }")


def _joiner(text: str) -> str:
    return "and" if "and" in text else "or"


@lru_cache(maxsize=SEEN)
def brackets(text: str) -> tuple[str, str, str] | None:
    """Opening bracket, inside and closing bracket of a text that is bracketed as a whole; None if it is not."""
    text = text.strip()
    start = 1 if text.startswith("\\{") else 0
    end = len(text) - (2 if text.endswith("\\}") else 1)
    if end <= start or text[start] not in _OPEN or text[-1] not in _CLOSE:
        return None
    if (text[start] == "{") != (text[-1] == "}"):
        return None
    depth = 0
    for position in range(start, len(text) - 1):
        depth += (text[position] in _OPEN) - (text[position] in _CLOSE)
        if depth <= 0:
            return None
    return text[: start + 1], text[start + 1 : end].strip(), text[end:]


@lru_cache(maxsize=SEEN)
def row(text: str, *, grouping: bool = True) -> Row | None:
    """A tuple or an interval: round or square brackets around at least two members. (12,102) is one.

    Raises:
        Unreadable: commas and semicolons part its members, one of which may be decimal.
    """
    opened = brackets(text)
    if opened is None or opened[0] not in ("(", "["):
        return None
    groups = split(opened[1], ";")
    if len(groups) > 1 and any(len(split(group, ",")) > 1 for group in groups):
        raise Unreadable("commas and semicolons in one tuple")
    members = split(opened[1], ",;", grouping=grouping)
    if len(members) == 1:
        members = split(opened[1], ",;", grouping=False)
    return Row(opened[0], members, opened[2]) if len(members) > 1 else None


def unwrapped(text: str) -> str:
    """`text` without brackets that only hold it together: (5), [5], {5}."""
    while (
        (opened := brackets(text))
        and opened[0] in ("(", "[", "{", "\\{")
        and len(split(opened[1], ",;", grouping=False)) == 1
    ):
        if not opened[1]:
            break
        text = opened[1]
    return text


@lru_cache(maxsize=SEEN)
def equation(text: str) -> tuple[str, ...]:
    """The sides of an equation; one if it is none."""
    if "=" not in text:
        return (text.strip(),)
    depth, start, sides = 0, 0, []
    for position, character in enumerate(text):
        depth += (character in _OPEN) - (character in _CLOSE)
        if character == "=" and depth == 0 and text[position - 1 : position] not in ("<", ">", "!"):
            sides.append(text[start:position].strip())
            start = position + 1
    return (*sides, text[start:].strip())

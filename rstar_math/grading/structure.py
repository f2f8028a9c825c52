"""answer text -> lists, tuples, intervals, equations and their atoms

Splits a cleaned answer at its top level, where the computer algebra's own reading is not safe: "(1,2)" would be an
interval and "(2,1)" a pair, "2x^2h" would lose its h as a unit, "5 3" would be 8. It evaluates nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rstar_math.grading import surface

_OPEN, _CLOSE = "([{", ")]}"
_AND_OR = re.compile(
    r"\s*,?\s*(?:\\text\{\s*(?:and|or)\s*\}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])|\\(?:lor|vee)(?![a-z]))\s*"
)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!,?\d)")
_PERCENT = re.compile(r"\s*(?:\\?%|\\text\{\s*(?:percent(?:age)?|pct)\s*\}|\b(?:percent(?:age)?|pct)\b)\s*$")
_DEGREES = re.compile(r"\s*(?:\^\s*(?:\\circ|\{\s*\\circ\s*\}))\s*$")
_PLAIN_UNIT = re.compile(
    r"(?<=[\d})\s])\s*([A-Za-z]{2,}(?:[ /][A-Za-z]+){0,2}|(?<=\d )[mgsh])(?:\s*\^\s*\{?\s*([23])\s*\}?)?$"
)
_TEXT_UNIT = re.compile(
    r"\s*\\text\{\s*([A-Za-z]+(?:[\s./-]+[A-Za-z]+){0,3})\.?\s*\}"
    r"(?:\s*/\s*\\text\{\s*([A-Za-z]+)\s*\})?(?:\s*\^\s*\{?\s*([23])\s*\}?)?$"
)
#: Words after a number that say how much of it there is, or on what condition, so they are no mere units.
_NOT_UNITS = re.compile(
    r"dozen|hundred|thousand|[mbtr]+illion|or|and|if|for|when|where|not?|otherwise|unless|maybe|is|to|mod|pi|sin|cos|tan"
    r"|log|ln|exp|half|quarter|halves|infinity|each|least|most|more|less|fewer|than|about|approximately|plus|minus|times"
    r"|over|squared|cubed|factorial|point|only"
)
#: Units that may follow a bare number without markup; letters that could be symbols are left out.
_MEASURES = {
    **dict.fromkeys(("cm", "centimeter", "centimetre"), "cm"),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), "mm"),
    **dict.fromkeys(("km", "kilometer", "kilometre"), "km"),
    **dict.fromkeys(("meter", "metre", "m"), "m"),
    **dict.fromkeys(("ft", "feet", "foot"), "ft"),
    **dict.fromkeys(("inch", "inches", "in"), "in"),
    **dict.fromkeys(("kg", "kilogram"), "kg"),
    **dict.fromkeys(("gram", "g"), "g"),
    **dict.fromkeys(("pound", "lb"), "lb"),
    **dict.fromkeys(("hour", "hr", "h"), "hour"),
    **dict.fromkeys(("minute", "min"), "minute"),
    **dict.fromkeys(("second", "sec", "s"), "second"),
    **dict.fromkeys(("dollar", "usd"), "dollar"),
    **dict.fromkeys(("degree",), "degree"),
    **dict.fromkeys(("unit", "mile", "mph", "yard", "day", "week", "month", "year", "cent", "way"), ""),
}


class Item(NamedTuple):
    """One part of an answer: its text, and whether it was a percentage; `unit` is "" unless one was stated."""

    text: str
    percent: bool = False
    unit: str = ""


def split(text: str, separators: str) -> list[str]:
    """`text` cut at the separators outside all brackets; commas that group thousands do not count."""
    grouping = {position for found in _THOUSANDS.finditer(text) for position in range(*found.span())}
    parts, depth, start, escaped = [], 0, 0, False
    for position, character in enumerate(text):
        if not escaped or character in "{}":
            depth += (character in _OPEN) - (character in _CLOSE)
        if character in separators and depth <= 0 and position not in grouping and not escaped:
            parts.append(text[start:position])
            start = position + 1
        escaped = character == "\\" and not escaped
    parts.append(text[start:])
    return [part.strip() for part in parts]


def elements(text: str) -> list[str]:
    """The members of a list that is written with commas, semicolons, "and" or "or"; one member if it is no list."""
    outer = _AND_OR.sub(";", text)
    return [part for part in split(outer, ",;") if part]


def brackets(text: str) -> tuple[str, str, str] | None:
    """Opening bracket, inside and closing bracket of a text that is bracketed as a whole; None if it is not."""
    text = text.replace("\\lbrace", "\\{").replace("\\rbrace", "\\}").strip()
    start = 1 if text.startswith("\\{") else 0
    end = len(text) - (2 if text.endswith("\\}") else 1)
    if end <= start or text[start] not in _OPEN or text[-1] not in _CLOSE:
        return None
    if ("{" if start else text[0]) == "{" and text[-1] != "}":
        return None
    depth = 0
    for position in range(start, len(text) - 1):
        depth += (text[position] in _OPEN) - (text[position] in _CLOSE)
        if depth <= 0:
            return None
    return text[: start + 1], text[start + 1 : end].strip(), text[end:]


def equation(text: str) -> list[str]:
    """The sides of an equation; one if it is none."""
    depth, start, sides = 0, 0, []
    for position, character in enumerate(text):
        depth += (character in _OPEN) - (character in _CLOSE)
        if character == "=" and depth == 0 and text[position - 1 : position] not in ("<", ">", "!"):
            sides.append(text[start:position].strip())
            start = position + 1
    return [*sides, text[start:].strip()]


def item(text: str) -> Item:
    """A member of an answer without its percent sign, degree sign or unit."""
    text = text.strip()
    if found := _PERCENT.search(text):
        return Item(text[: found.start()], percent=True)
    if (found := _DEGREES.search(text)) and not re.search(r"\\(?:sin|cos|tan|cot)", text):
        return Item(text[: found.start()], unit="degree")
    if (found := _TEXT_UNIT.search(text)) and found.start() > 0:
        spoken = re.findall("[a-z]+", f"{found[1]} {found[2] or ''}".lower())
        if not any(map(_NOT_UNITS.fullmatch, spoken)):
            return Item(text[: found.start()], unit=_measure(spoken, found[3]))
    if (found := _PLAIN_UNIT.search(text)) and found.start() > 0:
        spoken = re.findall("[a-z]+", found[1].lower())
        counted = surface.number(text[: found.start()]) is not None and text[found.start()] == " "
        known = all(_singular(word) in _MEASURES or (counted and len(word) > 3) or word == "per" for word in spoken)
        if known and not any(map(_NOT_UNITS.fullmatch, spoken)):
            return Item(text[: found.start()], unit=_measure(spoken, found[2]))
    return Item(text)


def _singular(word: str) -> str:
    return word if word in _MEASURES or not word.endswith("s") else word[:-1]


def _measure(spoken: list[str], power: str | None) -> str:
    """One spelling for the units that have several; "" for units that nobody would confuse."""
    powers = {"square": "2", "sq": "2", "cubic": "3", "cu": "3"}
    power = power or next((powers[word] for word in spoken if word in powers), "")
    names = [_MEASURES.get(_singular(word), "") for word in spoken if word not in (*powers, "per")]
    return " ".join(names) + power if all(names) else ""

r"""Is this too much to compute?

Looked at before anything is parsed (`READING`) and before anything reaches a computer algebra (`ALGEBRA`); each line names
what it stops and why. What they stop is unreadable at once, so that no process has to be killed for it. They judge the text
alone: numbers too large to compute with are refused where they are computed (`values`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from rstar_math.grading import notations
from rstar_math.grading.failures import Unreadable


class Guard(NamedTuple):
    """What is too much, and the reason that the grade gives."""

    exceeds: Callable[[str], bool]
    reason: str


def _depth(text: str) -> int:
    """How deep brackets are nested."""
    deepest = depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _tower(text: str) -> int:
    """How many powers stand on each other: 1 in x^2 + y^2, 3 in x^{y^{z^2}} and x^y^z^2."""
    highest, heights, height = 0, [0], 0
    for character in re.sub(r"\s+|\\(?:circ|left|right)", "", text):
        if character == "^":
            height += 1
        elif character in "([{":
            heights.append(height)
        elif character in ")]}":
            height = heights.pop() if len(heights) > 1 else 0
        elif not (character.isalnum() or character in "\\."):
            height = heights[-1]
        highest = max(highest, height)
    return highest


#: The longest final answers known take 300 characters; a parser's time grows faster than the text.
_LONGEST = 1_500
_LONGEST_FORMULA = 400

READING = (
    Guard(lambda text: len(text) > _LONGEST, f"longer than {_LONGEST} characters"),
    Guard(lambda text: _depth(text) > 30, "brackets nested more than 30 deep"),
    Guard(lambda text: bool(re.search(r"(?:[-+]\s*){8}", text)), "a row of signs"),
    Guard(lambda text: bool(re.search(rf"\d{{{notations.DIGITS + 1}}}", text)), "a run of too many digits"),
)
ALGEBRA = (
    Guard(lambda text: len(text) > _LONGEST_FORMULA, f"a formula longer than {_LONGEST_FORMULA} characters"),
    Guard(lambda text: _depth(text) > 12, "a formula nested more than 12 deep"),
    Guard(lambda text: _tower(text) > 3, "a tower of powers"),
    Guard(lambda text: bool(re.search(r"\^\s*\{?\s*-?\s*\d{5}", text)), "an exponent of 5 digits"),
    Guard(lambda text: bool(re.search(r"\d[\d.]*\s*\^\s*\{?\s*\d+\s*\^", text)), "a power of a power of numbers"),
    Guard(lambda text: bool(re.search(r"\^\s*\{?\s*-?\d+\s*\^", text)), "a number's power as an exponent"),
    Guard(lambda text: bool(re.search(r"\d{5,}\s*!|!\s*[)}\]]*\s*!", text)), "a factorial of much, or of a factorial"),
    Guard(lambda text: text.count("\\sqrt") > 12, "more than 12 roots"),
    Guard(lambda text: text.count("!") > 8, "more than 8 factorials"),
    Guard(lambda text: bool(re.search(r"\d[eE][+-]?\d{4}", text)), "an exponent of 4 digits in a plain number"),
    Guard(
        lambda text: bool(
            re.search(r"\\(?:sum|prod|int|lim)(?![a-z]).*(?:\d{4}|\d\s*\^\s*\{?\s*\d|\\sum|\\prod|\\int)", text)
        ),
        "a sum, product, integral or limit over much",
    ),
)


def check(text: str, guards: tuple[Guard, ...]) -> None:
    """
    Raises:
        Unreadable: it is too much for one of the guards, whose reason the message is.
    """
    for guard in guards:
        if guard.exceeds(text):
            raise Unreadable(guard.reason)

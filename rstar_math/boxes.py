r"""reply -> the final answer that it states

The content of the last balanced `\boxed{...}`; boxes that "and", "or" or a comma joins are one list. A text without a box
is the bare text of an answer: no number is ever fished out of a sentence. What the answer says is read elsewhere.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MENTION = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")
#: What opens a box, what only looks like a brace, and braces.
_BRACE = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*\{)|\\.|(?P<open>\{)|(?P<close>\})", re.DOTALL)
#: Between two boxes: markup that shows nothing.
_MARKUP = re.compile(
    r"<br\s*/?>|\\[()\[\];:,! ]|\\q?quad(?![a-z])|\\text(?:bf|rm|it|normal)?\s*\{([^{}]*)\}|[${}*~]|\s+"
)
#: Nothing at all, or the next part's number; what takes the first one back, or sets another beside it; or what stands behind
#: the first box (its unit, a part's name), the joiner, and a name with "=" before the second.
_JOINED = re.compile(
    r"|(?:\(\w{1,3}\)|\w{1,3}[.)])|[:;.,]?\s?(?i:case|option)\s\w{1,2}[:.)]|\||\\cup|"
    r"\.?\s?,?\s?(?i:alternatively|otherwise|or else|(?:but\s)?(?:possibly|maybe|perhaps))\b,?|"
    r"[.,]?\s?(?i:or|and also|but also|as well as|along with|vs|versus|oder)\b[.:]?|"
    r"(?:\w+\b\s?|\(\w+\)\s?){0,4}"
    r"(?:,\s?(?:and|or)?|;|/|&|\\vee|\\lor|\(?\band(?:/or)?\b|\(?\bor\b(?:\s\w+){0,3})\s?"
    r"(?:\\?[A-Za-z]+(?:_?\w+)?\s?=)?"
)
#: Items below each other.
_BULLET = re.compile(r"[\s$.;,]*\n\s*(?:[-*•])\s+\$?")
#: What takes back the box that follows: it is struck out or hidden, or what the answer is not.
_TAKEN_BACK = re.compile(
    r"(?:(?:^|\s)~~|\\(?:[bx]?cancel|sout|st|[hv]?phantom)\s*\{\s*|[,;]\s*(?:and |but )?not[\s$({]*|"
    r"\b(?:rather than|instead of)[\s$({]*)\Z"
)
#: Longer texts between two boxes are sentences.
_LONGEST_JOINER = 200


class _Box(NamedTuple):
    """Where a box begins, where its content does, and where it ends."""

    start: int
    inside: int
    end: int


def stated(reply: str) -> str | None:
    """The answer that `reply` states; None if it is empty, or a box is empty, or none is ever closed."""
    return boxed(reply) if _MENTION.search(reply) else reply.strip() or None


def boxed(reply: str) -> str | None:
    """What the boxes of `reply` state, joined ones as a list; None if none is closed and stands, or one is empty."""
    boxes = [
        box for box in _boxes(reply) if not _TAKEN_BACK.search(reply[max(0, box.start - _LONGEST_JOINER) : box.start])
    ]
    if not boxes:
        return None
    outermost = [0]
    for place, box in enumerate(boxes):
        if box.start >= boxes[outermost[-1]].end:
            outermost.append(place)
    joined = [outermost.pop()]
    while outermost and _joins(reply[boxes[outermost[-1]].end : boxes[joined[-1]].start]):
        joined.append(outermost.pop())
    contents = list(dict.fromkeys(_content(reply, boxes, place) for place in reversed(joined)))
    if not all(contents):
        return None
    return "; ".join(contents)


def _boxes(reply: str) -> list[_Box]:
    """All boxes that are closed, in the order of their beginnings; in one pass, for a reply may open thousands."""
    opened: list[tuple[int, int, bool]] = []
    found = []
    for brace in _BRACE.finditer(reply):
        if brace["box"] or brace["open"]:
            opened.append((brace.start(), brace.end(), bool(brace["box"])))
        elif brace["close"] and opened:
            start, inside, is_box = opened.pop()
            if is_box:
                found.append(_Box(start, inside, brace.end()))
    return sorted(found)


def _content(reply: str, boxes: list[_Box], place: int) -> str:
    """What a box shows; a box that holds nothing but a box shows the same."""
    shown = boxes[place]
    while (place := place + 1) < len(boxes) and boxes[place].start < shown.end:
        inner = boxes[place]
        if reply[shown.inside : inner.start].strip() or reply[inner.end : shown.end - 1].strip():
            break
        shown = inner
    return reply[shown.inside : shown.end - 1].strip()


def _joins(between: str) -> bool:
    if len(between) > _LONGEST_JOINER:
        return False
    if _BULLET.fullmatch(between):
        return True
    shown = _MARKUP.sub(lambda found: f" {found[1] or ''} ", between)
    return bool(_JOINED.fullmatch(" ".join(shown.split())))

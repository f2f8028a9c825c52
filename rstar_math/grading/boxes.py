r"""reply -> the final answer that it states

The content of the last balanced `\boxed{...}`; boxes that "and", "or" or a comma joins are one list. A text without a box
is the bare text of an answer: no number is ever fished out of a sentence. What the answer says is read elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_MENTION = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")
#: Between two boxes: markup that shows nothing.
_MARKUP = re.compile(r"\\[()\[\];:,! ]|\\q?quad(?![a-z])|\\text(?:bf|rm|it|normal)?\s*\{([^{}]*)\}|[${}*~]|\s+")
#: What stands behind the first box (its unit, a part's name), the joiner, and a name with "=" before the second.
_JOINED = re.compile(
    r"(?:\w+\s?|\(\w+\)\s?){0,4}(?:,\s?(?:and|or)?|\band\b|\bor\b(?:\s\w+){0,3})\s?(?:\\?[A-Za-z]+(?:_?\w+)?\s?=)?"
)


class _Box(NamedTuple):
    start: int
    end: int
    content: str


def stated(reply: str) -> str | None:
    """The answer that `reply` states; None if it is empty, or a box is empty or never closed."""
    if not _MENTION.search(reply):
        return reply.strip() or None
    boxes = list(_boxes(reply))
    if not boxes:
        return None
    joined = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        if not _joins(reply[box.end : joined[0].start]):
            break
        joined.insert(0, box)
    contents = list(dict.fromkeys(box.content.strip() for box in joined))
    if not all(contents):
        return None
    return "; ".join(contents)


def _boxes(reply: str) -> Iterator[_Box]:
    """The balanced boxes that stand in no other box, in their order."""
    position = 0
    while found := _BOX.search(reply, position):
        end = _closing(reply, found.end())
        if end is None:
            position = found.end()
            continue
        yield _Box(found.start(), end, _opened(reply[found.end() : end - 1]))
        position = end


def _closing(text: str, start: int) -> int | None:
    """Where the group ends that was opened right before `start`; None if it never does."""
    depth = 1
    for position in range(start, len(text)):
        if text[position] in "{}" and text[position - 1] != "\\":
            depth += 1 if text[position] == "{" else -1
            if depth == 0:
                return position + 1
    return None


def _opened(content: str) -> str:
    """A box inside a box shows the same."""
    inner = list(_boxes(content))
    return inner[0].content if len(inner) == 1 and inner[0] == (0, len(content), inner[0].content) else content


def _joins(between: str) -> bool:
    shown = _MARKUP.sub(lambda found: f" {found[1] or ''} ", between)
    return bool(_JOINED.fullmatch(" ".join(shown.split())))

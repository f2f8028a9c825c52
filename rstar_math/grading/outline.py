r"""answer text -> its outline: how many parts, in what order, in which brackets, with which signs?

The second look at how an answer that was found right is put together. It shares no rule with `structure`, `naming`, `listing`
and `reals`, whose witness it is, and values nothing: sets of reals are told apart by their ends (`ends`), lists, sets, rows
and matrices by the number of their parts, their brackets, and the texts of their parts where only these parts' order differs.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import product
from typing import NamedTuple

from rstar_math.grading import ends
from rstar_math.grading.characters import replaced
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.levels import EITHER, Group, Items, cut, holds, parts, shown, signed, spelt, tree

#: Whether there is anything to look at.
_STRUCTURED = re.compile(
    r"[,;<>&]|\\(?:[lg]e|[lg]t|n?eq?|lbrace|cup|cap|setminus|pm|mp|q?quad)|\\\{|\b(?:and|or)\b|[^\x00-\x7f]"
)
_THOUSANDS = re.compile(r"(?<!\d)(\d{1,3}),(?=\d{3}(?!\d))")
_ROW_ENDS = frozenset(["\\\\", "\\cr", "\\"])
_NAME = re.compile(r"(?:[A-Za-z]|\\[a-z]+)(?:_.+)?(?:\([a-z]\))?")


class Outline(NamedTuple):
    """A row (its brackets tell intervals apart), a list, a set, a list of names with values, a matrix, or one formula."""

    kind: str
    looks: str = ""
    parts: tuple[Outline, ...] = ()

    def frame(self, *, ordered: bool = True, filled: bool = False) -> Outline:
        """The outline without what its formulas say, unless they are to stay `filled`; lists sorted, and rows too unless
        they are `ordered`."""
        parts = [part.frame(ordered=ordered, filled=filled) for part in self.parts]
        if not (ordered and self.kind == "row"):
            parts.sort()
        kind = "list" if self.kind in ("set", "names") else self.kind
        return Outline(kind, "" if kind == "formula" and not filled else self.looks, tuple(parts))

    def members(self) -> tuple[Outline, ...]:
        """The members of a list or set; of all else it is the only one."""
        return self.parts if self.kind in ("list", "set", "names") else (self,)


def check(said: str, meant: str) -> None:
    """
    Raises:
        Unreadable: two answers that were found the same are not put together in the same way.
    """
    if not any(map(_STRUCTURED.search, (said, meant))) or "".join(said.split()) == "".join(meant.split()):
        return
    readings = [dict.fromkeys((text, replaced(_THOUSANDS, r"\1", text))) for text in map(shown, (said, meant))]
    if not any(_agree(one, other) for one, other in product(*readings)):
        raise Unreadable("two ways of looking at its parts disagree")


def _agree(one: str, other: str) -> bool:
    """Whether two answers are put together in the same way, their digits grouped as they stand there, or not."""
    try:
        return _alike(tree(one), tree(other))
    except Unreadable:
        return False


def _alike(said: Items, meant: Items) -> bool:
    if ends.describe(said) or ends.describe(meant):
        return ends.same(said, meant)
    one, other = _outline(said), _outline(meant)
    if {one.kind, other.kind} == {"names", "row"}:
        one, other = (_row("()", each.parts) if each.kind == "names" else each for each in (one, other))
    if one.frame() != other.frame():
        return _solutions(one, other)
    # The same members in another order: where order counts, they are others.
    unordered = [each.frame(ordered=False, filled=True) for each in (one, other)]
    return unordered[0] != unordered[1] or one.frame(filled=True) == other.frame(filled=True)


def _solutions(one: Outline, other: Outline) -> bool:
    """Sets, and lists of rows, are the same however often a member stands there."""
    rows = all(part.kind == "row" for part in one.members() + other.members())
    if not (rows or "set" in (one.kind, other.kind)):
        return False
    distinct = [{part.frame(filled=True) for part in each.members()} for each in (one, other)]
    frames = [Counter(part.frame() for part in members) for members in distinct]
    return frames[0] == frames[1]


def _outline(items: Items, *, signs: bool = True) -> Outline:
    groups = [parts(group) for group in cut(items, {";"} | EITHER)]
    if len(groups) > 1 and all(len(group) > 1 and all("=" in part for part in group) for group in groups):
        rows = [_row("()", tuple(_formula(_value(part)) for part in group)) for group in groups]
        return Outline("list", "", tuple(rows))
    pieces = parts(items)
    members = [member for part in pieces for member in _members(part, signs=signs)]
    if len(members) == 1:
        return members[0]
    named = bool(members) and all("=" in part for part in pieces)
    return Outline("names" if named else "list", "", tuple(members))


def _row(brackets: str, members: tuple[Outline, ...]) -> Outline:
    return Outline("row", brackets if len(members) == 2 else "", members)


def _value(part: Items) -> Items:
    r"""What a name stands for: `x = 5`, `5 = x`, `x \in S`."""
    sides = cut(part, ("=", "\\in"))
    reverse = _NAME.fullmatch(spelt(sides[-1])) and not _NAME.fullmatch(spelt(sides[0]))
    return sides[0] if reverse else sides[-1]


def _members(part: Items, *, signs: bool) -> list[Outline]:
    r"""One member, or both that `\pm` stands for; a set writes its own."""
    value = _value(part)
    is_set = len(value) == 1 and isinstance(value[0], Group) and value[0].opening == "\\{"
    return list(map(_formula, signed(value) if signs and not is_set else [value]))


def _formula(items: Items) -> Outline:
    if "\\begin" in items or (len(items) > 1 and holds(items, ("\\begin",))):
        return Outline("matrix", " and ".join(sorted(_sizes(items))))
    if len(items) == 2 and re.fullmatch("[A-Z]", spelt(items[:1])):
        items = items[1:]  # A(1, 2)
    group = items[0] if len(items) == 1 else ""
    if isinstance(group, str):
        return Outline("formula", spelt(items).removeprefix("+"))
    inner = _outline(group.items, signs=group.opening == "\\{")
    if inner.kind not in ("list", "names") or group.opening == "{":
        return inner
    if group.opening == "\\{":
        return Outline("set", "", inner.parts)
    return _row(group.opening + group.closing, inner.parts)


def _sizes(items: Items) -> set[str]:
    """How large the matrices on any level are; those of a sum are equally large."""
    own = {
        f"{sum(item in _ROW_ENDS for item in matrix[:-1])} ends of rows, {matrix.count('&')} of cells"
        for matrix in cut(items, ("\\end",))[:-1]
    }
    return own.union(*(_sizes(item.items) for item in items if isinstance(item, Group)))

"""trees -> a line of JSON each, kept as they come.

What somebody makes of finished trees: a start that was stopped goes on without those that have their line, and no tree waits
for another. What a line holds, and who makes it, is not known here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rstar_math.lines import line_of, read_lines
from rstar_math.records import Tree
from rstar_math.together import together

Row = Mapping[str, Any]


async def keep_all(
    file: Path,
    trees: Iterable[Tree],
    work: Callable[[Tree], Awaitable[Row]],
    on_kept: Callable[[int], object],
    at_once: int = 64,
) -> dict[str, Row]:
    """Problem's id -> the row that `work` makes of its tree, from the file where it stands there (under `id`).

    Args:
        on_kept: hears of every tree.
        at_once: trees that are worked on at the same time, and that are in memory.
    """
    found: dict[str, Row] = {row["id"]: row for row in read_lines(file)}
    on_kept(len(found))
    left = (tree for tree in trees if tree.problem.id not in found)
    with file.open("a", encoding="utf-8") as lines:

        async def one_after_another() -> None:
            for tree in left:
                row = {"id": tree.problem.id, **await work(tree)}
                lines.write(line_of(row))
                lines.flush()
                found[tree.problem.id] = row
                on_kept(1)

        await together(one_after_another() for _ in range(at_once))
    return found

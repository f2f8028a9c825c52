"""sets of problems -> a folder of trees each, continued where they stopped.

Trees are written in parts as they finish, so a kill loses the last unwritten part at most, and nothing is grown twice. How a
tree grows stands in `search`, who grows it in `fleet`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from rstar_math.cluster.fleet import Fleet, Models, Poisoned
from rstar_math.config import SearchConfig
from rstar_math.records import Problem, Tree
from rstar_math.search.storage import read_trees, write_trees

#: The list of problems that killed their workers, in the folder of their set's trees.
POISONED = "poisoned.jsonl"


@dataclass(frozen=True, slots=True)
class Order:
    """What to grow with. Without `graded` the ground truth stays out of the search (test time)."""

    models: Models
    plan: SearchConfig
    seed: int
    graded: bool


def grown_problems(folder: Path) -> Iterator[list[Tree]]:
    """The trees in `folder`, problem by problem; those of one problem stand next to each other."""
    for _, trees in groupby(read_trees(folder), key=lambda tree: tree.problem.id):
        yield list(trees)


async def grow_into(
    sets: Mapping[Path, Sequence[Problem]], fleet: Fleet, order: Order, on_grown: Callable[[list[Tree], bool], None]
) -> None:
    """Grows every problem that has no tree in its set's folder yet; no set waits for another's slowest problem.

    A problem's id stands in one set only. One that killed its workers has no tree; its set's `poisoned.jsonl` lists it, and
    it is not tried again. `on_grown` hears of each problem's trees, and whether an earlier start grew them.
    """
    cluster = fleet.config.cluster
    left: list[Problem] = []
    parts: dict[str, _Parts] = {}
    for folder, problems in sets.items():
        folder.mkdir(parents=True, exist_ok=True)
        done = {row["id"] for row in poisoned(folder)}
        for trees in grown_problems(folder):
            done.add(trees[0].problem.id)
            on_grown(trees, True)
        own = _Parts(folder, cluster.trees_per_part, cluster.part_seconds)
        for problem in problems:
            if problem.id not in done:
                left.append(problem)
                parts[problem.id] = own
    if not left:
        return
    left.sort(key=_steps_expected, reverse=True)
    grown = fleet.grow(left, order.models, order.plan, seed=order.seed, graded=order.graded)
    try:
        async for found in grown:
            if isinstance(found, Poisoned):
                _set_aside(parts[found.problem.id].folder, found)
                continue
            parts[found[0].problem.id].add(found)
            on_grown(found, False)
    finally:
        await grown.aclose()
        for own in parts.values():
            own.flush()


def poisoned(folder: Path) -> list[dict[str, Any]]:
    """The problems of a set that killed their workers: `id`, `deaths` and `cause` of each."""
    file = folder / POISONED
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


def _set_aside(folder: Path, found: Poisoned) -> None:
    row = {"id": found.problem.id, "deaths": found.deaths, "cause": found.cause}
    with (folder / POISONED).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _steps_expected(problem: Problem) -> int:
    """By the level, where it is a number. The longest searches begin first: a stage ends with its slowest problem."""
    return int(problem.level) if problem.level.isdecimal() else 0


@dataclass
class _Parts:
    """Writes `part-00000.parquet`, `part-00001.parquet`, ... below a folder; a problem's trees stay together."""

    folder: Path
    trees_per_part: int
    part_seconds: float
    _waiting: list[Tree] = field(default_factory=list)
    _written: float = field(default_factory=time.monotonic)

    def add(self, trees: list[Tree]) -> None:
        self._waiting.extend(trees)
        late = time.monotonic() - self._written >= self.part_seconds
        if late or len(self._waiting) >= self.trees_per_part:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            trees, self._waiting = self._waiting, []
            self._written = time.monotonic()
            number = 1 + max((int(part.stem[5:]) for part in self.folder.glob("part-*.parquet")), default=-1)
            write_trees(self.folder / f"part-{number:05d}.parquet", trees)

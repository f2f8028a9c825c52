"""sets of problems -> a folder of trees each, continued where they stopped.

Problems stream in and trees stream out: a problem is read when its turn comes and forgotten once its trees are there, so
that a stage takes no more memory for a million problems than for a thousand, but for where each of them stands. Trees are
written in parts: a part once it is full, and before its first tree has waited for longer than `part_seconds`, whether or not
others come. So a kill loses no more than that, and nothing that is written is grown twice. How a tree grows stands in
`search`, who grows it in `fleet`.
"""

from __future__ import annotations

import asyncio
import os
import time
from array import array
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from rstar_math.cluster.dispatch import Poisoned
from rstar_math.cluster.fleet import Fleet, Models
from rstar_math.config import SearchConfig
from rstar_math.errors import StageError
from rstar_math.lines import line_of, read_lines
from rstar_math.records import Problem, Tree
from rstar_math.search.storage import next_number, read_parts, write_trees

#: The list of problems that killed their workers or engines, in the folder of their set's trees.
POISONED = "poisoned.jsonl"
#: What comes of one problem.
_Found = list[Tree] | Poisoned


@dataclass(frozen=True, slots=True)
class Order:
    """What to grow with. Without `graded` the ground truth stays out of the search (test time)."""

    models: Models
    plan: SearchConfig
    seed: int
    graded: bool


def _grown_before(folder: Path, on_grown: Callable[[list[Tree], bool, int], None]) -> dict[str, Path]:
    """Problem's id -> the part in `folder` that has its trees, which stand next to each other there."""
    parts: dict[str, Path] = {}
    for part, read in read_parts(folder):
        for problem, trees in groupby(read, key=lambda tree: tree.problem.id):
            if problem in parts:
                raise _does_not_belong(part, problem, f"has trees in {parts[problem].name} already")
            parts[problem] = part
            on_grown(list(trees), True, 0)
    return parts


def _does_not_belong(part: Path, problem: str, why: str) -> StageError:
    return StageError(
        f"{part} does not belong there: it holds trees of the problem '{problem}', which {why}. It is a copy, or another "
        "set's or run's. Delete it and start again; what is missing then is grown anew"
    )


async def grow_into(
    sets: Mapping[Path, Sequence[Problem]],
    fleet: Fleet,
    order: Order,
    on_grown: Callable[[list[Tree], bool, int], None],
) -> None:
    """Grows every problem that has no tree in its set's folder yet; no set waits for another's slowest problem.

    A problem's id stands in one set only. Sets are gone through once before the first problem is grown. A problem that killed
    its workers has no tree; its set's `poisoned.jsonl` lists it, and it is not tried again. `on_grown` hears of each
    problem's trees as they finish, whether an earlier start grew them, and how many problems' trees are not on disk yet,
    which they are after `part_seconds`.

    Raises:
        StageError: a part is damaged, or does not belong there.
    """
    cluster = fleet.config.cluster
    left = _Left()
    every: list[_Parts] = []
    for folder, problems in sets.items():
        folder.mkdir(parents=True, exist_ok=True)
        parts = _grown_before(folder, on_grown)
        every.append(own := _Parts(folder, cluster.trees_per_part, cluster.part_seconds))
        unknown = left.add(problems, parts.keys() | {row["id"] for row in poisoned(folder)}, own)
        for problem in (problem for problem in parts if problem in unknown):
            raise _does_not_belong(parts[problem], problem, "is none of this set's")
    if not left:
        return
    grow = fleet.grow(left, order.models, order.plan, seed=order.seed, graded=order.graded)
    try:
        async with aclosing(grow) as grown, aclosing(_in_time(grown, every)) as coming:
            async for found in coming:
                if isinstance(found, Poisoned):
                    _set_aside(left.ended(found.problem).folder, found)
                else:
                    left.ended(found[0].problem).add(found)
                    on_grown(found, False, sum(own.waiting for own in every))
    finally:
        for own in every:
            own.flush()


async def _in_time(grown: AsyncGenerator[_Found, None], parts: Sequence[_Parts]) -> AsyncGenerator[_Found, None]:
    """What `grown` gives; parts that are due are written meanwhile, however long the next takes."""
    following = asyncio.ensure_future(anext(grown, None))
    try:
        while True:
            await asyncio.wait(
                [following], timeout=min((own.seconds_left for own in parts if own.waiting), default=None)
            )
            for own in parts:
                own.flush_if_due()
            if not following.done():
                continue
            if (found := following.result()) is None:
                return
            yield found
            following = asyncio.ensure_future(anext(grown, None))
    finally:
        following.cancel()
        await asyncio.wait([following])


def poisoned(folder: Path) -> list[dict[str, Any]]:
    """The problems of a set that killed their workers or engines: `id`, `deaths` and `cause` of each."""
    return list(read_lines(folder / POISONED))


def _set_aside(folder: Path, found: Poisoned) -> None:
    with (folder / POISONED).open("a", encoding="utf-8") as file:
        file.write(line_of({"id": found.problem.id, "deaths": found.deaths, "cause": found.cause}))
        file.flush()
        os.fsync(file.fileno())


def _steps_expected(problem: Problem) -> int:
    """By the level, where it is a number. The longest searches begin first: a stage ends with its slowest problem."""
    return int(problem.level) if problem.level.isdecimal() else 0


@dataclass
class _Left:
    """The problems of all sets that have no trees yet, the longest searches first, equally long ones as they stand. Of one
    that has not been handed out only its place is kept; it is gone through once."""

    _places: dict[int, list[tuple[Sequence[Problem], array[int], _Parts]]] = field(default_factory=dict)
    _under_way: dict[str, _Parts] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._places)

    def add(self, problems: Sequence[Problem], done: Collection[str], own: _Parts) -> set[str]:
        """Those of a set that are not done; their trees belong into its `own` parts. Returns what is done and not in it."""
        places: dict[int, array[int]] = {}
        unknown = set(done)
        for place, problem in enumerate(problems):
            unknown.discard(problem.id)
            if problem.id not in done:
                places.setdefault(_steps_expected(problem), array("Q")).append(place)
        for steps, found in places.items():
            self._places.setdefault(steps, []).append((problems, found, own))
        return unknown

    def __iter__(self) -> Iterator[Problem]:
        for steps in sorted(self._places, reverse=True):
            for problems, places, own in self._places[steps]:
                for problem in map(problems.__getitem__, places):
                    self._under_way[problem.id] = own
                    yield problem

    def ended(self, problem: Problem) -> _Parts:
        """Where the trees of one that was handed out belong."""
        return self._under_way.pop(problem.id)


@dataclass
class _Parts:
    """Writes part 0, part 1, ... below a folder; a problem's trees stay together."""

    folder: Path
    trees_per_part: int
    part_seconds: float
    _waiting: list[Tree] = field(default_factory=list)
    #: When the first of those that wait came.
    _since: float = 0.0
    #: Problems whose trees are not written yet.
    waiting: int = 0

    @property
    def seconds_left(self) -> float:
        """Until the first of them has waited long enough."""
        return max(self._since + self.part_seconds - time.monotonic(), 0.0)

    def add(self, trees: list[Tree]) -> None:
        if not self.waiting:
            self._since = time.monotonic()
        self.waiting += 1
        self._waiting.extend(trees)
        self.flush_if_due()

    def flush_if_due(self) -> None:
        if len(self._waiting) >= self.trees_per_part or not self.seconds_left:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            trees, self._waiting, self.waiting = self._waiting, [], 0
            write_trees(self.folder, next_number(self.folder), trees)

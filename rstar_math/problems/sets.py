"""problems -> a JSONL file of ours, and back.

How a run keeps the problems it has settled on. A set may hold millions: where each line begins is all that is held of it.
Foreign files, with all that can be wrong in them, are read by `reading`.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import overload

from rstar_math.records import Problem


def write_set(path: Path, problems: Iterable[Problem]) -> None:
    """One problem a line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(problem._asdict(), ensure_ascii=False) + "\n" for problem in problems)


def read_set(path: Path) -> Sequence[Problem]:
    """The problems that `write_set` wrote, in their order; each is read from the file whenever it is asked for."""
    return _Stored(path)


class _Stored(Sequence[Problem]):
    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self._ends = array("Q", accumulate(map(len, file)))

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, place: int) -> Problem: ...

    @overload
    def __getitem__(self, place: slice) -> list[Problem]: ...

    def __getitem__(self, place: int | slice) -> Problem | list[Problem]:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        index = range(len(self))[place]
        with self._path.open("rb") as file:
            file.seek(self._ends[index - 1] if index else 0)
            return _problem(file.readline())

    def __iter__(self) -> Iterator[Problem]:
        with self._path.open("rb") as file:
            yield from map(_problem, file)


def _problem(line: bytes) -> Problem:
    return Problem(**json.loads(line))

"""problems -> a JSONL file of ours, and back.

How a run keeps the problems it has settled on. Foreign files, with all that can be wrong in them, are read by `reading`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from rstar_math.records import Problem


def write_set(path: Path, problems: Iterable[Problem]) -> None:
    """One problem a line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(problem._asdict(), ensure_ascii=False) + "\n" for problem in problems)


def read_set(path: Path) -> list[Problem]:
    """The problems that `write_set` wrote, in their order."""
    with path.open(encoding="utf-8") as file:
        return [Problem(**json.loads(line)) for line in file]

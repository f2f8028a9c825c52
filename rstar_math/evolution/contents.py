"""What of a run belongs into its copy, and in which order?

The run's own files, and stages finished or under way. Not what a start set aside, and not what a machine keeps to itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from rstar_math.evolution.places import ORDER
from rstar_math.evolution.store import MANIFEST, PARTIAL

#: Names of a mirror's own, here and in the copy, begin so.
OWN = "mirror"
#: What a machine keeps to itself, or writes anew at each start.
_LOCAL = {".lock", "writer.json", "report.md"}
#: What wandb knows the run by, on any machine.
_GROUP = "wandb/group"
#: Files that say that others are whole.
_MARKS = {MANIFEST, "complete"}

#: (bytes, time of the last change) of a file.
Version = tuple[int, int]


class Contents(NamedTuple):
    """The files of a run's folder by name, and what the folders of its stages are known by to the file system: a name that is
    used again is another folder."""

    files: dict[str, Version]
    folders: dict[str, int]


def contents(root: Path) -> Contents:
    """What is there at one moment: looked at again where a stage ended or a checkpoint went meanwhile."""
    while True:
        folders = _folders(root)
        try:
            files = {str(path.relative_to(root)): _version(path) for path in _there(root, folders)}
        except FileNotFoundError:
            continue
        if folders == _folders(root):
            return Contents({name: version for name, version in files.items() if version is not None}, folders)


def stage_of(name: str) -> str | None:
    """`round-2/trees/part.parquet` -> `round-2/trees`; None for a file of the run itself."""
    return "/".join(name.split("/")[:2]) if name.startswith("round-") else None


def whole(there: Iterable[str]) -> set[str]:
    """Names of a copy without what a kill left of it: a stage without its manifest, a begun one beside a finished one."""
    names = {name for name in there if not name.startswith(OWN)}
    finished = finished_stages(names)

    def stays(name: str) -> bool:
        stage = stage_of(name)
        if stage is None:
            return True
        return stage.removesuffix(PARTIAL) not in finished if stage.endswith(PARTIAL) else stage in finished

    return {name for name in names if stays(name)}


def finished_stages(names: Iterable[str]) -> set[str]:
    """The stages that have a manifest."""
    stages = {name: stage_of(name) for name in names}
    return {stage for name, stage in stages.items() if stage and name == f"{stage}/{MANIFEST}" and PARTIAL not in stage}


def begun_name(name: str) -> str:
    """What a finished stage's file was called while the stage was under way."""
    stage = stage_of(name)
    return name if stage is None or stage.endswith(PARTIAL) else name.replace(stage, stage + PARTIAL, 1)


def replaced(before: dict[str, int], now: dict[str, int]) -> set[str]:
    """Stages whose folder is there no longer, nor became that of the finished stage."""
    return {
        stage
        for stage, folder in before.items()
        if folder not in (now.get(stage), now.get(stage.removesuffix(PARTIAL)))
    }


def marks_last(name: str) -> tuple[bool, str]:
    """Sorts names so that a file comes before the one that says that it is whole."""
    return name.rsplit("/", 1)[-1] in _MARKS, name


def _folders(root: Path) -> dict[str, int]:
    found = [folder for folder in root.glob("round-*/*") if folder.name.removesuffix(PARTIAL) in ORDER]
    numbers = {str(folder.relative_to(root)): _number(folder) for folder in sorted(found)}
    return {name: number for name, number in numbers.items() if number is not None}


def _number(folder: Path) -> int | None:
    try:
        return folder.stat().st_ino
    except FileNotFoundError:
        return None


def _there(root: Path, folders: Iterable[str]) -> Iterator[Path]:
    yield from (path for path in root.iterdir() if path.name not in _LOCAL and not path.name.startswith(f".{OWN}"))
    if (root / _GROUP).exists():
        yield root / _GROUP
    for folder in folders:
        yield from (root / folder).rglob("*")


def _version(path: Path) -> Version | None:
    if path.suffix == ".unfinished" or path.is_symlink():
        return None
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return (stat.st_size, stat.st_mtime_ns) if S_ISREG(stat.st_mode) else None

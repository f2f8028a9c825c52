"""What of a run belongs into its copy, and in which order?

The run's own files, and stages finished or under way, by the form of their names alone. Not what a start set aside, not what
a machine keeps to itself, and nothing else that somebody keeps in the same place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from rstar_math.evolution.inputs import MODELS
from rstar_math.evolution.places import ORDER
from rstar_math.evolution.store import BEGUN, FROM, MANIFEST, PARTIAL

#: Names of a mirror's own, here and in the copy, begin so.
OWN = "mirror"
#: Files of the run itself; the last is what wandb knows it by, on any machine. Others a start writes anew.
_OF_THE_RUN = ("run.json", MODELS, "metrics.jsonl", FROM, "wandb/group")
_OF_A_STAGE = re.compile(rf"round-[0-9]+/({'|'.join(ORDER)})({re.escape(PARTIAL)})?/.")
_OF_A_MIRROR = re.compile(rf"{OWN}(\.json|-writer\.json|-[0-9a-f]{{32}})")
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


def belongs(name: str) -> bool:
    """Whether a run makes files of that name: others in the place of a copy are somebody else's."""
    return name in _OF_THE_RUN or (_OF_A_STAGE.match(name) is not None and ".." not in name.split("/"))


def foreign(there: Iterable[str]) -> list[str]:
    """Names that neither a run nor its mirror gives."""
    return sorted(name for name in there if not belongs(name) and not _OF_A_MIRROR.fullmatch(name))


def stage_of(name: str) -> str | None:
    """`round-2/trees/part.parquet` -> `round-2/trees`; None for a file of the run itself."""
    return "/".join(name.split("/")[:2]) if name.startswith("round-") else None


def whole(there: Iterable[str]) -> set[str]:
    """Names of a copy without what a kill left of it: a stage without its manifest, a begun one beside a finished one."""
    names = set(there)
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


def marks_last(name: str) -> tuple[bool, bool, str]:
    """Sorts names so that a file comes before the one that says that it is whole, and after the one that says by which
    setting it was begun."""
    last = name.rsplit("/", 1)[-1]
    return last in _MARKS, last != BEGUN, name


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
    yield from (root / name for name in _OF_THE_RUN if (root / name).exists())
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

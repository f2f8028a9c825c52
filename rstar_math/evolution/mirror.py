"""How does a run go on, on another machine, where no disk is shared?

With `mirror.url` a run has a copy on an object store: finished stages, what is finished of the stage under way (parts of
trees, checkpoints), and the run's own files. It is brought up to date every few minutes, after every stage and at the end; a
start on a machine that lacks something, or where another machine has gone on since, takes it from there first. A file that
says that others are whole (a manifest, a checkpoint's mark) goes last and is deleted first, so what a kill leaves of it is
a run that was killed a little earlier. One start at a time writes: its card there counts for as long as it is renewed.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from rstar_math.errors import ConfigError, StageError
from rstar_math.evolution.objects import Objects
from rstar_math.evolution.store import MANIFEST, ORDER, PARTIAL, holds_work, write_json

#: In the store: who writes, and how often the copy was brought up to date.
_CARD, _COUNT = "mirror-writer.json", "mirror.json"
#: In the run's folder: which of these it is equal to.
_STATE = ".mirror.json"
#: What a machine keeps to itself, or writes anew at each start.
_OWN = {_STATE, ".lock", "writer.json", "report.md"}
#: What wandb knows the run by, on any machine.
_GROUP = "wandb/group"
#: Files that say that others are whole.
_MARKS = {MANIFEST, "complete"}
#: A card that was not renewed for so many times its interval is nobody's.
_LATE = 3

#: (bytes, time of the last change) of a file that the copy has.
_Version = tuple[int, int]


class Mirror:
    """The copy of the run in `root`."""

    def __init__(self, url: str, root: Path, interval_seconds: float, say: Callable[[str], None]) -> None:
        """Raises ConfigError where `url` is no object store's."""
        self._url, self._root, self._interval, self._say = url, root, interval_seconds, say
        self._objects = Objects(url)
        file = root / _STATE
        self._state: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {"folder": uuid.uuid4().hex}
        self._me = {"host": platform.node(), "process": os.getpid(), "folder": self._state["folder"]}
        self._me |= {"start": uuid.uuid4().hex, "since": datetime.now().astimezone().isoformat(timespec="seconds")}
        self._copied: dict[str, _Version | None] = {}

    def open(self) -> None:
        """Becomes the copy's only writer and makes the run's folder what the copy is, where that has gone on since.

        Raises:
            StageError: another start writes there.
            ConfigError: there is another run, or nobody may write.
        """
        try:
            self._take_card()
            there = self._objects.sizes()
            last = self._read(_COUNT)
            if self._is_behind(there, last):
                self._note(url=self._url, count=None)
                self._fetch(_whole(there))
            self._note(url=self._url, count=last.get("count", 0))
            settled = self._settled({_stage(name) for name in there})
        except OSError as error:
            raise ConfigError(
                f"The copy of the run in {self._url} cannot be read or written: {error}. Mend mirror.url, or the keys in the "
                "environment, or run without a copy: mirror.url=null"
            ) from error
        here = _files(self._root)
        for name in there.keys() - {_CARD, _COUNT}:
            self._copied[name] = here.get(name) if _stage(name) in settled else None

    def update(self) -> None:
        """Makes the copy what the run's folder is.

        Raises:
            StageError: another start has taken the copy over.
            OSError: the store does not answer.
        """
        self._renew_card()
        files = _files(self._root)
        if not any(name.startswith("round-") for name in files):
            return
        for name in sorted((name for name in files if self._copied.get(name) != files[name]), key=_marks_last):
            finished_now = _begun_name(name)
            if self._copied.get(finished_now) == files[name]:
                self._objects.copy(finished_now, name)
            else:
                self._objects.put(name, self._root / name)
            self._copied[name] = files[name]
        for name in sorted(self._copied.keys() - files.keys(), key=_marks_last, reverse=True):
            self._objects.delete(name)
            del self._copied[name]
        count = self._state["count"] + 1
        self._objects.write(_COUNT, json.dumps(self._me | {"count": count}).encode())
        self._note(count=count)

    def close(self) -> None:
        """Another start may write from now on."""
        self._renew_card()
        self._objects.delete(_CARD)

    def _read(self, name: str) -> dict[str, Any]:
        written: dict[str, Any] = json.loads(self._objects.read(name) or b"{}")
        return written

    def _note(self, **known: Any) -> None:
        self._state |= known
        write_json(self._root / _STATE, self._state)

    def _is_this_folder(self, writer: dict[str, Any]) -> bool:
        return all(writer.get(key) == self._me[key] for key in ("host", "folder"))

    def _take_card(self) -> None:
        card = self._read(_CARD)
        # The folder's own lock has been taken: a start of this folder that left a card is dead.
        if card and not self._is_this_folder(card):
            probe = f"mirror-{self._me['start']}"
            self._objects.write(probe, b"what time is it there?")
            since = self._objects.seconds_between(_CARD, probe)
            self._objects.delete(probe)
            if since < (wait := _LATE * self._interval):
                raise StageError(
                    f"process {card['process']} on {card['host']} (since {card['since']}) writes to {self._url}. End it; "
                    f"if it is dead, its place is free in {wait - since:.0f} seconds, or once {self._url}/{_CARD} is deleted"
                )
        self._objects.write(_CARD, json.dumps(self._me).encode())
        self._renew_card()

    def _renew_card(self) -> None:
        card = self._read(_CARD)
        if card.get("start") != self._me["start"]:
            whose = f"process {card['process']} on {card['host']}" if card else "nobody"
            raise StageError(
                f"{self._url} is written by {whose} now, not by this start, which could not reach it for long. What it did "
                f"since stands in {self._root} alone; start again to go on from the copy"
            )
        self._objects.write(_CARD, json.dumps(self._me).encode())

    def _is_behind(self, there: dict[str, int], last: dict[str, Any]) -> bool:
        """Whether the run was worked on in another folder since it was in this one."""
        if not any(map(_stage, there)):
            return False
        if not holds_work(self._root):
            return True
        if self._state.get("url") != self._url:
            raise ConfigError(
                f"{self._url} holds a run that {self._root} did not come from. Name another mirror.url, or another run with "
                "name=NEW, or move the folder away to go on with the copy"
            )
        return not self._is_this_folder(last) and bool(self._state["count"] != last.get("count", 0))

    def _fetch(self, wanted: dict[str, int]) -> None:
        stages = {_stage(name) for name in wanted}
        kept = self._settled(stages)
        coming = {name: size for name, size in wanted.items() if _stage(name) not in kept}
        self._say(f"taking {len(coming)} files ({sum(coming.values()) / 1e6:,.1f} MB) of the run from {self._url}")
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
        for stage in sorted(filter(None, {_stage(name) for name in _files(self._root)} - kept)):
            folder = self._root / stage
            self._say(f"kept as {folder.rename(folder.with_name(f'{folder.name}.replaced-{stamp}'))}")
        for stage in sorted(filter(None, stages - kept)):
            arriving = self._root / f"{stage}.arriving"
            shutil.rmtree(arriving, ignore_errors=True)
            for name in (name for name in coming if _stage(name) == stage):
                self._objects.get(name, arriving / name.removeprefix(f"{stage}/"))
            arriving.rename(self._root / stage)
        for name in (name for name in coming if _stage(name) is None):
            self._objects.get(name, self._root / name)

    def _settled(self, stages: set[str | None]) -> set[str | None]:
        """Those that are finished here and in the copy, as the same: nothing of them will change."""
        manifests = {stage: self._root / stage / MANIFEST for stage in stages if stage and not stage.endswith(PARTIAL)}
        return {
            stage
            for stage, file in manifests.items()
            if file.is_file() and file.read_bytes() == self._objects.read(f"{stage}/{MANIFEST}")
        }


def _files(root: Path) -> dict[str, _Version]:
    """What of a run's folder belongs into its copy: its own files, and stages finished or under way."""
    return {str(path.relative_to(root)): (stat.st_size, stat.st_mtime_ns) for path, stat in _there(root)}


def _there(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    stages = [folder for folder in root.glob("round-*/*") if folder.name.removesuffix(PARTIAL) in ORDER]
    own = [path for path in root.iterdir() if path.name not in _OWN] + [root / _GROUP]
    for path in (*own, *(path for folder in sorted(stages) for path in sorted(folder.rglob("*")))):
        if path.is_symlink() or path.suffix == ".unfinished":
            continue
        try:
            if path.is_file():
                yield path, path.stat()
        except FileNotFoundError:  # a stage replaced or renamed it meanwhile
            continue


def _stage(name: str) -> str | None:
    """`round-2/trees/part.parquet` -> `round-2/trees`; None for a file of the run itself."""
    return "/".join(name.split("/")[:2]) if name.startswith("round-") else None


def _whole(there: dict[str, int]) -> dict[str, int]:
    """The copy without what a kill left of it: a stage without its manifest, a begun one beside its finished self."""
    finished = {_stage(name) for name in there if name == f"{_stage(name)}/{MANIFEST}"}

    def stays(name: str) -> bool:
        stage = _stage(name)
        if stage is None:
            return name not in (_CARD, _COUNT)
        return stage.removesuffix(PARTIAL) not in finished if stage.endswith(PARTIAL) else stage in finished

    return {name: size for name, size in there.items() if stays(name)}


def _begun_name(name: str) -> str:
    """What a finished stage's file was called while the stage was under way."""
    stage = _stage(name)
    return name if stage is None or stage.endswith(PARTIAL) else name.replace(stage, stage + PARTIAL, 1)


def _marks_last(name: str) -> tuple[bool, str]:
    return name.rsplit("/", 1)[-1] in _MARKS, name

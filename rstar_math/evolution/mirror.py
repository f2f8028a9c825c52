"""How does a run go on, on another machine, where no disk is shared?

With `mirror.url` a run has a copy on an object store: finished stages, what is finished of the stage under way (parts of
trees, checkpoints), and the run's own files. A start on a machine that lacks something, or where another machine has gone on
since, takes it from there first. A file that says that others are whole (a manifest, a checkpoint's mark) goes last and is
deleted first, and what `from=` set aside is deleted before anything else, so what a kill leaves of a copy is a run that was
killed a little earlier. Objects whose names no run gives are left alone.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from rstar_math.disk import write_json
from rstar_math.errors import ConfigError, StageError, StoreError
from rstar_math.evolution.card import Card, read
from rstar_math.evolution.contents import (
    OWN,
    Version,
    begun_name,
    belongs,
    contents,
    finished_stages,
    foreign,
    marks_last,
    replaced,
    stage_of,
    whole,
)
from rstar_math.evolution.objects import Objects
from rstar_math.evolution.store import FROM, MANIFEST, PARTIAL, holds_work

#: In the store: who brought the copy up to date last, and to what.
_VERSION = f"{OWN}.json"
#: In the run's folder: which copy it is equal to, and the folders of its stages then.
_STATE = f".{OWN}.json"


class Mirror:
    """The copy of the run in `root`."""

    def __init__(self, url: str, root: Path, interval_seconds: float, say: Callable[[str], None]) -> None:
        """Raises ConfigError where `url` is no object store's, StageError where what is known of the copy is damaged."""
        self._url, self._root, self._say = url, root, say
        self._objects = Objects(url)
        self._state = _known(root / _STATE)
        self._card = Card(self._objects, url, self._state["folder"], interval_seconds)
        self._objects.tick = self._card.renew_in_time
        self._copied: dict[str, Version | None] = {}

    def open(self) -> None:
        """Becomes the copy's only writer and makes the run's folder what the copy is, where that has gone on since.

        Raises:
            StageError: another start writes there.
            ConfigError: there is another run, or nobody may write.
        """
        try:
            try:
                self._card.take()
                self._catch_up()
            except BaseException:
                self._card.give_back()
                raise
        except StoreError as error:
            raise ConfigError(
                f"The copy of the run in {self._url} cannot be read or written: {error}. Mend mirror.url, or the keys in the "
                "environment, or run without a copy: mirror.url=null"
            ) from error

    def update(self) -> None:
        """Makes the copy what the run's folder is.

        Raises:
            StageError: another start has taken the copy over.
            StoreError: the store does not answer.
        """
        self._card.renew()
        files, folders = contents(self._root)
        if not folders and not self._copied:
            return
        again = replaced(self._state["stages"], folders)
        self._delete(name for name in self._copied if stage_of(name) in again)
        for name in sorted((name for name in files if self._copied.get(name) != files[name]), key=marks_last):
            self._card.renew_in_time()
            begun = begun_name(name)
            if (self._copied.get(begun) == files[name] and self._objects.copy(begun, name)) or self._objects.put(
                name, self._root / name
            ):
                self._copied[name] = files[name]
        self._delete(self._copied.keys() - files.keys())
        version = uuid.uuid4().hex
        self._objects.write(_VERSION, json.dumps(self._card.me | {"version": version}).encode())
        self._note(version=version, stages=folders)

    def close(self) -> None:
        """Another start may write from now on."""
        self._card.give_back()

    def _catch_up(self) -> None:
        found = self._objects.sizes()
        last = read(self._objects, _VERSION)
        if (others := foreign(found)) and not last:
            raise ConfigError(
                f"{self._url} holds {others[0]}, which is of no run, and no copy of one ({len(others)} such objects). Name a "
                f"place of the run's own, such as mirror.url={self._url}/{self._root.name}"
            )
        there = {name: size for name, size in found.items() if belongs(name)}
        wanted = whole(there)
        if self._is_behind(wanted, last):
            self._note(url=self._url, version=None, stages={})
            self._set_aside(wanted)
            self._fetch({name: there[name] for name in wanted})
            if FROM not in wanted:
                (self._root / FROM).unlink(missing_ok=True)
        else:
            lost = {stage for stage in finished_stages(wanted) if self._is_lost(stage)}
            self._fetch({name: there[name] for name in wanted if stage_of(name) in lost})
        here = contents(self._root)
        settled = self._settled(finished_stages(wanted))
        known = self._state.get("stages") or here.folders
        self._note(
            url=self._url, version=last.get("version"), stages=known | {each: here.folders[each] for each in settled}
        )
        for name in there:
            self._copied[name] = here.files.get(name) if stage_of(name) in settled else None

    def _note(self, **known: Any) -> None:
        self._state |= known
        write_json(self._root / _STATE, self._state)

    def _is_behind(self, wanted: set[str], last: dict[str, Any]) -> bool:
        """Whether the run was worked on in another folder since it was in this one."""
        if not any(map(stage_of, wanted)):
            return False
        if not holds_work(self._root):
            return True
        if self._state.get("url") != self._url:
            raise ConfigError(
                f"{self._url} holds a run that {self._root} did not come from. Name another mirror.url, or another run with "
                "name=NEW, or move the folder away to go on with the copy"
            )
        return not self._card.is_of_this_folder(last) and bool(self._state["version"] != last.get("version"))

    def _is_lost(self, stage: str) -> bool:
        """Whether a finished stage was deleted here, and not set aside to be done again."""
        folder = self._root / stage
        others = [*folder.parent.glob(f"{folder.name}.replaced-*"), folder.with_name(folder.name + PARTIAL)]
        return not folder.exists() and not any(other.exists() for other in others)

    def _set_aside(self, wanted: set[str]) -> None:
        """What is here and not in the copy, or other than there, is kept under a dated name."""
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
        for stage in sorted(contents(self._root).folders.keys() - self._settled(finished_stages(wanted))):
            folder = self._root / stage
            self._say(f"kept as {folder.rename(folder.with_name(f'{folder.name}.replaced-{stamp}'))}")

    def _fetch(self, wanted: dict[str, int]) -> None:
        coming = {name: size for name, size in wanted.items() if not (self._root / (stage_of(name) or "")).is_dir()}
        coming |= {name: size for name, size in wanted.items() if stage_of(name) is None}
        if not coming:
            return
        self._say(f"taking {len(coming)} files ({sum(coming.values()) / 1e6:,.1f} MB) of the run from {self._url}")
        for stage in sorted(filter(None, set(map(stage_of, coming)))):
            arriving = self._root / f"{stage}.arriving"
            shutil.rmtree(arriving, ignore_errors=True)
            for name in (name for name in coming if stage_of(name) == stage):
                self._objects.get(name, arriving / name.removeprefix(f"{stage}/"))
            arriving.rename(self._root / stage)
        for name in (name for name in coming if stage_of(name) is None):
            self._objects.get(name, self._root / name)

    def _settled(self, stages: set[str]) -> set[str]:
        """Those that are finished here and in the copy, as the same: nothing of them will change."""
        manifests = {stage: self._root / stage / MANIFEST for stage in stages}
        return {
            stage
            for stage, file in manifests.items()
            if file.is_file() and file.read_bytes() == self._objects.read(f"{stage}/{MANIFEST}")
        }

    def _delete(self, names: Iterable[str]) -> None:
        for name in sorted(names, key=marks_last, reverse=True):
            self._objects.delete(name)
            del self._copied[name]


def _known(file: Path) -> dict[str, Any]:
    """What earlier starts noted of the copy; before the first, the name by which this folder is known from now on."""
    if not file.is_file():
        return {"folder": uuid.uuid4().hex}
    try:
        known: dict[str, Any] = json.loads(file.read_text())
    except ValueError as error:
        raise StageError(
            f"{file} cannot be read ({error}), so nobody knows how far the copy had come. Delete it and start again with "
            f"another mirror.url, or move {file.parent} away to go on from the copy"
        ) from error
    return known

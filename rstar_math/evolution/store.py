"""What is already done?

The run directory is the state. A stage works in `NAME.partial/`, writes its manifest last and renames: so a finished folder
is whole, and a partial one can be continued. A finished stage is returned unread if its fingerprint (its own knobs and the
manifests it read) is the same, and refused with the changed knob if not. What a stage does is not known here.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rstar_math.disk import digest, digest_on_disk, seal, sync, unseal
from rstar_math.errors import StageError
from rstar_math.evolution.fingerprint import Fingerprint
from rstar_math.evolution.places import ORDER, Place, is_number

_log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
#: What a stage under way is called besides its name.
PARTIAL = ".partial"
#: What a stage under way was begun with.
BEGUN = "begun.json"
#: Which `from=` was begun and has not come to its end.
FROM = "from.txt"
#: A stage's work: fills the folder it is given and returns the numbers worth keeping.
Work = Callable[[Path], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Done:
    """A finished stage: its folder, its metrics, the seconds it took in all, and whether it had been done before."""

    folder: Path
    metrics: Mapping[str, Any]
    seconds: float
    before: bool


@dataclass
class Store:
    """A run directory."""

    root: Path
    #: What this start was told to redo, until the first stage of it is reached.
    _due: str = ""
    #: What this start was told to redo, and an earlier one had begun to.
    _again: str = ""

    def folder(self, place: Place) -> Path:
        """Where a finished stage stands."""
        return self.root / f"round-{place.round}" / place.stage

    def once(self, place: Place, fingerprint: Fingerprint, work: Work) -> Done:
        """Does the stage if it is not done; see `once`."""
        if self._again and place == Place.first(self._again) and (why := self._unfit(place, fingerprint)):
            _log.warning("from=%s: %s; it and all that follow are set aside once more", self._again, why)
            self.set_aside(self._again)
        redo = f"redo the stage and all that follow with from=round-{place.round}.{place.stage}"
        redo += ", or start another run with name=NEW"
        return once(self.folder(place), fingerprint, work, redo)

    def ask_for(self, start: str) -> None:
        """`from=`: `start_over` is due once the first stage that it names is reached.

        Raises:
            StageError: it names no stage, or a round that the run has not begun.
        """
        numbers = self._numbers()
        if Place.parse(start)[0] not in numbers:
            there = ", ".join(f"round-{present}" for present in numbers) or "no round"
            raise StageError(f"from={start}: the run in {self.root} has {there}; start again from one of those")
        self._due = start

    def is_due(self, place: Place) -> bool:
        """Whether `place` is the first stage of what was asked for, which is set aside now."""
        return bool(self._due) and place >= Place.first(self._due)

    def set_aside_due(self) -> list[str]:
        """Does what was asked for; what is to be said of that."""
        start, self._due = self._due, ""
        return [f"kept as {path}" for path in self.start_over(start)] or [f"nothing more to set aside from {start}"]

    def start_over(self, start: str) -> list[Path]:
        """Sets aside what `from=` names, unless a start with the same `from=` did and was stopped before its end. What that
        one made goes on then, if it was made with the same settings and is whole: `once` looks."""
        marker = self.root / FROM
        if marker.is_file() and marker.read_bytes() == start.encode():
            self._again = start
            return []
        moved = self.set_aside(start)
        marker.write_text(start)
        return moved

    def forget_start(self, last: Place) -> None:
        """The run came to its end, or to `last`: the same `from=` means to redo once more, if it did not lie behind that."""
        marker = self.root / FROM
        try:
            behind = Place.first(marker.read_text()) > last
        except (FileNotFoundError, UnicodeDecodeError, StageError):  # none, or a damaged one, which is of no `from=`
            behind = False
        if not behind:
            marker.unlink(missing_ok=True)

    def set_aside(self, start: str) -> list[Path]:
        """Moves the named stage and all later ones to dated names, so that they are done again (`from=`)."""
        first = Place.first(start)
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
        finals = [self.folder(place) for place in self._present() if place >= first]
        folders = (folder for final in finals for folder in (final, final.with_name(final.name + PARTIAL)))
        return [each.rename(each.with_name(f"{each.name}.replaced-{stamp}")) for each in folders if each.exists()]

    def _unfit(self, place: Place, fingerprint: Fingerprint) -> str | None:
        """Why what is there of the stage cannot be gone on with; None where it can, or nothing is there."""
        final = self.folder(place)
        begun = final.with_name(place.stage + PARTIAL) / BEGUN
        try:
            if final.exists():
                check_whole(final)
                return fingerprint.difference(read_manifest(final)["fingerprint"])
            _check_begun(begun.parent)
            return fingerprint.difference(_unsealed(begun)["fingerprint"], finished=False) if begun.is_file() else None
        except StageError as error:
            return str(error)

    def _present(self) -> Iterator[Place]:
        yield from (Place.of(number, stage) for number in self._numbers() for stage in ORDER)

    def _numbers(self) -> list[int]:
        """The rounds that were begun, in order."""
        return sorted(int(path.name[6:]) for path in self.root.glob("round-*") if is_number(path.name[6:]))


def once(final: Path, fingerprint: Fingerprint, work: Work, redo: str = "name another out= folder") -> Done:
    """Returns the finished stage in `final`, doing or continuing its work only if it is not finished.

    Raises:
        StageError: the stage is finished or begun with another fingerprint; the message names what changed.
    """
    if (final / MANIFEST).is_file():
        manifest = read_manifest(final)
        _refuse_change(final, fingerprint.difference(manifest["fingerprint"]), redo)
        return Done(final, manifest["metrics"], manifest["seconds"], before=True)
    if final.exists():
        raise StageError(f"{final} exists and is no finished stage (it has no {MANIFEST}); move it away, or {redo}")
    partial = final.with_name(final.name + PARTIAL)
    begun = _begin(partial, fingerprint, redo)
    started, metrics = time.monotonic(), None
    try:
        metrics = dict(work(partial))
    finally:
        begun["seconds"] += time.monotonic() - started
        seal(partial / BEGUN, begun)
        made = [path.name for path in partial.rglob("*") if path.is_file()]
        if metrics is None and made == [BEGUN]:  # it failed before it made anything
            shutil.rmtree(partial)
    _finish(final, partial, fingerprint, metrics, begun["seconds"])
    return Done(final, metrics, begun["seconds"], before=False)


def clear_other(final: Path, fingerprint: Fingerprint) -> None:
    """Deletes what stands in `final`, or is begun there, if it was made with another setting: for what costs little."""
    begun = final.with_name(final.name + PARTIAL)
    for folder, name in ((final, MANIFEST), (begun, BEGUN), (begun, MANIFEST)):
        gone = folder.with_name(f"{folder.name}.gone")
        if gone.exists():  # an earlier start was stopped while it deleted
            shutil.rmtree(gone)
        if (folder / name).is_file() and fingerprint.difference(_unsealed(folder / name)["fingerprint"]):
            folder.rename(gone)  # half deleted it would be no stage, or one that lacks files
            shutil.rmtree(gone)


def _check_begun(partial: Path) -> None:
    """Whether it is known with which setting what is there was made, if anything is: else any other would take it over."""
    named = any((partial / name).is_file() for name in (BEGUN, MANIFEST))
    there = (path for path in partial.rglob("*") if path.is_file() and path.suffix != ".unfinished")
    if not named and (first := next(there, None)):
        raise StageError(
            f"{partial / BEGUN} is missing, so nobody knows with which setting {first.name} was made. {_way_out(partial)}"
        )


def _begin(partial: Path, fingerprint: Fingerprint, redo: str) -> dict[str, Any]:
    _check_begun(partial)
    if (partial / BEGUN).is_file():
        begun = _unsealed(partial / BEGUN)
        _refuse_change(partial, fingerprint.difference(begun["fingerprint"], finished=False), redo)
        return begun
    if (partial / MANIFEST).is_file():  # a kill came between its end and its name
        _refuse_change(partial, fingerprint.difference(read_manifest(partial)["fingerprint"]), redo)
    partial.mkdir(parents=True, exist_ok=True)
    begun = {"attempt": secrets.token_hex(3), "fingerprint": asdict(fingerprint), "seconds": 0.0}
    seal(partial / BEGUN, begun)
    return begun


def attempt_of(partial: Path) -> str:
    """What tells the work on a stage from an earlier one that was set aside; it stays the same after a stop."""
    attempt: str = _unsealed(partial / BEGUN)["attempt"]
    return attempt


def _finish(final: Path, partial: Path, fingerprint: Fingerprint, metrics: Mapping[str, Any], seconds: float) -> None:
    for left in partial.rglob("*.unfinished"):  # a stop came while it was written; no file of a finished stage
        left.unlink()
    files = {
        str(path.relative_to(partial)): {"bytes": path.stat().st_size, "sha256": digest_on_disk(path)}
        for path in sorted(partial.rglob("*"))
        if path.is_file() and path.name not in (MANIFEST, BEGUN)
    }
    finished = datetime.now().astimezone().isoformat(timespec="seconds")
    manifest = {"fingerprint": asdict(fingerprint), "metrics": metrics, "seconds": round(seconds, 3)}
    manifest |= {"finished": finished, "files": files}
    for folder in (path for path in partial.rglob("*") if path.is_dir()):
        sync(folder)
    seal(partial / MANIFEST, manifest)
    (partial / BEGUN).unlink()
    sync(partial)
    partial.rename(final)
    sync(final.parent)


def _refuse_change(folder: Path, change: str | None, redo: str) -> None:
    if change:
        raise StageError(f"{folder} was made with another setting: {change}. Put it back, or {redo}")


def read_manifest(folder: Path) -> dict[str, Any]:
    """A finished stage's manifest.

    Raises:
        StageError: it is missing or damaged.
    """
    return _unsealed(folder / MANIFEST)


def _unsealed(path: Path) -> dict[str, Any]:
    return unseal(path, _way_out(path.parent))


def _way_out(folder: Path) -> str:
    stage = f"{folder.parent.name}.{folder.name.removesuffix(PARTIAL)}"
    in_run = folder.parent.name.startswith("round-")
    anew = f"with from={stage}, which keeps it under a dated name" if in_run else f"with {folder} moved away"
    return f"Put it back, or do the stage again {anew}"


def check_whole(folder: Path) -> None:
    """Whether a finished stage holds exactly the bytes that its manifest says.

    Raises:
        StageError: a file is missing, altered, or does not belong there; the message names it and the way out.
    """
    wanted = read_manifest(folder)["files"]
    there = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    there.pop(MANIFEST, None)
    if strange := sorted(there.keys() ^ wanted.keys()):
        what = "is missing" if strange[0] in wanted else "does not belong there"
        raise StageError(f"{folder / strange[0]} {what}: the stage is not as it was finished. {_way_out(folder)}")
    for name, path in sorted(there.items()):
        if path.stat().st_size != wanted[name]["bytes"] or digest(path) != wanted[name]["sha256"]:
            raise StageError(f"{path} is damaged: its checksum is not that of the finished stage. {_way_out(folder)}")


def check_inputs(given: Iterable[object]) -> None:
    """Whether those that are a finished stage's folder are whole; see `check_whole`."""
    for value in given:
        if isinstance(value, str | Path) and (Path(value) / MANIFEST).is_file():
            check_whole(Path(value))


def holds_work(root: Path) -> bool:
    """Whether any stage below `root` is finished or begun."""
    return any(path.name == MANIFEST or path.name.endswith(PARTIAL) for path in root.rglob("*"))

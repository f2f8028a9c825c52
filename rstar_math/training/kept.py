"""What can a stopped training go on from?

The folder of its checkpoints -> the newest whole one. A checkpoint is marked once every rank has written its part, with what
each of its files is known by: one without that mark was cut off by a kill, one that is not as its mark says is damaged, and
neither is resumed from. The finished model is marked in the same way. What stands in a checkpoint is the Trainer's and
DeepSpeed's business. Nothing here imports torch.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rstar_math.disk import sync, write_json
from rstar_math.training.job import TrainingJob

_MARK = "complete"
_CHUNK_BYTES = 1 << 20
#: So many checkpoints stay: should the newest be damaged, there is one to go on from.
_STAYING = 2
#: What a training writes beside its checkpoints; its folder may hold files of others, which change.
_OF_A_MODEL = ("*.safetensors*", "*config.json", "tokenizer*", "*.jinja", "README.md", "metrics.json")


def mark(checkpoint: Path, files: Mapping[str, list[int]]) -> None:
    """Says that all of it has been written, and what each of its files is known by."""
    write_json(checkpoint / _MARK, files)


def known_by(file: Path) -> list[int]:
    """A file's bytes: how many, and the CRC-32 of them all (4 GB/s; SHA-256 takes twice as long)."""
    crc = 0
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
        return [opened.tell(), crc]


def files_of(checkpoint: Path) -> list[str]:
    """What stands in it, but for its mark, in order."""
    files = (file for file in checkpoint.rglob("*") if file.is_file() and file.name != _MARK)
    return sorted(str(file.relative_to(checkpoint)) for file in files)


def last_complete(folder: Path) -> Path | None:
    """The newest checkpoint that every rank finished; None if there is none."""
    marked = _marked(folder)
    return marked[-1] if marked else None


def step_of(checkpoint: Path) -> int:
    """The optimiser step after which it was taken."""
    return int(checkpoint.name.split("-")[1])


def drop_unusable(folder: Path, say: Callable[[str], None]) -> None:
    """Deletes the checkpoints that a kill cut off, and the newest ones that are damaged, of which it speaks. Called before
    any rank trains."""
    for checkpoint in _checkpoints(folder):
        if not (checkpoint / _MARK).is_file():
            shutil.rmtree(checkpoint)
    faults = []
    while (newest := last_complete(folder)) and (fault := _fault(newest)):
        faults.append(f"{newest.name} ({fault})")
        (newest / _MARK).unlink()
        shutil.rmtree(newest)
    if faults:
        goes_on = f"goes on from {newest.name}" if newest else "begins anew, for no older one is whole"
        say(f"Damaged and deleted in {folder}: {', '.join(faults)}. The training {goes_on}.")


def drop_older(folder: Path) -> None:
    """Deletes all checkpoints but the newest. Which those are their steps say: by the files' times, as transformers goes, a
    clock that was set back would make the one just written the oldest, and so would a copy that was fetched in another order.
    """
    for checkpoint in _checkpoints(folder)[:-_STAYING]:
        (checkpoint / _MARK).unlink(missing_ok=True)  # first: what is half deleted counts no more
        shutil.rmtree(checkpoint)


def finish(job: TrainingJob, metrics: dict[str, Any]) -> None:
    """Leaves the numbers beside the model, then the mark that says what each file of it is known by; only then lets go of
    what a continuation would have needed."""
    write_json(job.metrics, metrics)
    files = {file.name for pattern in _OF_A_MODEL for file in job.out.glob(pattern)}
    known = {name: known_by(job.out / name) for name in sorted(files)}
    for path in (*map(job.out.joinpath, known), job.out):
        sync(path)  # with the checkpoints goes all that a loss of power would leave
    mark(job.out, known)
    sync(job.out)
    drop_all(job)


def finished(job: TrainingJob, say: Callable[[str], None]) -> dict[str, Any] | None:
    """The numbers of a training that came to its end, if only just: its model stands as it was written, and its checkpoints,
    which a kill may have left, are gone afterwards. None: there is something left to train, perhaps again."""
    if not (job.out / _MARK).is_file():
        return None
    if fault := _fault(job.out):
        say(
            f"The {job.kind} in {job.out} is damaged: {fault}. It is trained again, from its last checkpoint if there is one."
        )
        (job.out / _MARK).unlink()
        return None
    drop_all(job)
    metrics: dict[str, Any] = json.loads(job.metrics.read_text())
    return metrics


def drop_all(job: TrainingJob) -> None:
    """Deletes what only a continuation would have needed. A kill within this leaves no checkpoint that counts as complete."""
    for checkpoint in _marked(job.checkpoints):
        (checkpoint / _MARK).unlink()
    if job.checkpoints.exists():
        shutil.rmtree(job.checkpoints)


def _fault(checkpoint: Path) -> str:
    """What is wrong with a checkpoint, or a model, that was complete; "" if nothing is."""
    try:
        wanted = json.loads((checkpoint / _MARK).read_text())
    except ValueError:
        return f"its file {_MARK!r} cannot be read"
    for name, (size, crc) in sorted(wanted.items()):
        file = checkpoint / name
        if not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size != size:
            return f"{name} has {file.stat().st_size} bytes of {size}"
        if known_by(file) != [size, crc]:
            return f"{name} is not as it was written"
    return ""


def _marked(folder: Path) -> list[Path]:
    return [checkpoint for checkpoint in _checkpoints(folder) if (checkpoint / _MARK).is_file()]


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"), key=step_of)

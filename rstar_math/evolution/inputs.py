"""What is an input of a stage known by?

Files and folders -> digests. What becomes of a stage whose inputs changed stands in `store`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from rstar_math.checkpoints import sample
from rstar_math.config import MutualConfig, PolicyConfig, ProblemsConfig
from rstar_math.disk import digest, seal, unseal
from rstar_math.errors import StageError
from rstar_math.evolution.store import MANIFEST
from rstar_math.mutual.tasks import task_folder
from rstar_math.problems.benchmarks import benchmarks_of

#: What the models that no stage made were when a run first read them, in the run's folder: sample, and SHA-256 by file.
MODELS = "models.json"
_NOTE_ANEW = "Delete it: the models that the run reads are noted anew"
#: How the names of a model's files end: weights, configurations, and what a tokenizer may be made of.
_OF_A_MODEL = {".safetensors", ".bin", ".json", ".model", ".txt", ".jinja"}


def digest_of(path: Path) -> str:
    """What a stage's input is known by: its manifest's digest, a file's digest, or a sample of a model folder's files: other
    weights are told, one flipped bit in gigabytes is not."""
    if (path / MANIFEST).is_file():
        return digest(path / MANIFEST)
    if path.is_file():
        return digest(path)
    sampled = [(file.name, file.stat().st_size, sample(file)) for file in _files_of_a_model(path)]
    return hashlib.sha256(repr(sampled).encode()).hexdigest()


def check_foreign(given: Iterable[object], root: Path) -> None:
    """Whether the models among those that no stage made are, to the bit, what they were when the run in `root` first read
    them. It is what a stage looks at before it reads them: the sample tells at every start, in no time, that they are others.

    Raises:
        StageError: a file was altered since.
    """
    for path in (Path(value) for value in given if isinstance(value, str | Path)):
        if path.is_dir() and not (path / MANIFEST).is_file():
            _check_model(path, root / MODELS)


def _check_model(path: Path, file: Path) -> None:
    noted = unseal(file, _NOTE_ANEW)["models"] if file.is_file() else {}
    name, found = digest_of(path), {each.name: digest(each) for each in _files_of_a_model(path)}
    # By its path, or, where a run goes on elsewhere, by its sample.
    for own, kept in noted.items():
        if own == str(path) or kept["sample"] == name:
            _compare(path, kept["files"], found, file)
    if str(path) not in noted:
        seal(file, {"models": noted | {str(path): {"sample": name, "files": found}}})


def _compare(path: Path, kept: Mapping[str, str], found: Mapping[str, str], file: Path) -> None:
    for name in sorted({*kept, *found}):
        if kept.get(name) != found.get(name):
            what = "is damaged" if name in kept and name in found else "is new" if name in found else "is missing"
            raise StageError(
                f"{path / name} {what}: the model is not what it was when this run first read it. Copy it there again; if it "
                f"was meant to change, delete {file}, and do with from= what shall go by it"
            )


def _files_of_a_model(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.suffix in _OF_A_MODEL and file.is_file())


def files_of(knobs: object) -> dict[str, str]:
    """The bytes of the files that some knobs name: another file under the same path is another input."""
    if isinstance(knobs, MutualConfig):
        return {"mutual.task": _content(task_folder(knobs.task))}
    if not isinstance(knobs, ProblemsConfig):
        return {}
    problems = knobs
    named = {"problems.path": problems.path, "problems.held_out_path": problems.held_out_path}
    named |= {f"problems.decontaminate.{name}": source.path for name, source in benchmarks_of(problems).items()}
    return {name: digest_of(Path(path)) for name, path in named.items() if path and Path(path).is_file()}


def _content(folder: Path) -> str:
    files = sorted(file for file in folder.iterdir() if file.suffix in (".txt", ".yaml"))
    return hashlib.sha256(b"".join(f"{file.name}\n".encode() + file.read_bytes() for file in files)).hexdigest()


def endpoint_of(policy: PolicyConfig) -> str:
    """The model; a server may move to another address."""
    return str(policy.model)


def known_by(given: Path | str) -> str:
    """What an input is known by that a stage is given by its path, or a model by a name that no folder has."""
    path = Path(given)
    return digest_of(path) if path.exists() else hashlib.sha256(str(given).encode()).hexdigest()

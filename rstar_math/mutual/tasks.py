"""A folder -> the task that it describes.

`task.yaml` says how an answer and a last sub-question begin and how deep a path may be; a text file each mark holds worked
examples for it (`thought.txt`, `solution.txt`, …), `zero-shot.txt` what a model without examples is told. A new kind of
question is a new folder, in conf/mutual or anywhere.
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yaml import YAMLError  # type: ignore[import-untyped]

from rstar_math.config import CONF
from rstar_math.errors import ConfigError
from rstar_math.search.task import EXAMPLES, Task

_TASKS = CONF / "mutual"


class _Description(BaseModel):
    """What `task.yaml` may hold."""

    model_config = ConfigDict(extra="forbid")
    answer: str = Field(min_length=1)
    final: str = Field(min_length=1)
    depth: int = Field(ge=1)
    code: bool = False


def task_folder(name: str | None) -> Path:
    """The folder of a task by its name in conf/mutual, or a path.

    Raises:
        ConfigError: there is none.
    """
    found = next(
        (folder for folder in ((Path(name), _TASKS / name) if name else ()) if (folder / "task.yaml").is_file()), None
    )
    if found is None:
        known = ", ".join(sorted(folder.name for folder in _TASKS.iterdir() if folder.is_dir()))
        raise ConfigError(
            f"mutual.task={name}: there is no such folder with a task.yaml; give a path, or one of: {known}"
        )
    return found


def read_task(folder: Path) -> Task:
    """The task in a folder.

    Raises:
        ConfigError: its description cannot be read, or a file belongs to no mark.
    """
    try:
        said = _Description.model_validate(OmegaConf.to_container(OmegaConf.load(folder / "task.yaml")))
    except (ValidationError, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(f"{folder / 'task.yaml'} needs answer, final and depth: {error}") from error
    texts = {file.stem: _example(file) for file in sorted(folder.glob("*.txt"))}
    zero_shot = texts.pop("zero-shot", "")
    if strange := sorted(set(texts) - set(EXAMPLES.values())):
        known = ", ".join(f"{name}.txt" for name in EXAMPLES.values())
        raise ConfigError(f"{folder / strange[0]}.txt belongs to no line; expected zero-shot.txt and any of {known}")
    return Task(folder.name, said.answer, said.final, said.depth, texts, zero_shot, said.code)


def _example(file: Path) -> str:
    """An empty line stands between the examples and the question."""
    content = file.read_text(encoding="utf-8").strip()
    return f"{content}\n\n" if content else ""

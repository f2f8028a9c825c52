"""What is to be trained, and can it be?

The order that travels from the caller to every rank, checked as far as files and arithmetic go before anything starts.
It imports no torch and trains nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rstar_math.checkpoints import Kind, check_model_folder
from rstar_math.config import CONF, Objective, TrainingConfig
from rstar_math.errors import ConfigError, InputError

#: Where the DeepSpeed configurations lie that are known by name.
DEEPSPEED_FOLDER = CONF / "deepspeed"


@dataclass(frozen=True)
class TrainingJob:
    """One training.

    kind:       what comes out of it.
    base:       model folder it starts from: a base model, or for a PPM the policy of its round.
    data:       files of policy examples or of pairs (`training.rows` names their columns).
    out:        folder that the model is written to; checkpoints stand in it until the model does.
    objective:  what a PPM is trained to say.
    validation: pairs on which a PPM's pair accuracy is measured at the end; nothing is trained on them.
    """

    kind: Kind
    base: Path
    data: tuple[Path, ...]
    out: Path
    config: TrainingConfig
    seed: int = 0
    validation: Path | None = None
    objective: Objective = "pairwise"

    @property
    def checkpoints(self) -> Path:
        """Everything that a stopped training goes on from, and that a finished one deletes."""
        return self.out / "checkpoints"

    @property
    def metrics(self) -> Path:
        """The file that a finished training leaves its numbers in."""
        return self.out / "metrics.json"


class Batch(NamedTuple):
    """How an optimiser step is cut: rows that a rank holds at once, and how many times it does so."""

    micro: int
    accumulation: int


def batch_of(config: TrainingConfig) -> Batch:
    """The cut of `batch_size` over ranks and micro-batches.

    Raises:
        ConfigError: it cannot be cut into equal parts.
    """
    micro = min(config.micro_batch_size, config.batch_size // config.ranks)
    if not micro or config.batch_size % (micro * config.ranks):
        raise ConfigError(
            f"batch_size={config.batch_size} cannot be cut into {config.ranks} ranks x micro_batch_size="
            f"{config.micro_batch_size}. Make batch_size a multiple of ranks * micro_batch_size."
        )
    return Batch(micro, config.batch_size // (micro * config.ranks))


def deepspeed_config(name: str) -> dict[str, Any]:
    """The DeepSpeed configuration of that name in conf/deepspeed, or in the file of that path.

    Raises:
        ConfigError: there is no such file, or it is no JSON object with a `zero_optimization`.
    """
    named = DEEPSPEED_FOLDER / f"{name}.json"
    file = named if named.is_file() else Path(name)
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in DEEPSPEED_FOLDER.glob("*.json")))
        raise ConfigError(f"No DeepSpeed configuration {name!r}: expected one of {known}, or the path of a JSON file.")
    try:
        content = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise ConfigError(f"The DeepSpeed configuration {file} is no JSON: {error}.") from error
    if not isinstance(content, dict) or "zero_optimization" not in content:
        raise ConfigError(f"The DeepSpeed configuration {file} has no zero_optimization section. Add one.")
    return content


def check(job: TrainingJob) -> None:
    """Whether the job can start: its model, its files, its batch and its DeepSpeed configuration.

    Raises:
        ConfigError, InputError: something is missing or impossible; the message names it and the way out.
    """
    check_model_folder(job.base, "policy")
    for file in (*job.data, *filter(None, [job.validation])):
        if not file.is_file():
            raise InputError(f"The {job.kind} cannot be trained: {file} does not exist. Harvest first, or correct it.")
    batch_of(job.config)
    deepspeed_config(job.config.deepspeed)

"""What happens between two optimiser steps?

The loss is told to whoever watches, checkpoints are taken by steps and by minutes, and each is marked once every rank
has written its part. A checkpoint without that mark was cut off by a kill and is never resumed from. What stands in a
checkpoint is the Trainer's and DeepSpeed's business.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as ranks
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rstar_math.errors import TrainingError

_MARK = "complete"


class Progress(NamedTuple):
    """How far a training is: optimiser steps done of all, the mean loss since the last report, steps a second."""

    done: int
    total: int
    loss: float
    steps_per_second: float


def last_complete(folder: Path) -> Path | None:
    """The newest checkpoint that every rank finished; None if there is none."""
    whole = [checkpoint for checkpoint in _checkpoints(folder) if (checkpoint / _MARK).is_file()]
    return whole[-1] if whole else None


def drop_incomplete(folder: Path) -> None:
    """Delete the checkpoints that a kill cut off. One rank calls this, before any of them trains."""
    for checkpoint in _checkpoints(folder):
        if not (checkpoint / _MARK).is_file():
            shutil.rmtree(checkpoint)


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))


class Reporting(TrainerCallback):  # type: ignore[misc]
    """Tells the loss to `post` at every logged step; one rank carries it."""

    def __init__(self, post: Callable[[Progress], None]) -> None:
        self._post = post
        self._then: tuple[float, int] = (time.monotonic(), 0)

    def on_train_begin(self, _args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Start the clock where the training (re)starts."""
        self._then = (time.monotonic(), state.global_step)

    def on_log(self, _args: TrainingArguments, state: TrainerState, *_: Any, logs: dict[str, Any], **__: Any) -> None:
        """Post a loss (the Trainer's closing summary carries none).

        Raises:
            TrainingError: the loss is not a finite number.
        """
        if "loss" in logs:
            if not math.isfinite(logs["loss"]):
                raise TrainingError(
                    f"The loss became {logs['loss']} by step {state.global_step} of {state.max_steps}. Lower "
                    "learning_rate, or set precision=fp32; then start the stage anew."
                )
            now, (before, step) = time.monotonic(), self._then
            rate = (state.global_step - step) / max(now - before, 1e-9)
            self._post(Progress(state.global_step, state.max_steps, float(logs["loss"]), rate))
            self._then = (now, state.global_step)


class Saving(TrainerCallback):  # type: ignore[misc]
    """Asks for a checkpoint every so many steps or minutes, and marks it when all ranks have written theirs."""

    def __init__(self, steps: int | None, minutes: float | None) -> None:
        self._steps, self._seconds = steps, minutes * 60 if minutes else None
        self._saved = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Decide, alike on every rank. None is taken after the last step: the finished model follows at once."""
        due = self._steps is not None and state.global_step % self._steps == 0
        if not due and self._seconds is not None and state.global_step % state.logging_steps == 0:
            due = self._first_ranks_clock(args.device) >= self._seconds
        control.should_save = due and state.global_step < state.max_steps

    def on_save(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Mark the checkpoint just written."""
        ranks.barrier()
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _MARK).touch()
        self._saved = time.monotonic()

    def _first_ranks_clock(self, device: torch.device) -> float:
        """Seconds since the last checkpoint by rank 0's clock: the ranks' own clocks might disagree."""
        seconds = torch.tensor([time.monotonic() - self._saved], device=device)
        ranks.broadcast(seconds, src=0)
        return float(seconds)


class EpochOrder(TrainerCallback):  # type: ignore[misc]
    """Tells the row order which epoch begins, also when a resumed epoch's first batches are skipped."""

    def __init__(self, set_epoch: Callable[[int], None]) -> None:
        self._set_epoch = set_epoch

    def on_epoch_begin(self, _args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """The order of the epoch that the state stands in."""
        self._set_epoch(int(state.epoch or 0))

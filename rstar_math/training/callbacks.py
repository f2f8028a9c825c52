"""What happens between two optimiser steps?

The loss is told to whoever watches, and checkpoints are taken by steps, by minutes, and before the training stops because it
was asked to. Which of them a training goes on from is the business of `kept`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as ranks
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rstar_math.errors import TrainingError
from rstar_math.training.kept import drop_older, files_of, known_by, mark


class Progress(NamedTuple):
    """How far a training is: optimiser steps done of all, the mean loss since the last report, steps a second."""

    done: int
    total: int
    loss: float
    steps_per_second: float


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
    """Asks for a checkpoint every so many steps or minutes, and one before it stops the training because somebody asked for
    that; marks each when all ranks have written theirs.

    asked_to_stop: asked on rank 0, after each step.
    """

    def __init__(self, steps: int | None, minutes: float | None, asked_to_stop: Callable[[], bool]) -> None:
        self._steps, self._seconds = steps, minutes * 60 if minutes else math.inf
        self._asked_to_stop = asked_to_stop
        self._saved = time.monotonic()
        #: Whether it stopped the training before its last step.
        self.stopped = False

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Decide, alike on every rank. None is taken after the last step: the finished model follows at once."""
        overdue, stops = self._first_ranks_word(args.device)
        due = overdue or stops or (self._steps is not None and state.global_step % self._steps == 0)
        control.should_save = due and state.global_step < state.max_steps
        if stops and state.global_step < state.max_steps:
            control.should_training_stop = self.stopped = True

    def on_save(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Mark the checkpoint just written; only then do older ones go."""
        ranks.barrier()
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        files = _read_together(checkpoint)
        if state.is_world_process_zero:
            mark(checkpoint, files)
            drop_older(checkpoint.parent)
        self._saved = time.monotonic()

    def _first_ranks_word(self, device: torch.device) -> tuple[bool, bool]:
        """Whether a checkpoint is due by the minutes, and whether to stop: rank 0 says so, for the ranks' own clocks might
        disagree. To say it to others takes 0.1 ms, little beside the gradients that every step exchanges."""
        first = ranks.get_rank() == 0
        word = (first and time.monotonic() - self._saved >= self._seconds, first and self._asked_to_stop())
        if ranks.get_world_size() == 1:
            return word
        said = torch.tensor(word, dtype=torch.uint8, device=device)
        ranks.broadcast(said, src=0)
        overdue, stops = said.tolist()
        return bool(overdue), bool(stops)


class Living(TrainerCallback):  # type: ignore[misc]
    """Says of every step, of every micro-batch of it, and of every checkpoint that it is done: a large model's step takes
    minutes."""

    def __init__(self, did: Callable[[str], None]) -> None:
        self._did = did

    def on_train_begin(self, _args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """What it goes on from, if anything, is loaded."""
        self._did(f"step {state.global_step} was loaded" if state.global_step else "everything was loaded")

    def on_substep_end(self, _args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """A micro-batch."""
        self._did(f"a part of step {state.global_step + 1}")

    def on_step_end(self, _args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """A step."""
        self._did(f"step {state.global_step}")

    def on_save(self, _args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """A checkpoint."""
        self._did(f"checkpoint {state.global_step}")


class EpochOrder(TrainerCallback):  # type: ignore[misc]
    """Tells the row order which epoch begins, also when a resumed epoch's first batches are skipped."""

    def __init__(self, set_epoch: Callable[[int], None]) -> None:
        self._set_epoch = set_epoch

    def on_epoch_begin(self, _args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """The order of the epoch that the state stands in."""
        self._set_epoch(int(state.epoch or 0))


def _read_together(checkpoint: Path) -> dict[str, list[int]]:
    """File -> what it is known by. Every rank reads some: a large model's optimiser fills a hundred gigabytes."""
    names: list[Any] = [files_of(checkpoint)]
    ranks.broadcast_object_list(names, src=0)
    own = {name: known_by(checkpoint / name) for name in names[0][ranks.get_rank() :: ranks.get_world_size()]}
    parts: list[Any] = [None] * ranks.get_world_size()
    ranks.all_gather_object(parts, own)
    return {name: known for part in parts for name, known in part.items()}

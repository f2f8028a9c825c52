"""Is there room on the disk for what comes?

Before the first round and while trees are grown in words, before a training as a condition: its checkpoints are the largest
thing that a run ever writes, and a disk that fills while one is written costs the hours since the last.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rstar_math.checkpoints import parameters_of
from rstar_math.config import TrainingConfig
from rstar_math.errors import ConfigError, DiskError
from rstar_math.evolution.forecasting import foresee
from rstar_math.evolution.places import Place
from rstar_math.evolution.run import Run
from rstar_math.forecast.stages import CHECKPOINTS, WEIGHT_BYTES, checkpoint_bytes
from rstar_math.report.quantities import in_bytes

#: A disk with less than this left is about to be full, whatever is still to be written.
_RESERVE_BYTES = 100_000_000
_LOOK_SECONDS = 60.0


def say_if_short(run: Run) -> None:
    """One line, before the first round, where the disk has less room than the whole run is likely to take."""
    if run.store.folder(Place.of(1, "trees")).exists():
        return
    try:
        made, _ = foresee(replace(run.config, base=run.base))
    except ConfigError:  # a data set of unknown size: only the trainings can be judged
        return
    wanted, free = (made.total("disk") or 0.0) + made.checkpoints, shutil.disk_usage(run.store.root).free
    if wanted > free:
        run.progress.say(
            f"This run is likely to take {in_bytes(wanted)} in {run.store.root}, and {in_bytes(free)} are free: it ends with "
            "a message where they do not suffice, and goes on from there once there is room."
        )


@dataclass
class Watch:
    """Looks now and then whether what a stage has still to write into its folder will fit, and says so once where it will
    not: a run takes days, and others write to the same disk."""

    folder: Path
    say: Callable[[str], None]
    _next_look: float = 0.0

    def look(self, done: int, total: int) -> None:
        """So many problems of so many are done: the others are likely to take as much each."""
        if time.monotonic() < self._next_look or done >= total:
            return
        self._next_look = time.monotonic() + _LOOK_SECONDS
        written, free = _bytes_below(self.folder), shutil.disk_usage(self.folder).free
        wanted = max(written * (total - done) / max(done, 1), _RESERVE_BYTES)
        if free < wanted:
            self._next_look = math.inf
            self.say(
                f"{in_bytes(free)} are free in {self.folder.parent}, and the {total - done} problems that are left are "
                f"likely to take up to {in_bytes(wanted)}: make room. Where the disk fills the run ends with a message, and "
                "the same command goes on."
            )


def check_room(folder: Path, base: Path, training: TrainingConfig) -> None:
    """Whether the checkpoints of a training from `base`, then its weights, fit into `folder`; what is there already counts.

    Raises:
        DiskError: they do not.
    """
    parameters = parameters_of(base)
    wanted = (CHECKPOINTS * checkpoint_bytes(training) + WEIGHT_BYTES) * parameters
    there, free = _bytes_below(folder), shutil.disk_usage(folder).free
    if wanted > free + there:
        raise DiskError(
            f"Training {folder.name.removesuffix('.partial')} takes up to {in_bytes(wanted)} in {folder.parent} "
            f"({CHECKPOINTS} checkpoints of {parameters:,} parameters, then the weights), and {in_bytes(free)} are free. "
            "Everything finished is kept: make room and start the same command again."
        )


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

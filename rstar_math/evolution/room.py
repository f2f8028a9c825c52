"""Is there room on the disk for what comes?

Before the first round in words, before a training as a condition: its checkpoints are the largest thing that a run ever
writes, and a disk that fills while one is written costs the hours since the last.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from rstar_math.checkpoints import parameters_of
from rstar_math.config import TrainingConfig
from rstar_math.errors import ConfigError, DiskError
from rstar_math.evolution.forecasting import foresee
from rstar_math.evolution.places import Place
from rstar_math.evolution.run import Run
from rstar_math.forecast.stages import CHECKPOINTS, WEIGHT_BYTES, checkpoint_bytes
from rstar_math.report.quantities import in_bytes


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


def check_room(folder: Path, base: Path, training: TrainingConfig) -> None:
    """Whether the checkpoints of a training from `base`, then its weights, fit into `folder`; what is there already counts.

    Raises:
        DiskError: they do not.
    """
    parameters = parameters_of(base)
    wanted = (CHECKPOINTS * checkpoint_bytes(training) + WEIGHT_BYTES) * parameters
    there = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    free = shutil.disk_usage(folder).free
    if wanted > free + there:
        raise DiskError(
            f"Training {folder.name.removesuffix('.partial')} takes up to {in_bytes(wanted)} in {folder.parent} "
            f"({CHECKPOINTS} checkpoints of {parameters:,} parameters, then the weights), and {in_bytes(free)} are free. "
            "Everything finished is kept: make room and start the same command again."
        )

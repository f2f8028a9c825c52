"""Where does a training run?

On the Ray cluster that the caller joined. The caller's process only waits, and hears the loss as it is logged.
Continuing after a kill is calling `train` with the same job again. Importing this module imports no torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rstar_math.training.job import TrainingJob, check

if TYPE_CHECKING:
    from ray.util.queue import Queue

    from rstar_math.training.callbacks import Progress

#: Ray Train, told to look often whether a rank is done (it waits 2 s otherwise), to stay in the caller's folder, and to
#: leave out what is not used here. It reads these when it is imported.
_RAY_TRAIN = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


def train(job: TrainingJob, progress: Callable[[Progress], None]) -> dict[str, Any]:
    """Train `job` to its end, or go on with it; the model lies in `job.out` then. Returns the content of metrics.json.

    `progress` is called in this thread, once every `log_steps`. An exception in it, or a signal, ends the training; its
    complete checkpoints stay.

    Raises:
        ConfigError, InputError: the job cannot start.
        TrainingError: a rank failed; the message is its error's.
    """
    check(job)
    os.environ.update(_RAY_TRAIN)
    from ray.util.queue import Queue

    reports = Queue(actor_options={"num_cpus": 0})
    waiting = ThreadPoolExecutor(1)
    ended = waiting.submit(_run, _with_whole_paths(job), reports)
    try:
        for report in iter(reports.get, None):
            progress(report)
        ended.result()
    finally:
        # A rank that can report no more ends, so nothing trains on behind the back of an interrupted caller.
        reports.shutdown(force=True)
        waiting.shutdown(wait=False)
    metrics: dict[str, Any] = json.loads(job.metrics.read_text())
    return metrics


def _run(job: TrainingJob, reports: Queue) -> None:
    from rstar_math.training.workers import run_ranks

    try:
        run_ranks(job, reports)
    finally:
        reports.put(None)


def _with_whole_paths(job: TrainingJob) -> TrainingJob:
    """The job as a worker in another folder reads it."""
    return replace(
        job,
        base=job.base.resolve(),
        data=tuple(file.resolve() for file in job.data),
        out=job.out.resolve(),
        validation=job.validation and job.validation.resolve(),
    )

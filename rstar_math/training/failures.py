"""Why did the ranks of a training end?

What Ray Train says -> the reason in a line, and whether others may go on: that a process or a machine is gone says nothing
against the training; an error of its own would come again.
"""

from __future__ import annotations

import re

from ray.exceptions import RayActorError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.train.v2.api.exceptions import WorkerGroupError

from rstar_math.errors import TrainingError
from rstar_math.training.job import TrainingJob

#: What the other ranks hear of one that is gone, from gloo and from NCCL.
_CUT_OFF = re.compile(
    r"connection (?:closed|reset)|broken pipe|socket timeout|remote process exited|ncclRemoteError", re.I
)


def failed(job: TrainingJob, why: str) -> TrainingError:
    """The error of a training that only its cause being gone can mend."""
    return TrainingError(
        f"The training of the {job.kind} in {job.out} failed: {why}\nIts complete checkpoints are kept: once the cause is "
        "gone, the same command goes on from the last one."
    )


def reason(error: Exception) -> str:
    """In a line; where a rank died, that rank's: the others only lost their connection to it."""
    if isinstance(error, WorkerGroupError) and error.worker_failures:
        number, failure = min(error.worker_failures.items(), key=lambda each: (_is_cut_off(each[1]), each[0]))
        return f"rank {number}: {str(failure).strip().splitlines()[-1]}"
    last = str(error).strip().splitlines()[-1]
    return f"a part of Ray is gone: {last}" if isinstance(error, RayActorError) else last


def were_lost(error: Exception) -> bool:
    """Whether ranks ended with their process or machine, and none by an error of its own."""
    if not isinstance(error, WorkerGroupError) or not error.worker_failures:
        return False
    failures = error.worker_failures.values()
    return all(isinstance(failure, WorkerHealthCheckFailedError) or _is_cut_off(failure) for failure in failures)


def _is_cut_off(failure: Exception) -> bool:
    return not isinstance(failure, WorkerHealthCheckFailedError) and _CUT_OFF.search(str(failure)) is not None

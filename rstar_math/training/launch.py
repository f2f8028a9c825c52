"""Where does a training run?

On the Ray cluster that the caller joined. The caller's process only waits, and hears the loss as it is logged.
Continuing after a kill is calling `train` with the same job again. Importing this module imports no torch.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rstar_math.config import TrainingConfig
from rstar_math.errors import ConfigError, TrainingError, TrainingStuck
from rstar_math.grace import Grace
from rstar_math.training.job import TrainingJob, check
from rstar_math.training.kept import drop_unusable, finished

if TYPE_CHECKING:
    from rstar_math.training.callbacks import Progress
    from rstar_math.training.workers import Ranks

_log = logging.getLogger(__name__)
#: So often ranks that hang are started again for one training; then something is wrong that another start does not mend.
_RESTARTS = 3
#: So often is looked whether a node has joined.
_LOOK_SECONDS = 2.0
#: Ranks that are no longer needed have so long to end; of the grace so much is kept for ends that take their time.
_LAST_SECONDS, _ENDING_SECONDS = 15.0, 8.0
#: Ray Train, told to look often whether its ranks have ended (it waits 2 s otherwise), to let them wait for their place (more
#: than a minute is a failure otherwise), not to look for ranks that hang (ten minutes without an answer are a failure
#: otherwise; we start again), to stay in the caller's folder, and to leave out what is not used here. It reads these when it
#: is imported.
_RAY_TRAIN = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(7 * 24 * 3600),
    "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S": str(7 * 24 * 3600),
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


class Trainings:
    """The trainings of a run, one after the other; the next one's ranks may be started while others still work.

    With `beside`, the CPUs that others need between trainings, ranks that leave so many wait for the next training instead
    of ending: a small one is shorter than their start. A training that is stopped may take what is left of the `grace`, but
    for what its end takes, to save what it has; one whose ranks have done nothing for `silence_seconds`, or have died, is
    started again from its last checkpoint. Where there is no place for its ranks, nodes may take `join_seconds` to bring
    one. `say` hears what a person should know.
    """

    def __init__(
        self,
        *,
        beside: float | None = None,
        grace: Grace | None = None,
        silence_seconds: float = 1800.0,
        join_seconds: float = 0.0,
        say: Callable[[str], None] = _log.warning,
    ) -> None:
        self._beside, self._say = beside, say
        self._grace, self._silence_seconds, self._join_seconds = grace or Grace(30.0), silence_seconds, join_seconds
        self._over = Event()
        # On a thread: the first start imports torch, and the caller may have others to serve.
        self._starting = ThreadPoolExecutor(1, thread_name_prefix="trainings")
        self._prepared: Future[Ranks] | None = None
        self._at_work: Ranks | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._let_go()
        self._starting.shutdown()

    def prepare(self, config: TrainingConfig) -> None:
        """Starts the ranks that a training of that kind will need soon, and returns at once: they load their libraries
        meanwhile. Only where they take no device that is still in use."""
        ranks = self._at_work
        will_be_kept = ranks is not None and ranks.suit(config) and ranks.may_stay(self._beside)
        if self._prepared is None and not will_be_kept:
            self._prepared = self._starting.submit(self._start, config)

    def train(self, job: TrainingJob, progress: Callable[[Progress], None]) -> dict[str, Any]:
        """Train `job` to its end, or go on with it; the model lies in `job.out` then. Returns the content of metrics.json.
        Nothing is trained where a kill came between the end of the training and what its caller does with it.

        `progress` is called in this thread, once every `log_steps`. An exception in it, or a signal, ends the training;
        its complete checkpoints stay. After KeyboardInterrupt a last one is taken first.

        Raises:
            ConfigError, InputError: the job cannot start.
            TrainingError: a rank failed, and the message is its error's; or the ranks hung or died too often.
        """
        check(job)
        hung = 0
        while True:
            try:
                return self._go_on(job, progress)
            except TrainingStuck as error:
                hung += 1
                if hung > _RESTARTS:
                    raise TrainingError(_hangs(job, hung, error, self._silence_seconds)) from error
                self._say(f"The training of the {job.kind}: {error}. It is started again, from its last checkpoint.")

    def _go_on(self, job: TrainingJob, progress: Callable[[Progress], None]) -> dict[str, Any]:
        """From what is there to the end, once."""
        if (metrics := finished(job, self._say)) is not None:
            return metrics
        drop_unusable(job.checkpoints, self._say)
        ranks = self._at_work = self._ranks(job.config)
        with ExitStack() as at_the_end:
            at_the_end.callback(self._end, ranks)
            try:
                ranks.train(_with_whole_paths(job), progress)
            except KeyboardInterrupt:
                self._grace.begin()
                seconds = max(self._grace.left - _ENDING_SECONDS, self._grace.left / 2)
                self._say(f"Saving the {job.kind}'s training, for {seconds:.0f} s at most.")
                ranks.stop(seconds)
                raise
            if self._prepared is None and ranks.may_stay(self._beside):
                at_the_end.pop_all()
                self._prepared = Future()
                self._prepared.set_result(ranks)
        made: dict[str, Any] = json.loads(job.metrics.read_text())
        return made

    def _ranks(self, config: TrainingConfig) -> Ranks:
        """Those that were prepared if they suit, else new ones."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None and prepared.exception() is None:  # there may be room by now where there was none
            ranks = prepared.result()
            if ranks.suit(config):
                return ranks
            self._end(ranks)
        return self._starting.submit(self._start, config).result()

    def _start(self, config: TrainingConfig) -> Ranks:
        os.environ.update(_RAY_TRAIN)
        from rstar_math.training.workers import Ranks

        until, said = time.monotonic() + self._join_seconds, False
        while True:
            try:
                return Ranks(config, self._silence_seconds, self._say)
            except ConfigError as error:
                if time.monotonic() >= until or self._over.wait(_LOOK_SECONDS):
                    raise
                if not said:
                    self._say(f"{error} It waits {self._join_seconds / 60:g} minutes for them (cluster.join_minutes).")
                said = True

    def _let_go(self) -> None:
        prepared, self._prepared = self._prepared, None
        if prepared is not None and prepared.exception() is None:
            self._end(prepared.result())

    def _end(self, ranks: Ranks) -> None:
        ranks.end(min(_LAST_SECONDS, self._grace.left))


def _hangs(job: TrainingJob, times: int, error: TrainingStuck, limit: float) -> str:
    return (
        f"The training of the {job.kind} in {job.out} hung or died {times} times, the last time so: {error}. Look at the "
        "machines of the ranks that are named (what their network, memory and GPUs and the folder of the run are doing; "
        f"NCCL_DEBUG=INFO says more), or raise cluster.training_silence_seconds, now {limit:g}, where a step or a checkpoint "
        "takes longer than that. Its complete checkpoints are kept: the same command goes on from the last one."
    )


def _with_whole_paths(job: TrainingJob) -> TrainingJob:
    """The job as a worker in another folder reads it."""
    return replace(
        job,
        base=job.base.resolve(),
        data=tuple(file.resolve() for file in job.data),
        out=job.out.resolve(),
        validation=job.validation and job.validation.resolve(),
    )

"""How are the ranks of a training started?

As the workers of a Ray Train run: one a rank, with a GPU each where there are GPUs, in one process group (NCCL on GPUs,
gloo on CPUs). They load their libraries, which takes longer than a small training, and then wait for jobs, so they may be
started before there is one, and kept for the next. What a rank does with a job is `training.rank`'s business.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig, get_context
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.callback import WorkerGroupCallback
from ray.train.v2.api.exceptions import TrainingFailedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rstar_math.config import TrainingConfig
from rstar_math.errors import ConfigError, TrainingStuck
from rstar_math.training.devices import on_gpus
from rstar_math.training.exchange import THREAD, Exchange, Job, JobDone, Pulse
from rstar_math.training.failures import failed, reason, were_lost
from rstar_math.training.job import TrainingJob, deepspeed_config

if TYPE_CHECKING:
    from rstar_math.training.callbacks import Progress

#: A collective may wait this long: rank 0 encodes a large data set while the others wait for it.
_COLLECTIVE_TIMEOUT_SECONDS = 4 * 3600
#: The exchange lives in its own process, does nothing long and answers sooner than this.
_ANSWER_SECONDS = 10.0
#: Ray counts resources in ten-thousandths.
_UNIT = 10_000
#: A job is given out once. Ranks that Ray Train started again for it, which it does by itself where a node was taken away,
#: would wait for ever; those that died before they came to ask for a job may be started again.
ONE_LIFE = FailureConfig(max_failures=0, max_preemption_failures=0, controller_failure_limit=3)
#: A rank's environment. Idle threads sleep instead of spinning against the other processes of a small machine. Nothing
#: is compiled here, yet DeepSpeed would load the compiler (1 s).
_RANK = {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0", "TORCHDYNAMO_DISABLE": "1"}


class _Trainer(TorchTrainer):  # type: ignore[misc]
    """Ray Train without two of its processes.

    The guard against a dead controller: the caller's end frees the ranks' places as well. The manager of Ray data sets:
    ranks read their rows from a file.
    """

    def _create_default_callbacks(self) -> list[Any]:
        return [
            item
            for item in super()._create_default_callbacks()
            if not isinstance(item, PlacementGroupCleanerCallback | DatasetsCallback)
        ]


class _Placed(WorkerGroupCallback):  # type: ignore[misc]
    """Tells the exchange who the ranks are, once they have their places."""

    def __init__(self, exchange: Any) -> None:
        self._exchange = exchange

    def before_init_train_context(self, workers: Sequence[Any]) -> dict[str, Any]:
        """Called by Ray Train, before their process group is made; adds nothing to their context."""
        ray.get(self._exchange.placed.remote([worker.actor for worker in workers]))
        return {}


class Ranks:
    """Ranks, from their start to their end. They do one training after the other.

    Attributes:
        silence_seconds: so long none of them may have done anything.
    """

    def __init__(self, config: TrainingConfig, silence_seconds: float, say: Callable[[str], None]) -> None:
        """Starts them; returns at once. `say` hears that they wait for their places.

        Raises:
            ConfigError: the cluster's nodes, were they empty, had no places for all of them.
        """
        self._config, self.silence_seconds, self._say = config, silence_seconds, say
        self._on_gpus = on_gpus()
        self._each = {"GPU": 1.0, "CPU": 1.0} if self._on_gpus else {"CPU": config.cpus_per_rank}
        self._check_places()
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        self._exchange: Any = ray.remote(Exchange).options(num_cpus=0, scheduling_strategy=here).remote()
        self._at_work = False
        self._ended = Future[None]()
        # A daemon: where ranks never find their places this does not return, and the program has to end all the same.
        self._thread = Thread(target=self._run, name=THREAD, daemon=True)
        self._thread.start()

    def suit(self, config: TrainingConfig) -> bool:
        """Whether they can do a training of that kind, and have not ended."""
        return _form(self._config) == _form(config) and not self._ended.done()

    def may_stay(self, beside: float | None) -> bool:
        """Whether they may wait for their next job while others need `beside` CPUs (None: no). Not on GPUs, whose memory the
        engines want; nor where the others would wait for the ranks' CPUs, for ever."""
        held = self._config.ranks * self._config.cpus_per_rank
        there = float(ray.cluster_resources().get("CPU", 0))
        return beside is not None and not self._on_gpus and held + beside <= there

    def train(self, job: TrainingJob, progress: Callable[[Progress], None]) -> None:
        """Does the job; returns at its end. `progress` is called in this thread.

        Raises:
            TrainingStuck: they hang, or have died; the message says who does what.
            TrainingError: a rank failed; the message is its error's.
        """
        self._at_work = True
        try:
            self._hand_over(job)
            while (report := self._next_report()) is not None:
                if isinstance(report, JobDone):
                    self._at_work = False
                    return
                progress(report)
            self._ended.result()
        except (TrainingFailedError, RayError) as error:
            if were_lost(error) and self._is_carried():
                raise TrainingStuck(f"its ranks are gone ({reason(error)})") from error
            raise failed(job, reason(error)) from error
        raise failed(job, "its ranks ended before it did")

    def stop(self, seconds: float) -> None:
        """Where they are between two steps of a job, lets them save a checkpoint after the step that they are in; waits for
        that, so long at most."""
        with suppress(RayError):  # it took longer, or nobody is there any more
            self._at_work = not ray.get(self._exchange.stop.remote(), timeout=seconds)

    def end(self, seconds: float) -> None:
        """Ends them, whatever they do, and waits for it, so long at most: a rank that hears from nobody ends, so nothing
        trains on behind anybody's back."""
        until = time.monotonic() + seconds
        with suppress(RayError):  # they were faster, or Ray is gone
            if self._at_work or self._ended.done():
                self._kill(seconds / 2)
            else:
                self._let_go(seconds / 2)
        self._thread.join(max(until - time.monotonic(), 1.0))
        with suppress(RayError):
            ray.kill(self._exchange)  # nobody else has a word for it, and its process would last as long as this object

    def _next_report(self) -> Progress | JobDone | None:
        """Waits for it, as long as the ranks do something.

        Raises:
            TrainingStuck: they do not.
        """
        report, patience = self._exchange.next_report.remote(), self.silence_seconds
        while not ray.wait([report], timeout=patience)[0]:
            patience = self._look()
        told: Progress | JobDone | None = ray.get(report)
        return told

    def _look(self) -> float:
        """How long nobody need look again."""
        limit = self.silence_seconds
        try:
            standing = ray.get(self._exchange.standing.remote(limit), timeout=_ANSWER_SECONDS)
        except GetTimeoutError as error:
            raise TrainingStuck(
                f"for {limit:.0f} s nothing was heard of its ranks, and who carries their words is stuck"
            ) from error
        if standing is None:
            self._say(
                f"for {limit:.0f} s no rank of the training has found its place: it waits for room (`ray status` says "
                "what the cluster has left; cluster.keep_engines=false keeps no engines beside it)"
            )
        elif standing.seconds >= limit:
            raise TrainingStuck(f"no step finished for {standing.seconds:.0f} s: {standing.words}")
        return limit - standing.seconds if standing else limit

    def _hand_over(self, job: TrainingJob) -> None:
        """Leaves the job for them. Who carries it may still be starting, so it has as long as they have.

        Raises:
            TrainingStuck: it is stuck.
        """
        limit = self.silence_seconds
        try:
            self._leave((job, deepspeed_config(job.config.deepspeed)), limit)
        except GetTimeoutError as error:
            raise TrainingStuck(
                f"for {limit:.0f} s its ranks got no job, for who carries it to them is stuck"
            ) from error

    def _let_go(self, seconds: float) -> None:
        """Says that there is no other job; where that reaches nobody, they end with who should have carried it."""
        try:
            self._leave(None, min(_ANSWER_SECONDS, seconds))
        except GetTimeoutError:
            ray.kill(self._exchange)

    def _kill(self, seconds: float) -> None:
        """Also a rank that hears nothing: Ray ends a process that does not end by itself within seconds."""
        with suppress(GetTimeoutError):
            for actor in ray.get(self._exchange.actors.remote(), timeout=min(_ANSWER_SECONDS, seconds)):
                ray.kill(actor)
        ray.kill(self._exchange)

    def _is_carried(self) -> bool:
        """Whether who carries the jobs still answers: it lives on this machine, without which nothing can go on."""
        try:
            ray.get(self._exchange.actors.remote(), timeout=_ANSWER_SECONDS)
        except RayError:
            return False
        return True

    def _leave(self, job: Job | None, seconds: float) -> None:
        ray.get(self._exchange.leave_job.remote(job, self._config.ranks), timeout=seconds)

    def _check_places(self) -> None:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        places = sum(
            min(round(node.get(kind, 0.0) * _UNIT) // round(each * _UNIT) for kind, each in self._each.items())
            for node in nodes
        )
        if self._config.ranks > places:
            each = " and ".join(f"{count:g} {kind}s" for kind, count in self._each.items())
            raise ConfigError(
                f"ranks={self._config.ranks}, and the cluster has places for {places}, of {each} of one machine each. Lower "
                "ranks or cpus_per_rank, or add nodes."
            )

    def _run(self) -> None:
        say = partial(self._ended.set_result, None)
        try:
            with TemporaryDirectory(prefix="ranks-", dir=_session()) as own_state:
                self._trainer(own_state).fit()
        except Exception as error:  # noqa: BLE001 - whoever waits for their end raises it again
            say = partial(self._ended.set_exception, error)
        self._say_the_end()
        say()  # last of all: who waits for it may leave Ray next, and a word after that would start another cluster

    def _trainer(self, own_state: str) -> _Trainer:
        environment = _RANK | ({} if self._on_gpus else {"DS_ACCELERATOR": "cpu"})
        if self._config.threads_per_rank:
            environment["OMP_NUM_THREADS"] = str(self._config.threads_per_rank)
        return _Trainer(
            _run_rank,
            train_loop_config={"exchange": self._exchange},
            torch_config=TorchConfig(timeout_s=_COLLECTIVE_TIMEOUT_SECONDS),
            scaling_config=ScalingConfig(
                num_workers=self._config.ranks, use_gpu=self._on_gpus, resources_per_worker=self._each
            ),
            run_config=RunConfig(
                name="ray",
                storage_path=own_state,
                worker_runtime_env={"env_vars": environment},
                logging_config=LoggingConfig(log_level="ERROR"),
                failure_config=ONE_LIFE,
                callbacks=[_Placed(self._exchange)],
            ),
        )

    def _say_the_end(self) -> None:
        with suppress(RayError):  # `end` was faster: nobody listens
            ray.get(self._exchange.report.remote(None))


def _session() -> Path:
    """Where Ray keeps what it writes on this machine: what a killed caller leaves of its ranks lies there, not beside it."""
    here = ray.get_runtime_context()
    return Path(here.get_temp_dir(), here.get_session_name())


def _run_rank(given: dict[str, Any]) -> None:
    exchange, number = given["exchange"], get_context().get_world_rank()
    pulse = Pulse(lambda done, words: exchange.hear.remote(number, done, words))
    from rstar_math.training import rank

    pulse.did("its libraries were loaded")

    def report(what: Progress | JobDone) -> None:
        ray.get(exchange.report.remote(what))

    while (given_job := ray.get(exchange.take_job.remote())) is not None:
        job, deepspeed = given_job
        rank.run(job, deepspeed, report, _Asked(exchange), pulse.did)
        gc.collect()  # the engine of DeepSpeed refers to itself
        if number == 0:
            report(JobDone())


class _Asked:
    """Whether the caller wants the job to stop. Asked after every step, so it waits for nothing: the answer will come."""

    def __init__(self, exchange: Any) -> None:
        self._exchange, self._answer = exchange, None

    def __call__(self) -> bool:
        """Raises RayError where nobody listens any more."""
        if self._answer is None:
            self._answer = self._exchange.stop_wanted.remote()
        if not ray.wait([self._answer], timeout=0)[0]:
            return False
        ray.get(self._answer)
        return True


def _form(config: TrainingConfig) -> tuple[Any, ...]:
    """What a process of a rank cannot change once it has trained: accelerate and DeepSpeed keep it for the process."""
    return config.ranks, config.threads_per_rank, config.cpus_per_rank, config.deepspeed, config.precision

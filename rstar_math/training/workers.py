"""How are the ranks of a training started?

As the workers of a Ray Train run: one a rank, with a GPU each where there are GPUs, in one process group (NCCL on GPUs,
gloo on CPUs). They load their libraries, which takes longer than a small training, and then wait for their job, so they
may be started before there is one. What a rank does with the job is `training.rank`'s business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError
from ray.train import LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

from rstar_math.config import TrainingConfig
from rstar_math.errors import ConfigError, TrainingError
from rstar_math.training.job import TrainingJob, deepspeed_config

if TYPE_CHECKING:
    from rstar_math.training.callbacks import Progress

#: A collective may wait this long: rank 0 encodes a large data set while the others wait for it.
_COLLECTIVE_TIMEOUT_SECONDS = 4 * 3600
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


class Exchange:
    """Where the caller leaves the job, once a rank, and rank 0 its reports; None is the last of them. A Ray actor: when
    it ends, so do ranks that wait for it or report to it."""

    def __init__(self) -> None:
        self._jobs: asyncio.Queue[tuple[TrainingJob, dict[str, Any]]] = asyncio.Queue()
        self._reports: asyncio.Queue[Progress | None] = asyncio.Queue()

    async def leave_job(self, job: TrainingJob, deepspeed: dict[str, Any]) -> None:
        """The job, with DeepSpeed's configuration, for every rank."""
        for _ in range(job.config.ranks):
            await self._jobs.put((job, deepspeed))

    async def take_job(self) -> tuple[TrainingJob, dict[str, Any]]:
        """Waits for it."""
        return await self._jobs.get()

    async def report(self, progress: Progress | None) -> None:
        """Tells the caller."""
        await self._reports.put(progress)

    async def next_report(self) -> Progress | None:
        """Waits for one."""
        return await self._reports.get()


class Ranks:
    """The ranks of one training, from their start to their end."""

    def __init__(self, config: TrainingConfig) -> None:
        """Starts them; returns at once.

        Raises:
            ConfigError: the cluster has fewer GPUs (without any: CPUs) than ranks are asked for.
        """
        gpus = int(ray.cluster_resources().get("GPU", 0))
        there, unit = (gpus, "GPUs") if gpus else (int(ray.cluster_resources().get("CPU", 0)), "CPUs")
        if config.ranks > there:
            raise ConfigError(f"ranks={config.ranks}, but the cluster has {there} {unit}. Lower ranks, or add nodes.")
        self._config = config
        self._exchange: Any = ray.remote(Exchange).options(num_cpus=0).remote()
        self._waiting = ThreadPoolExecutor(1)
        self._ended = self._waiting.submit(self._run, bool(gpus))

    def suit(self, config: TrainingConfig) -> bool:
        """Whether they can do a training of that kind, and have not ended."""
        mine, others = ((each.ranks, each.threads_per_rank, each.cpus_per_rank) for each in (self._config, config))
        return mine == others and not self._ended.done()

    def train(self, job: TrainingJob, progress: Callable[[Progress], None]) -> None:
        """Does the job; returns at its end. `progress` is called in this thread.

        Raises:
            TrainingError: a rank failed; the message is its error's.
        """
        ray.get(self._exchange.leave_job.remote(job, deepspeed_config(job.config.deepspeed)))
        while (report := ray.get(self._exchange.next_report.remote())) is not None:
            progress(report)
        try:
            self._ended.result()
        except TrainingFailedError as error:
            raise TrainingError(
                f"The training of the {job.kind} in {job.out} failed: {_reason(error)}\nIts complete checkpoints are kept: "
                "once the cause is gone, the same command goes on from the last one."
            ) from error

    def end(self) -> None:
        """Ends them, whatever they do: a rank that can report no more ends, so nothing trains on behind anybody's back."""
        ray.kill(self._exchange)
        self._waiting.shutdown(wait=False)

    def _run(self, on_gpus: bool) -> None:
        try:
            with TemporaryDirectory(prefix="rstar-ranks-") as own_state:
                self._trainer(on_gpus, own_state).fit()
        finally:
            self._say_the_end()

    def _trainer(self, on_gpus: bool, own_state: str) -> _Trainer:
        environment = _RANK | ({} if on_gpus else {"DS_ACCELERATOR": "cpu"})
        if self._config.threads_per_rank:
            environment["OMP_NUM_THREADS"] = str(self._config.threads_per_rank)
        each = {"GPU": 1.0, "CPU": 1.0} if on_gpus else {"CPU": self._config.cpus_per_rank}
        return _Trainer(
            _run_rank,
            train_loop_config={"exchange": self._exchange},
            torch_config=TorchConfig(timeout_s=_COLLECTIVE_TIMEOUT_SECONDS),
            scaling_config=ScalingConfig(num_workers=self._config.ranks, use_gpu=on_gpus, resources_per_worker=each),
            run_config=RunConfig(
                name="ray",
                storage_path=own_state,
                worker_runtime_env={"env_vars": environment},
                logging_config=LoggingConfig(log_level="ERROR"),
            ),
        )

    def _say_the_end(self) -> None:
        try:
            ray.get(self._exchange.report.remote(None))
        except RayActorError:  # `end` was faster: nobody listens
            return


def _run_rank(given: dict[str, Any]) -> None:
    from rstar_math.training import rank

    exchange = given["exchange"]
    job, deepspeed = ray.get(exchange.take_job.remote())
    rank.run(job, deepspeed, lambda progress: ray.get(exchange.report.remote(progress)))


def _reason(error: TrainingFailedError) -> str:
    if isinstance(error, WorkerGroupError) and error.worker_failures:
        number, failure = min(error.worker_failures.items())
        return f"rank {number}: {str(failure).strip().splitlines()[-1]}"
    return str(error).strip().splitlines()[-1]

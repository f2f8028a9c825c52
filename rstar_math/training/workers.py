"""How are the ranks of a training started?

As the workers of a Ray Train run: one a rank, with a GPU each where there are GPUs, in one process group (NCCL on GPUs,
gloo on CPUs). What a worker then does is `training.rank`'s business; who listens to it is `training.launch`'s.
"""

from __future__ import annotations

from typing import Any

import ray
from ray.train import LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError
from ray.util.queue import Queue

from rstar_math.errors import ConfigError, TrainingError
from rstar_math.training.job import TrainingJob, deepspeed_config

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


def run_ranks(job: TrainingJob, reports: Queue) -> None:
    """Run every rank of `job` to its end; rank 0 puts its progress into `reports`.

    Raises:
        ConfigError: the cluster has fewer GPUs (without any: CPUs) than ranks are asked for.
        TrainingError: a rank failed; the message is its error's.
    """
    gpus = int(ray.cluster_resources().get("GPU", 0))
    there, unit = (gpus, "GPUs") if gpus else (int(ray.cluster_resources().get("CPU", 0)), "CPUs")
    if job.config.ranks > there:
        raise ConfigError(f"ranks={job.config.ranks}, but the cluster has {there} {unit}. Lower ranks, or add nodes.")
    environment = _RANK | ({} if gpus else {"DS_ACCELERATOR": "cpu"})
    if job.config.threads_per_rank:
        environment["OMP_NUM_THREADS"] = str(job.config.threads_per_rank)
    trainer = _Trainer(
        _run_rank,
        train_loop_config={"job": job, "deepspeed": deepspeed_config(job.config.deepspeed), "reports": reports},
        torch_config=TorchConfig(timeout_s=_COLLECTIVE_TIMEOUT_SECONDS),
        scaling_config=ScalingConfig(num_workers=job.config.ranks, use_gpu=bool(gpus)),
        run_config=RunConfig(
            name="ray",
            storage_path=str(job.checkpoints),
            worker_runtime_env={"env_vars": environment},
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        raise TrainingError(
            f"The training of the {job.kind} in {job.out} failed: {_reason(error)}\nIts complete checkpoints are kept: "
            "once the cause is gone, the same command goes on from the last one."
        ) from error


def _run_rank(order: dict[str, Any]) -> None:
    from rstar_math.training import rank

    rank.run(order["job"], order["deepspeed"], order["reports"].put)


def _reason(error: TrainingFailedError) -> str:
    if isinstance(error, WorkerGroupError) and error.worker_failures:
        number, failure = min(error.worker_failures.items())
        return f"rank {number}: {str(failure).strip().splitlines()[-1]}"
    return str(error).strip().splitlines()[-1]

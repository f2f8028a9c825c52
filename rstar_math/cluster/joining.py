"""Which cluster does a run join, and can that hold what the run asks for?

Ray is started or joined here. No actor is.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Sequence

import ray

from rstar_math.config import EngineConfig, RunConfig
from rstar_math.errors import ConfigError


def gpus_each(config: EngineConfig) -> float:
    """GPUs one engine asks for: none where the cluster has none."""
    return config.gpus * config.tensor_parallel if ray.cluster_resources().get("GPU", 0) else 0.0


def connect(config: RunConfig) -> None:
    """Joins the cluster, or starts one on this machine for this run; checks that it can hold what the run asks of it.

    Raises:
        ConfigError: the engines and workers ask for more CPUs than the cluster has.
    """
    if not ray.is_initialized():
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        logging.getLogger("ray").setLevel(logging.ERROR)  # errors keep their message, advice stays in Ray's own logs
        ray.init(
            address=config.cluster.address,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            runtime_env=quoted_interpreter(),
        )
    there = ray.cluster_resources()
    if (asked := _asked_cpus(config)) > there.get("CPU", 0.0):
        raise ConfigError(
            f"the run asks for {asked:g} CPUs at once and the cluster has {there.get('CPU', 0.0):g}; lower engine.cpus, "
            "ppm_engine.cpus, cluster.search_cpus or cluster.search_workers, or add nodes"
        )
    gpus = sum(engine.replicas * gpus_each(engine) for engine in (config.engine, config.ppm_engine))
    if gpus > there.get("GPU", 0.0):
        raise ConfigError(
            f"the engines ask for {gpus:g} GPUs at once and the cluster has {there['GPU']:g}; lower engine.replicas, "
            "engine.gpus, ppm_engine.replicas or ppm_engine.gpus (cluster=1gpu fits one), or add nodes"
        )


def quoted_interpreter() -> dict[str, str] | None:
    """Where the interpreter's path has a space, Ray has to be given it quoted: it starts some workers through a shell."""
    quoted = shlex.quote(sys.executable)
    return {"py_executable": quoted} if quoted != sys.executable else None


def _asked_cpus(config: RunConfig) -> float:
    engines: Sequence[EngineConfig] = (config.engine, config.ppm_engine)
    return (
        sum(engine.replicas * engine.cpus for engine in engines)
        + config.cluster.search_workers * config.cluster.search_cpus
    )

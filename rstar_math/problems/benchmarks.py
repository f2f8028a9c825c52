"""name -> the problems of a benchmark: where are they, and what stands in them?

A benchmark is a file of conf/benchmark, which says where its problems are, or a file of problems itself. It is read as it is:
what repeats itself is measured on more than once. Which problems are trained on stands in `splitting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from rstar_math.config import CONF, BenchmarkConfig, ProblemsConfig
from rstar_math.errors import ConfigError
from rstar_math.problems.reading import read_problems
from rstar_math.problems.splitting import problem_sets
from rstar_math.records import Problem


def benchmark_names() -> list[str]:
    """Those of conf/benchmark."""
    return sorted(path.stem for path in (CONF / "benchmark").glob("*.yaml"))


def compose_benchmark(name: str) -> BenchmarkConfig:
    """What conf/benchmark/NAME.yaml says.

    Raises:
        ConfigError: there is no such file, or it holds what no benchmark has.
    """
    if name not in benchmark_names():
        raise ConfigError(f"benchmark={name}: choose from {', '.join(benchmark_names())}, or name problems.path=FILE")
    try:
        return TypeAdapter(BenchmarkConfig).validate_python(
            OmegaConf.to_container(OmegaConf.load(CONF / "benchmark" / f"{name}.yaml"))
        )
    except (ValidationError, OmegaConfBaseException) as error:
        raise ConfigError(f"conf/benchmark/{name}.yaml: {error}") from None


def benchmarks_of(problems: ProblemsConfig) -> dict[str, ProblemsConfig]:
    """What `problems.decontaminate` names -> where it is read: a file, or a benchmark in the folder `problems.benchmarks` or
    on the hub.

    Raises:
        ConfigError: it is neither, or the benchmark's problems are not there.
    """
    if problems.benchmarks and not Path(problems.benchmarks).is_dir():
        raise ConfigError(f"problems.benchmarks={problems.benchmarks}: there is no such folder")
    return {name: _source(name, problems.benchmarks) for name in problems.decontaminate}


def _source(name: str, folder: str | None) -> ProblemsConfig:
    if name in benchmark_names():
        return compose_benchmark(name).problems(name, Path(folder) if folder else None, ProblemsConfig())
    if not Path(name).suffix:
        known = ", ".join(benchmark_names())
        raise ConfigError(f"problems.decontaminate: got {name}; expected a file of problems, or one of {known}")
    return ProblemsConfig(path=name)


def read_benchmark(problems: ProblemsConfig, seed: int, repeats: list[str]) -> Sequence[Problem]:
    """All problems of a benchmark; nothing named: the embedded held-out set. What stands in it more than once is said in
    `repeats`."""
    if problems.path or problems.dataset:
        return read_problems(problems, repeats)
    return problem_sets(problems, seed).held_out[: problems.limit]

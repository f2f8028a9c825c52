"""What must stand in the environment before vLLM is imported?

EngineConfig -> environment variables of this process, and those that its children inherit. vLLM, torch and transformers
read them once, while they are imported, so `prepare` is called first. It starts nothing.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rstar_math.config import EngineConfig
from rstar_math.errors import EngineError

#: Set where the person at the keyboard has not set them: VLLM_LOGGING_LEVEL=DEBUG in the shell shows all of it again.
_DEFAULTS = {
    # Errors keep their message; what vLLM is pleased to report about itself does not drown the terminal.
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # Threads that wait sleep: a spinning one takes its core from the search and the sandbox beside it.
    "OMP_WAIT_POLICY": "passive",
    "KMP_BLOCKTIME": "0",
}


def prepare(config: EngineConfig) -> None:
    """Sets what an engine with this configuration needs. Call it before vllm, torch or transformers is imported."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    # vLLM writes a line or two before it reads its own level, and uses names that torch is about to retire.
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"vllm\.")
    if config.cpu_threads:
        os.environ["OMP_NUM_THREADS"] = str(config.cpu_threads)
        # Workers of a tensor-parallel CPU engine would otherwise be pinned to cores of vLLM's own choice.
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    if on_cpu():
        # One process instead of three: a quarter of the start-up, and no token crosses a process border. On a GPU
        # vLLM's default stays, where the engine's process feeds the GPU while this one prepares the next requests.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        find_numa()


@contextmanager
def own_preload() -> Iterator[None]:
    """Takes back what vLLM adds to LD_PRELOAD while an engine starts: it is meant for the engine's own workers.

    Left there, every later child of this process would load it; and from a folder with a space in its name none could: the
    loader cuts the path at the space and complains on the child's standard error.
    """
    before = os.environ.get("LD_PRELOAD")
    try:
        yield
    finally:
        os.environ.pop("LD_PRELOAD", None)
        if before is not None:
            os.environ["LD_PRELOAD"] = before


def find_numa() -> str:
    """Loads libnuma, which vLLM's CPU build needs: the machine's, else the one that `make setup` built, for this process and
    its children. Returns which, in words.

    Raises:
        EngineError: there is neither.
    """
    try:
        ctypes.CDLL("libnuma.so.1")
    except OSError:
        folder = Path(sys.prefix, "lib")
        try:
            ctypes.CDLL(str(folder / "libnuma.so.1"))
        except OSError as error:
            raise EngineError(
                "vLLM's CPU build needs libnuma: apt-get install libnuma1, or `make setup` again, which builds what will do "
                "on a machine without it"
            ) from error
        os.environ["LD_LIBRARY_PATH"] = ":".join(filter(None, (str(folder), os.environ.get("LD_LIBRARY_PATH"))))
        return "none; memory is not placed on NUMA nodes"
    return "libnuma"


def on_cpu() -> bool:
    """Whether the vLLM installed here is its build for CPUs; the torch beside it may know GPUs all the same."""
    return bool(_installed("vllm-cpu")) or "cpu" in _installed("vllm")


def _installed(package: str) -> str:
    """Its version; empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""

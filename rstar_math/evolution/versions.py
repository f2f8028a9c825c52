"""What exactly is running?

The versions behind a run's results: the interpreter, the packages that decide numbers, and this project's own revision.
"""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

_PACKAGES = (
    "rstar-math", "torch", "ray", "deepspeed", "transformers", "datasets", "math-verify", "hydra-core", "wandb",
)  # fmt: skip
_ROOT = Path(__file__).parents[2]


def versions() -> dict[str, str]:
    """Name -> version. `revision`: the commit of the checkout this runs from, `+changed` with edits; else `installed`."""
    packages = {package: version(package) for package in _PACKAGES}
    return {"python": platform.python_version(), "revision": _revision(), **packages}


def _revision() -> str:
    if not (_ROOT / ".git").exists():  # installed, perhaps below somebody else's checkout
        return "installed"
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changed"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        return f"unknown: {error}"

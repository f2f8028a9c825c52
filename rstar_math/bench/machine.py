"""On which machine was this measured?

Figures of two machines are not to be compared without knowing it. What a run itself needs to know stands elsewhere.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

_CPUS = Path("/proc/cpuinfo")


def machine() -> dict[str, str]:
    """The processor, its cores, the interpreter and the system, in words."""
    said = (line.partition(":") for line in _CPUS.read_text().splitlines())
    models = [value.strip() for name, _, value in said if name.strip() == "model name"]
    return {
        "CPU": models[0] if models else platform.machine(),  # ARM's kernels name no model
        "cores": str(os.cpu_count()),
        "Python": platform.python_version(),
        "platform": platform.platform(),
    }

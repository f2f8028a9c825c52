"""What do tests of the sandbox share?

A configuration, a shorter way to run one program, and a look at the processes a sandbox has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Set
from pathlib import Path

from rstar_math.config import SandboxConfig
from rstar_math.records import Execution
from rstar_math.sandbox import ProcessSandbox

#: Wide limits of time: a busy machine must not turn one status into another.
CONFIG = SandboxConfig(workers=4, wall_seconds=60.0, cpu_seconds=20.0, memory_mb=256, output_bytes=4096)


async def run(sandbox: ProcessSandbox, *steps: str) -> Execution:
    return (await sandbox.run([tuple(step + "\n" for step in steps)]))[0]


def sandbox_processes(owner: int) -> list[int]:
    """Every process that a launcher of process `owner` started, itself included: all keep its command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"rstar_math.sandbox.launcher" in line and f'"owner": {owner},'.encode() in line:
            found.append(int(entry.name))
    return found


async def gone(owner: int, spared: Set[int] = frozenset()) -> bool:
    """Whether all but `spared` end within ten seconds: the kernel needs a moment."""
    deadline = time.monotonic() + 10
    while set(sandbox_processes(owner)) - spared and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    return not set(sandbox_processes(owner)) - spared

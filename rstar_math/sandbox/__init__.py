"""What does this code print?

Programs that a model wrote -> what running them showed. A program is meant to compute and print; it may be wrong,
endless, greedy or hostile, and must not harm the run, the machine or another program's result.

The shape. The search process executes a fresh launcher with a fixed environment and no descriptors (`door`,
`launcher`); the launcher enters namespaces of its own and forks warm parents, which have imported sympy and the like
before (`tiers`, `warm`); each program runs in a fork of one of them, behind limits, Landlock and a seccomp allow-list
(`node`, `program`, `confine`, `syscalls`), and shares no variable with any other. A path that took some processor time
stays as a stopped process, so that each next step runs in a fork of it instead of running the path again (`snapshots`,
`forks`): with what the path left in memory, as if both were one program. What really holds on this machine is tested at
every start (`canaries`); what does not is said once, as a warning.

What it is to hold, on Linux on x86-64 with Landlock (5.13, signals and abstract sockets 6.12) and seccomp, as root or
not:

* no network, no socket of any kind, no signal to another process, no new process or thread, no debugger;
* no file read but libraries, none written, made, renamed or removed; no environment, memory or descriptor of the
  search;
* no more memory, processor time, wall-clock time and output than configured; nothing is left running;
* a status that the program's words cannot change: it comes from the kernel, the clock and the count of bytes.

What it does not hold:

* A program can print what it likes, and with intent can forge its *own* success (the report comes from its process),
  or that of a program that continues it, never another's. Leaving early counts: `sys.exit(...)` is an error,
  `os._exit(...)` is "killed".
* Files' names, sizes and dates can be seen (`stat`); contents cannot. Time and processor load are visible.
* Memory is counted a program, not over all: `workers` programs may hold `memory_mb` each, and the snapshots of a tier
  `snapshot_mb` together. No cgroups.
* A fault in the kernel or its few allowed calls breaks it; for code of strangers put a virtual machine around it.
* Without namespaces, Landlock or seccomp less is held: without Landlock no file can be opened at all once the
  libraries are there (late imports fail); without seccomp (not x86-64) sockets other than TCP and new processes are
  held by the rest alone.

Equal programs print the same: hash seed, random seeds of `random`, numpy and sympy, locale and time zone are fixed.
Memory addresses, the clock, `os.urandom` and `numpy.random.default_rng()` are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rstar_math.sandbox.canaries import Promise, promises
    from rstar_math.sandbox.door import ProcessSandbox, open_sandbox

_HOME = {"ProcessSandbox": "door", "open_sandbox": "door", "Promise": "canaries", "promises": "canaries"}
__all__ = ["ProcessSandbox", "Promise", "open_sandbox", "promises"]


def __getattr__(name: str) -> object:
    """The door is imported on first use: the launcher imports this package too, and its forks must stay small."""
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

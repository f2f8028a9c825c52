"""What does this code print?

The threat: programs written by a model, millions of them, that may be wrong, endless, greedy or hostile, and that
learn to cheat whatever can be cheated. They must not harm the run, the machine, or another program's result; they may
compute and print.

The shape. The search process executes a fresh launcher with a fixed environment and one socket (`door`, `connection`,
`launcher`). The launcher joins a control group, enters namespaces and a root of its own that shows libraries only
(`cgroup`, `confine`, `root`), and becomes the controller, which runs no program (`controller`, `turns`, `running`, `loop`).
Below it stand warm parents, forked before the first program was read, which have imported sympy and the like and wait
behind limits, Landlock and a seccomp allow-list (`warm`, `tiers`, `events`, `node`, `syscalls`); each program runs in
a fork of one of them (`program`), and shares no variable with any other. A path that took some processor time stays as
a stopped process, so that each next step runs in a fork of it instead of running the path again (`snapshots`): with
what the path left in memory, as if both were one program. No process can fork by itself: the kernel holds every fork
until the controller lets it pass, once for each time it asked for one (`forks`). What really holds on this machine is
tested at every start (`canaries`); what does not is said once, as a warning, or is an error where `sandbox.require`
asks for it; a search keeps what held, and by what, beside its trees (`sandbox.json`).

What it is to hold, on Linux on x86-64 with Landlock (5.13, signals and abstract sockets 6.12) and seccomp, as root or
not:

* no network, no socket of any kind, no signal to another process, no new process or thread, no debugger;
* no file read but libraries, and of these not this package, which makes problems with their answers; none written, made,
  renamed or removed, and where a mount namespace can be had no name of another one seen; no environment, memory or
  descriptor of the search;
* no more memory, processor time, wall-clock time and output than configured; nothing is left running;
* a status that the program's words cannot change: it comes from the kernel, the clock and the count of bytes.

What it does not hold:

* A program can print what it likes, and its report comes from its own process, after a password that came with the order.
  The password lies in the frames that run it, nowhere else by name. So whoever writes to the report's descriptor is
  "killed", and giving the names of this package other meanings makes an error no success. But whoever walks up its
  frames, or reads its interpreter's memory, finds the password, and can forge its *own* success, or (other meanings
  are enough for this) that of a program that continues it, of whose next step it hears; never another's. Leaving early
  counts: `sys.exit(...)` is an error, `os._exit(...)` is "killed".
* A program that waits for a processor is given that time on the clock, up to four times its limit: where all are busy, one
  without end is ended as much later. Where /proc does not show who waits, slow programs keep their places instead.
* Time, processor load and the numbers of the sandbox's own processes are visible.
* Run step by step, three things differ from running in one piece: what lies between steps (equal constants are two
  objects, a string at a step's head becomes `__doc__`), the process number, and `time.process_time()`, which begins again
  in each fork (the limit counts all of it). What a step leaves in the buffer of standard output is written at its end,
  before anything that the next one writes past that buffer. A path with an import of `time`, `timeit` or `datetime` is
  run again whole: a snapshot's waiting would be part of what it measures.
* At a program's end `atexit` is done and standard output written; what lies in other writers of its own, `__del__` and what
  stands behind a generator's `finally` is not. Every machine has two cores in here.
* `asyncio` runs tasks, queues and timeouts; what would need a socket, a thread or a process is refused there as elsewhere.
* With `processes` nothing is promised about forks but their number, and that they end with their program. They are counted in
  a user namespace of the program's own; where the kernel lends none, with all of the sandbox, and the promise is not held.
* With `file_mb` each program has a file system of its own, where the kernel lends it namespaces of its own; elsewhere those
  that run at the same time share one, see the names of each other's files, and may fill it up.
* With either of the two the programs of a root's sandbox belong to user 65534 (with `file_mb` alone only in namespaces).
* Memory is counted a program. With `processes` it is counted for each of its own, and those that together take more than
  `memory_mb` may end programs beside them. What all may hold together (as many as run at once times `memory_mb` and what
  they change of their warm parent, `snapshot_mb`, the warm parents) is held by a control group only where the kernel lends
  one.
* A fault in the kernel or its few allowed calls breaks it; for code of strangers put a virtual machine around it.
* Without namespaces, Landlock or seccomp less is held: without Landlock no file can be opened at all once the
  libraries are there (late imports fail); without seccomp (not x86-64) sockets other than TCP and new processes are
  held by the rest alone, and flags set on the null device, which all have open as 0 and 2, reach the others.

Equal programs print the same: hash seed, random seeds of `random`, numpy and sympy, locale and time zone are fixed, and so
are the hashes that are addresses (of `None`, before Python 3.12, and of types), with the order of sets that follows them,
where the kernel lets a process have fixed ones (Docker's default profile does not). Other memory addresses, the clock,
`os.urandom` and `numpy.random.default_rng()` are not.
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

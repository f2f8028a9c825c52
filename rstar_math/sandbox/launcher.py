"""How does the sandbox begin?

A fresh interpreter with a fixed environment and no descriptor but the socket it was given -> walls as far as the
kernel has them, then the controller. It never sees a program, holds no secret, and ends when the search process does;
with it ends everything that it started.
"""

from __future__ import annotations

import builtins
import json
import math
import os
import resource
import shutil
import socket
import sys
from _sitebuiltins import Quitter, _Helper
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from rstar_math.sandbox import cgroup, confine, forks
from rstar_math.sandbox.controller import Controller
from rstar_math.sandbox.node import REPORT, Cage, Limits, go_apart
from rstar_math.sandbox.root import WORKPLACE, own_packages, own_processes, show_only
from rstar_math.sandbox.running import can_see_waiting
from rstar_math.sandbox.snapshots import Snapshots
from rstar_math.sandbox.syscalls import Filter, missing
from rstar_math.sandbox.turns import Turns
from rstar_math.sandbox.warm import PARENTS
from rstar_math.sandbox.wire import pack

#: What a library may open late: shared libraries, time zones, randomness. The interpreter's own folders are added.
_READABLE = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache")
_LEFT_OUT = "none (left out)"
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


class Plan(NamedTuple):
    """What the search process asks for, as one JSON argument; nothing in it is secret.

    owner:     process id of the search process.
    channel:   descriptor of the socket that carries the words for the walls, then programs and executions.
    limits:    the fields of `node.Limits`.
    workers:   programs run at once.
    slow:      programs that run beside them once they are slow.
    snapshots: most of them, their most bytes of memory, and how many forks' time a path must have cost for one.
    libraries: folders to import from.
    scratch:   folder to make: empty, to build a root on, else the working directory of every program. Both sides remove it.
    groups:    folders of the control group to join.
    without:   walls to leave out.
    """

    owner: int
    channel: int
    limits: Sequence[float]
    workers: int
    slow: int
    snapshots: tuple[int, int, float]
    libraries: Sequence[str]
    scratch: str
    groups: Sequence[str]
    without: Sequence[str]


def main(plan_text: str) -> NoReturn:
    """Runs the launcher until the search process is gone. `plan_text`: a `Plan` as JSON."""
    plan = Plan(**json.loads(plan_text))
    sys.orig_argv[:] = sys.argv  # it holds the plan
    owner = os.pidfd_open(plan.owner)
    if os.getppid() != plan.owner:
        raise SystemExit("the search process ended before its sandbox began")
    if forks.NUMBER is None:
        raise SystemExit("programs can be run on x86-64 and 64-bit Arm, and this is another machine")
    sys.path += plan.libraries
    # `site` would add these; programs call them.
    for name in ("exit", "quit"):
        setattr(builtins, name, Quitter(name, "Ctrl-D (i.e. EOF)"))
    builtins.help = _Helper()
    Path("/proc/self/oom_score_adj").write_text("1000")  # short of memory, the kernel takes the sandbox first
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # three a program, and a common limit is 1,024
    cgroup.enter(plan.groups)
    limits = Limits(*plan.limits)  # type: ignore[arg-type]
    readable = tuple(map(Path, (*_READABLE, *_DEVICES, *filter(None, sys.path))))
    hidden = own_packages(readable)
    place, walls = _go_into_place(plan, readable, hidden, limits)
    confine.drop_privileges()
    _be_reaper()
    here = os.getpid()
    try:
        cage = _cage(plan, readable, hidden, limits, walls)
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=plan.channel)
        channel.sendall(pack(walls))
        turns = Turns(plan.workers, 0 if walls["slow"] else plan.slow)
        controller = Controller(channel, cage, turns, Snapshots(*plan.snapshots[:2], limits.memory_bytes))
        controller.serve(owner, forks.listen() if cage.held else None)
    finally:
        if os.getpid() == here:  # a warm parent unwinds through here too
            shutil.rmtree(place, ignore_errors=True)


def _go_into_place(
    plan: Plan, readable: Sequence[Path], hidden: Sequence[Path], limits: Limits
) -> tuple[Path, dict[str, str]]:
    """Enters namespaces and a root of its own, as far as the kernel lets it; returns where programs work, and the words
    for what holds."""
    place = Path(plan.scratch)
    place.mkdir(mode=0o700)
    namespaces, root = _LEFT_OUT, _LEFT_OUT
    # The kernel counts no processes of root's, and lends root, once it gave up what it could do, no namespace to mount in.
    nobody = os.geteuid() == 0 and (limits.processes > 0 or limits.file_bytes > 0)
    if "namespaces" not in plan.without:
        namespaces = confine.enter_namespaces(with_nobody=nobody)
    nobody &= limits.processes > 0 or not namespaces.startswith("none")
    if nobody:
        os.chown(place, confine.NOBODY, confine.NOBODY)
    if namespaces.startswith("none"):
        root = root if "root" in plan.without else "none (it needs namespaces)"
    else:
        _be_first_process()
        if "root" not in plan.without:
            root = show_only(readable, hidden, place, (plan.workers + plan.slow) * limits.file_bytes)
        if root.startswith("none"):
            own_processes(Path("/proc"))
        else:
            place = WORKPLACE
    os.chdir(place)
    if nobody:
        _be_nobody()
        if not namespaces.startswith("none"):
            confine.die_with_parent(0)  # another user's signal was asked for
    return place, {"namespaces": namespaces, "root": root}


def _be_nobody() -> None:
    """
    Raises:
        SystemExit: this root may not, or nobody else may read the libraries.
    """
    libraries = [path for path in sys.path if os.access(path, os.R_OK)]
    try:
        confine.be_nobody()
    except OSError as error:
        raise SystemExit(
            f"sandbox.processes and sandbox.file_mb need an ordinary user, and this root may become none ({error}); run as "
            "one, or without both"
        ) from None
    for path in libraries:
        if not os.access(path, os.R_OK):
            raise SystemExit(
                f"sandbox.processes and sandbox.file_mb need an ordinary user, and the one that root becomes for it, "
                f"{confine.NOBODY}, may not read {path}; let others read it, run as one who may, or without both"
            )


def _be_first_process() -> None:
    """Goes on as process 1 of the new pid namespace: when it ends, the kernel ends everything in there."""
    if (first := os.fork()) != 0:
        _wait_for(first)
    confine.die_with_parent(0)  # a parent outside the namespace has no number in it


def _be_reaper() -> None:
    """Goes on in a child, the controller; what it leaves behind falls to this process, which buries it unseen."""
    here = os.getpid()
    if (controller := os.fork()) != 0:
        _wait_for(controller)
    confine.die_with_parent(here)


def _wait_for(child: int) -> NoReturn:
    """Ends as the child does."""
    os.closerange(3, 1 << 30)
    while (ended := os.wait())[0] != child:
        continue
    os._exit(os.waitstatus_to_exitcode(ended[1]) & 0xFF)


def _cage(
    plan: Plan, readable: tuple[Path, ...], hidden: tuple[Path, ...], limits: Limits, walls: dict[str, str]
) -> Cage:
    """The walls that every program shares; the words for them are added to `walls`."""
    fence: int | None = None
    filters: Filter | None = None
    walls["landlock"] = _LEFT_OUT if "landlock" in plan.without else "none (the kernel has no Landlock)"
    if "landlock" not in plan.without and (version := confine.landlock_version()):
        fence = confine.fence([*readable, Path.cwd()], hidden)
        walls["landlock"] = f"ABI {version}"
    walls["seccomp"] = _LEFT_OUT if "seccomp" in plan.without else missing()
    loose = walls["seccomp"] and "none (without a filter nobody decides about forks)"
    if not walls["seccomp"]:
        loose = _why_loose(limits, walls)
        # Without Landlock nothing looks at paths, so no file is opened at all once the libraries are there.
        reads = fence is not None
        filters = Filter(
            reads=reads,
            writes=reads and limits.file_bytes > 0,
            processes=limits.processes > 0,
            fork=None if loose else (forks.FLAGS, REPORT),
        )
        walls["seccomp"] = "allow-list" if reads else "allow-list without any opening of files"
    most, _, keep_after = plan.snapshots
    walls["snapshots"] = loose or ("" if most else "none (turned off)")
    walls["own namespaces"] = _why_together(plan, limits)
    # Beside others a program may wait for a processor, and nobody could tell that from its own time.
    walls["slow"] = "" if can_see_waiting() else "none (/proc does not show who waits for a processor)"
    neighbours = 3 + 2 * (plan.workers + plan.slow + most) + PARENTS  # as in `connection._group`
    return Cage(
        limits,
        None if fence is None else readable,
        hidden,
        fence,
        filters,
        neighbours,
        not loose,
        not walls["own namespaces"],
        keep_after if most and not loose else math.inf,
    )


def _why_together(plan: Plan, limits: Limits) -> str:
    """Why programs have no namespaces of their own, in words; empty if they have. Tried in a process that ends at once."""
    if not limits.processes and not limits.file_bytes:
        return "none (nothing that a program may do asks for them)"
    if "namespaces" in plan.without:
        return _LEFT_OUT
    if (trial := os.fork()) == 0:
        code = 1
        try:
            go_apart(limits)
            code = 0
        except OSError as error:
            code = error.errno or code
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(trial, 0)[1])
    return f"none ({os.strerror(code)})" if code else ""


def _why_loose(limits: Limits, walls: Mapping[str, str]) -> str:
    """Why the controller cannot be asked about every fork, in words; empty if it can."""
    if limits.processes or limits.file_bytes:
        return "none (programs that may start processes or write files are run whole)"
    if walls["namespaces"].startswith("none"):
        return "none (without a pid namespace, what a snapshot forks could outlive the sandbox)"
    return "" if forks.can_listen() else "none (the kernel lends no listener for forks)"

"""How does the sandbox begin?

A fresh interpreter with a fixed environment and no descriptor but the sockets it was given -> walls as far as the
kernel has them, then one warm parent a tier, each forked when its first program arrives. It never sees a program,
holds no secret, and ends when the search process does; with it ends everything that it started.
"""

from __future__ import annotations

import builtins
import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
from _sitebuiltins import Quitter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from rstar_math.sandbox import confine, forks
from rstar_math.sandbox.node import REPORT, Cage, Limits
from rstar_math.sandbox.snapshots import Snapshots
from rstar_math.sandbox.syscalls import Filter, missing
from rstar_math.sandbox.tiers import warm_up
from rstar_math.sandbox.warm import WarmParent
from rstar_math.sandbox.wire import pack

#: What a library may open late: shared libraries, time zones, randomness. The interpreter's own folders are added.
_READABLE = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache")
_LEFT_OUT = "none (left out)"
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


class Plan(NamedTuple):
    """What the search process asks for, as one JSON argument; nothing in it is secret.

    owner:     process id of the search process.
    control:   descriptor of the socket that carries one message, the words for the walls, and then only its own end.
    tiers:     tier -> descriptor of its socket.
    limits:    the fields of `node.Limits`.
    workers:   programs run at once.
    snapshots: most of them a tier, their most bytes of memory, and the processor time of steps that are worth one.
    libraries: folders to import from.
    scratch:   folder to make: empty, the working directory of every program. Both sides remove it.
    without:   walls to leave out.
    """

    owner: int
    control: int
    tiers: dict[str, int]
    limits: Sequence[float]
    workers: int
    snapshots: tuple[int, int, float]
    libraries: Sequence[str]
    scratch: str
    without: Sequence[str]


def main(plan_text: str) -> NoReturn:
    """Runs the launcher until the search process is gone. `plan_text`: a `Plan` as JSON."""
    plan = Plan(**json.loads(plan_text))
    owner = os.pidfd_open(plan.owner)
    if os.getppid() != plan.owner:
        raise SystemExit("the search process ended before its sandbox began")
    sys.path += plan.libraries
    for name in ("exit", "quit"):  # `site` would add them; programs call them
        setattr(builtins, name, Quitter(name, "Ctrl-D (i.e. EOF)"))
    Path("/proc/self/oom_score_adj").write_text("1000")  # short of memory, the kernel takes the sandbox first
    namespaces = _LEFT_OUT if "namespaces" in plan.without else confine.enter_namespaces()
    if not namespaces.startswith("none"):
        _be_first_process()
    here, scratch = os.getpid(), Path(plan.scratch)
    scratch.mkdir(mode=0o700)
    os.chdir(scratch)
    try:
        confine.drop_privileges()
        cage, walls = _cage(plan, scratch, not namespaces.startswith("none"))
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=plan.control)
        control.sendall(pack({"namespaces": namespaces, **walls}))
        _serve(plan, owner, cage)
    finally:
        if os.getpid() == here:  # a warm parent unwinds through here too
            shutil.rmtree(scratch, ignore_errors=True)


def _be_first_process() -> None:
    """Goes on as process 1 of the new pid namespace: when it ends, the kernel ends everything in there."""
    first = os.fork()
    if first != 0:
        os.closerange(3, 1 << 30)
        _, ending = os.waitpid(first, 0)
        os._exit(os.waitstatus_to_exitcode(ending) & 0xFF)
    confine.die_with_parent(0)  # a parent outside the namespace has no number in it
    confine.show_own_processes()


def _cage(plan: Plan, scratch: Path, own_processes: bool) -> tuple[Cage, dict[str, str]]:
    """The walls that every program shares, and the words for them."""
    limits = Limits(*plan.limits)  # type: ignore[arg-type]
    words = {
        "landlock": _LEFT_OUT if "landlock" in plan.without else "none (the kernel has no Landlock)",
        "seccomp": _LEFT_OUT if "seccomp" in plan.without else missing(),
        "snapshots": "none (without a filter nobody decides about their forks)",
    }
    readable: tuple[Path, ...] | None = None
    fence: int | None = None
    walls: Filter | None = None
    if "landlock" not in plan.without and (version := confine.landlock_version()):
        readable = tuple(map(Path, (*_READABLE, *_DEVICES, *filter(None, sys.path))))
        fence = confine.fence([*readable, scratch])
        words["landlock"] = f"ABI {version}"
    if not words["seccomp"]:
        # Without Landlock nothing looks at paths, so no file is opened at all once the libraries are there.
        reads = fence is not None
        words["snapshots"] = _no_snapshots(plan, limits, own_processes)
        walls = Filter(
            reads=reads,
            writes=reads and limits.file_bytes > 0,
            processes=limits.processes > 0,
            fork=None if words["snapshots"] else (forks.FLAGS, REPORT),
        )
        words["seccomp"] = "allow-list" if reads else "allow-list without any opening of files"
    most, _, worth_seconds = plan.snapshots
    neighbours = 2 + plan.workers + len(plan.tiers) * (1 + most)
    return Cage(limits, 0, readable, fence, walls, neighbours, None if words["snapshots"] else worth_seconds), words


def _no_snapshots(plan: Plan, limits: Limits, own_processes: bool) -> str:
    """Why there are none, in words; empty if there are."""
    if not plan.snapshots[0]:
        return "none (turned off)"
    if limits.processes or limits.file_bytes:
        return "none (programs that may start processes or write files are run whole)"
    if not own_processes:
        return "none (without a pid namespace, what a snapshot forks could outlive the sandbox)"
    return "" if forks.can_listen() else "none (the kernel lends no listener for forks)"


def _serve(plan: Plan, owner: int, cage: Cage) -> NoReturn:
    """Forks a warm parent when a tier's socket has its first message, until the search process is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a warm parent ended: its socket closes
    here, tokens = os.getpid(), os.pipe()
    os.set_blocking(tokens[0], False)
    os.write(tokens[1], b"." * plan.workers)
    tiers = {descriptor: name for name, descriptor in plan.tiers.items()}
    watch = select.poll()
    for descriptor in (plan.control, owner, *tiers):
        watch.register(descriptor, select.POLLIN)
    while True:
        for descriptor, _ in watch.poll():
            if descriptor in (plan.control, owner):
                raise SystemExit
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                confine.die_with_parent(here)
                for other in {plan.control, owner, *tiers} - {descriptor}:
                    os.close(other)
                channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=descriptor)
                _become_warm_parent(tiers[descriptor], channel, tokens, cage, *plan.snapshots[:2])
            watch.unregister(descriptor)
            del tiers[descriptor]
            os.close(descriptor)


def _become_warm_parent(
    tier: str, channel: socket.socket, tokens: tuple[int, int], cage: Cage, most_snapshots: int, snapshot_bytes: int
) -> NoReturn:
    """Warms up, then serves; ends with the search process or the launcher."""
    warm_up(tier)
    gc.collect()
    gc.freeze()
    confine.collapse_memory()
    listener = -1 if cage.keep_after is None else forks.listen()
    cache = Snapshots(most_snapshots, snapshot_bytes, cage.limits.memory_bytes)
    WarmParent(channel, tokens, cage._replace(address_space=confine.address_space()), listener, cache).serve()

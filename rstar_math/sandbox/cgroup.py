"""How much may all programs together take?

memory, processes -> a control group below the search's own that holds the sandbox to them, where the kernel's tree of
groups is delegated to this user. Both versions of that tree are known. The limits of one program are not its concern.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PREFIX = "rstar-sandbox"
#: File of each limit, by version of the tree.
_FILES = {"cgroup2": {"memory": "memory.max", "pids": "pids.max"},
          "cgroup": {"memory": "memory.limit_in_bytes", "pids": "pids.max"}}  # fmt: skip


class Group(NamedTuple):
    """The group's folders (version 1 has one a controller), and what they hold the sandbox to, in words."""

    folders: tuple[str, ...]
    words: str


class Tree(NamedTuple):
    """This process's own place in one of the kernel's trees: its version, its controllers, the group's folder."""

    kind: str
    controllers: tuple[str, ...]
    own: Path


def make(memory_bytes: int, processes: int, trees: Iterable[Tree]) -> Group:
    """A new group; with words that start with "none", and no folder, where this user may make none."""
    limits = {"memory": memory_bytes, "pids": processes}
    made: dict[str, str] = {}
    why = "the kernel has no control groups"
    for kind, controllers, own in trees:
        _bury(own)
        folder = own / f"{_PREFIX}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            folder.mkdir()
            held = [name for name in controllers if name in limits and _limit(folder, kind, name, limits[name])]
        except OSError as error:
            why = str(error.strerror)
            held = []
        if held:
            made |= dict.fromkeys(held, str(folder))
        else:
            why = f"{why if not folder.exists() else 'no controller is delegated'}"
            with suppress(OSError):
                folder.rmdir()
    if "memory" not in made:
        remove(tuple(made.values()))
        return Group((), f"none ({why})")
    return Group(tuple(dict.fromkeys(made.values())), f"{memory_bytes >> 20} MB and {processes} processes in all")


def enter(folders: Sequence[str]) -> None:
    """Puts this process, and all that it will start, into the group."""
    for folder in folders:
        (Path(folder) / "cgroup.procs").write_text(str(os.getpid()))


def remove(folders: Sequence[str]) -> None:
    """Removes the group, whose processes have ended."""
    for folder in folders:
        with suppress(OSError):
            Path(folder).rmdir()


def _limit(folder: Path, kind: str, controller: str, value: int) -> bool:
    """Whether the group is held to `value` now; a group that was not lent the controller has no file for it."""
    file = folder / _FILES[kind][controller]
    if not file.exists():
        return False
    file.write_text(str(value))
    return True


def _bury(own: Path) -> None:
    """Removes what searches that were killed left behind."""
    for folder in own.glob(f"{_PREFIX}-*-*"):
        if not Path("/proc", folder.name.split("-")[2]).exists():
            remove([str(folder)])


def own_trees() -> Iterator[Tree]:
    """The trees that are mounted."""
    own: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        own |= dict.fromkeys(names.split(","), path)
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mounted, _, described = line.partition(" - ")
        kind, _, options = described.split(" ", 2)
        root, place = mounted.split(" ")[3:5]
        controllers = ("memory", "pids") if kind == "cgroup2" else tuple({*options.split(",")} & {"memory", "pids"})
        group = own.get("" if kind == "cgroup2" else next(iter(controllers), "-"))
        if kind in _FILES and group is not None and group.startswith(root.rstrip("/")):
            yield Tree(kind, controllers, Path(place) / group.removeprefix(root.rstrip("/")).lstrip("/"))

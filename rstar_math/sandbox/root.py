"""Which files are there at all?

paths -> a file system of its own with these, read-only, an own /proc, an empty folder to work in, and nothing else: no
name, size or date of another file can be asked for. Needs a mount namespace. Who may read what of it is Landlock's
part (`confine`).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
#: Where a program works; empty, and writable where the configuration allows files.
WORKPLACE = Path("/scratch")
_OWN_PACKAGE = Path(__file__).parents[1]
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(platform.machine(), -1)
_MOUNT_SETATTR, _HERE, _RECURSIVELY = 442, -100, 0x8000
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _NO_EXECUTION = 1, 2, 4, 8
_REMOUNT, _BIND, _RECURSIVE, _PRIVATE, _DETACH = 1 << 5, 1 << 12, 1 << 14, 1 << 18, 2
#: Its folders and links take a few pages.
_ROOT_OPTIONS = "mode=755,size=4m"
#: Programs may make a file or folder for so many bytes of what they may write; empty ones take time to remove, too.
_BYTES_A_NAME = 1 << 12


def own_packages(readable: Iterable[Path]) -> tuple[Path, ...]:
    """Where copies of this package lie among the libraries, by all their names: whoever imports one makes the answers of its
    problems. A standard library has folders of further ones below it, on the path or not."""
    copies = [_OWN_PACKAGE]
    for folder in filter(Path.is_dir, readable):
        for below in ("", "*-packages/", "python*/*-packages/"):
            copies += folder.glob(below + _OWN_PACKAGE.name)
    return tuple(dict.fromkeys(name for copy in copies for name in (copy.absolute(), copy.resolve())))


def show_only(paths: Iterable[Path], hidden: Iterable[Path], at: Path, writable_bytes: int) -> str:
    """Makes `paths` all that this process and its children see, and an empty `WORKPLACE` that holds `writable_bytes`.

    Args:
        hidden: folders below these of which nothing is shown but the name.
        at: an empty folder to build the new root on; it is free again afterwards.

    Returns the words for what holds now; starting with "none", and with everything as before, where the kernel refuses.
    """
    try:
        _keep_to_ourselves()
        _mount("tmpfs", at, "tmpfs", _NO_SETUID | _NO_DEVICES, _ROOT_OPTIONS)
        for path in _outermost(paths):
            _show(path, at)
        for folder in hidden:
            _hide(at.resolve() / folder.relative_to("/"))
        (at / "proc").mkdir()
        seen = _mount_proc(at / "proc")
        workplace = at / WORKPLACE.relative_to("/")
        workplace.mkdir(mode=0o755)
        if writable_bytes:
            give_room(workplace, writable_bytes)
        os.chdir(at)
        _checked(_libc.syscall(_PIVOT_ROOT, b".", b"."), "pivot_root")
        _checked(_libc.umount2(b".", _DETACH), "umount")
        _mount(None, Path("/"), None, _REMOUNT | _BIND | _READ_ONLY | _NO_SETUID | _NO_DEVICES)
    except OSError as error:
        return f"none ({error.strerror or error})"
    return f"libraries{seen}"


def give_room(folder: Path, most_bytes: int) -> None:
    """An empty file system on `folder`, which holds so much.

    Raises:
        OSError: the kernel refuses.
    """
    options = f"mode=777,size={most_bytes},nr_inodes={64 + most_bytes // _BYTES_A_NAME}"
    _mount("tmpfs", folder, "tmpfs", _NO_SETUID | _NO_DEVICES | _NO_EXECUTION, options)


def own_processes(proc: Path) -> None:
    """`proc` shows the processes of this pid namespace and no others, where the kernel lets it be mounted."""
    with suppress(OSError):
        _keep_to_ourselves()
        _mount_proc(proc)


def _keep_to_ourselves() -> None:
    """No mount made here is seen outside."""
    _mount(None, Path("/"), None, _RECURSIVE | _PRIVATE)


def _mount_proc(proc: Path) -> str:
    """Where other mounts forbid it, there is none. Returns what to add to the words."""
    try:
        _mount("proc", proc, "proc", _NO_SETUID | _NO_DEVICES | _NO_EXECUTION)
    except OSError:
        return ""
    return ", own /proc"


def _outermost(paths: Iterable[Path]) -> Iterator[Path]:
    """The paths that exist, with what they are links to, without those inside others."""
    unseen, shown = sorted(paths, key=lambda path: len(path.parts)), set[Path]()
    while unseen:
        path = unseen.pop(0)
        if path.is_symlink():
            unseen.append(Path(os.path.normpath(path.parent / path.readlink())))
        elif not path.exists():
            continue
        if not shown & {path, *path.parents}:
            shown.add(path)
            yield path


def _show(path: Path, root: Path) -> None:
    there = root / path.relative_to("/")
    there.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        there.symlink_to(path.readlink())
        return
    no_devices = 0 if path.is_char_device() else _NO_DEVICES
    if path.is_dir():
        there.mkdir()
    else:
        there.touch()
    _mount(str(path), there, None, _BIND | _RECURSIVE)
    attributes = struct.pack("QQQQ", _READ_ONLY | _NO_SETUID | no_devices, 0, 0, 0)
    arguments = _HERE, bytes(there), _RECURSIVELY, attributes, len(attributes)
    _checked(_libc.syscall(_MOUNT_SETATTR, *arguments), f"mount_setattr {path}")


def _hide(folder: Path) -> None:
    """Leaves nothing of a folder, if it is there, but its name. A link on the way to it leads outside; what it leads to has
    another name here."""
    if folder.is_dir() and folder.resolve() == folder.absolute():
        _mount("tmpfs", folder, "tmpfs", _READ_ONLY | _NO_SETUID | _NO_DEVICES, "mode=755,size=4k")


def _mount(source: str | None, target: Path, kind: str | None, flags: int, options: str | None = None) -> None:
    words = (source and source.encode(), bytes(target), kind and kind.encode(), ctypes.c_ulong(flags))
    _checked(_libc.mount(*words, options and options.encode()), f"mount {target}")


def _checked(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")

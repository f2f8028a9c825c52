"""How does a process give up what it could do?

The kernel's means, each through a system call or two: namespaces, dropped capabilities, Landlock. Every function says
in words what it achieved, or why not; it never decides what is enough. Seccomp has a file of its own (`syscalls`).
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import struct
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

_SET_PARENT_DEATH_SIGNAL, _SET_DUMPABLE, _DROP_BOUND, _SET_NO_NEW_PRIVILEGES = 1, 4, 24, 38
_KILL_SIGNAL = 9
_ASK_PERSONALITY, _SAME_ADDRESSES = 0xFFFFFFFF, 0x0040000
_LAST_CAPABILITY = 63
#: Header of capset: version 3, this process. Then effective, permitted and inheritable, twice 32 bits each: none.
_CAPABILITY_HEADER, _NO_CAPABILITIES = struct.pack("II", 0x20080522, 0), bytes(24)

_NAMESPACES = {
    "mount": 0x00020000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "network": 0x40000000,
}

#: Who owns nothing.
NOBODY = 65534

# Landlock has the same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_RULE = 1, 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
#: Rights over files by the version of Landlock that brought them: 13 at first, then refer, truncate, device ioctl.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP_RIGHTS, _ABSTRACT_SOCKETS_AND_SIGNALS = 0b11, 0b11
#: Execute, device ioctl, devices, sockets and links across folders are for nobody, not even in the scratch folder.
_NEVER = 1 << 0 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 13 | 1 << 15


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def die_with_parent(parent: int) -> None:
    """The kernel kills this process when its parent, process `parent`, ends. A fork clears it: each child asks anew."""
    _checked(_libc.prctl(_SET_PARENT_DEATH_SIGNAL, _KILL_SIGNAL, 0, 0, 0), "parent-death signal")
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


def enter_namespaces(*, with_nobody: bool = False) -> str:
    """New user, pid, network, ipc, uts and mount namespaces; only children are in the new pid namespace.

    Args:
        with_nobody: this process is root, and may become `NOBODY` in there.

    Returns the words for what holds now, starting with "none" where the kernel refuses.
    """
    try:
        if with_nobody:
            _unshare_for_two()
        else:
            _unshare_for_one(*_NAMESPACES)
    except OSError as error:
        return f"none ({error.strerror})"
    _libc.sethostname(b"sandbox", 7)  # that of the machine is nobody's business
    return ", ".join(_NAMESPACES)


def _unshare(*names: str) -> None:
    _checked(_libc.unshare(sum(_NAMESPACES[name] for name in names)), "unshare")


def _unshare_for_one(*names: str) -> None:
    """New namespaces in which this process's user and group are there, and no others."""
    user, group = os.geteuid(), os.getegid()
    _unshare(*names)
    _checked(_libc.prctl(_SET_DUMPABLE, 1, 0, 0, 0), "dumpable")  # else its files in /proc are not its own
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _unshare_for_two() -> None:
    """The same with `NOBODY` beside, which takes one who is root outside: a child that stays there."""
    here, (asked, ask) = os.getpid(), os.pipe()
    if (outside := os.fork()) == 0:
        code = 1
        try:
            os.read(asked, 1)
            for kind, own in (("uid_map", os.geteuid()), ("gid_map", os.getegid())):
                Path(f"/proc/{here}/{kind}").write_text(f"{own} {own} 1\n{NOBODY} {NOBODY} 1\n")
            code = 0
        finally:
            os._exit(code)
    try:
        _unshare(*_NAMESPACES)
    finally:
        os.write(ask, b"!")
        refused = os.waitpid(outside, 0)[1]
        os.close(ask)
        os.close(asked)
    if refused:
        raise PermissionError(errno.EPERM, "no second user can be had in there")


def be_nobody() -> None:
    """From now on this process belongs to `NOBODY`. Takes root.

    Raises:
        OSError: it may not.
    """
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def go_apart(*, mounts: bool) -> None:
    """A user namespace for this process alone, in which the kernel counts it and its children, and no others; `mounts`: one
    of mounts too, where it may make some that nobody else sees. It has capabilities in there until they are dropped.

    Raises:
        OSError: the kernel refuses.
    """
    if mounts:
        _unshare_for_one("user", "mount")
    else:
        _unshare("user")


@contextmanager
def fixed_addresses() -> Iterator[None]:
    """What this thread executes meanwhile gets the same addresses every time, where the kernel lets it: in CPython some
    hashes, such as that of `None`, are addresses, and the order of a set follows them."""
    before = int(_libc.personality(_ASK_PERSONALITY))
    _libc.personality(before | _SAME_ADDRESSES)
    try:
        yield
    finally:
        _libc.personality(before)


def drop_privileges() -> None:
    """No capability now or later, no set-uid gains, no debugger; for this process and its children."""
    for capability in range(_LAST_CAPABILITY + 1):
        _libc.prctl(_DROP_BOUND, capability, 0, 0, 0)  # refused for an ordinary user, who has none to lose
    _checked(_libc.capset(_CAPABILITY_HEADER, _NO_CAPABILITIES), "capset")
    _checked(_libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no_new_privs")
    _checked(_libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")


def landlock_version() -> int:
    """The kernel's Landlock ABI; 0 where it has none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)))


def fence(readable: Iterable[Path], hidden: Collection[Path], writable: Path | None = None) -> int:
    """A Landlock ruleset as a descriptor: read below `readable`, but for the files of `hidden`, also write below `writable`,
    nothing else anywhere.

    TCP is refused from ABI 4 on, signals and abstract sockets to processes outside from ABI 6 on.

    Raises:
        OSError: the kernel has no Landlock.
    """
    version = landlock_version()
    rights = _FILE_RIGHTS[max(1, min(version, max(_FILE_RIGHTS)))]
    network, scopes = _TCP_RIGHTS if version >= 4 else 0, _ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = struct.pack("QQQ", rights, network, scopes)[:size]
    ruleset = _checked(_libc.syscall(_CREATE_RULESET, attributes, size, 0), "landlock_create_ruleset")
    for path in readable:
        _allow_to_read(ruleset, path, hidden)
    if writable is not None:
        _allow(ruleset, writable, rights & ~_NEVER)
    return ruleset


def _allow_to_read(ruleset: int, path: Path, hidden: Collection[Path]) -> None:
    """A folder in which something hidden lies is opened part by part: what a rule allows below it no other takes back. A link
    among the parts opens nothing: what it leads to has a rule of its own, or none."""
    if not path.exists():
        return
    names = {path, path.resolve()}
    within = path.is_dir() and any(each.is_relative_to(name) for each in hidden for name in names)
    if within and not names & set(hidden):
        for part in path.iterdir():
            if not part.is_symlink():
                _allow_to_read(ruleset, part, hidden)
    _allow(ruleset, path, _READ_FOLDER if within else _READ_FILE | _READ_FOLDER if path.is_dir() else _READ_FILE)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, opened)
        _checked(_libc.syscall(_ADD_RULE, ruleset, _PATH_RULE, rule, 0), f"landlock_add_rule {path}")
    finally:
        os.close(opened)


def stay_behind(ruleset: int) -> None:
    """Puts a fence around the calling process and its children, for good. Needs no_new_privs."""
    _checked(_libc.syscall(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")


def collapse_memory() -> None:
    """Asks for huge pages under all private memory: a fork then copies few page tables. A refusal, or no /proc to find it
    in, costs time only."""
    collapse, huge_page, maps = 25, 1 << 21, Path("/proc/self/maps")
    for line in maps.read_text().splitlines() if maps.exists() else ():
        span, permissions, _, _, inode, *_ = line.split()
        if permissions != "rw-p" or inode != "0" or "[stack" in line:
            continue
        start, end = (int(address, 16) for address in span.split("-"))
        start, end = -(-start // huge_page) * huge_page, end // huge_page * huge_page
        if start < end:
            _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), collapse)


def address_space() -> int:
    """Bytes of address space that this process has; a fork begins with as much."""
    sizes = Path("/proc/self/statm")
    return int(sizes.read_text().split()[0]) * mmap.PAGESIZE if sizes.exists() else _found_by_trying()


def _found_by_trying() -> int:
    """The same where there is no /proc: the most that can be forbidden before another page is refused."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    fits, most = 0, (1 << 47) // mmap.PAGESIZE
    try:
        while fits < most:
            middle = (fits + most) // 2
            resource.setrlimit(resource.RLIMIT_AS, (middle * mmap.PAGESIZE, before[1]))
            fits, most = (fits, middle) if _another_page() else (middle + 1, most)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    return (fits - 1) * mmap.PAGESIZE


def _another_page() -> bool:
    try:
        mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE).close()
    except OSError:
        return False
    return True

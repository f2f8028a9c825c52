"""Which system calls may a program make?

limits -> a seccomp filter (classic BPF) that allows a short list and answers everything else with "operation not
permitted". It is the workhorse of the sandbox: no sockets, no new processes, no signals, no shared memory, nothing
that creates, renames or deletes a file. It does not look at paths; which files may be *read* is Landlock's part.

Numbers are those of x86-64. On another architecture there is no filter, and the sandbox says so.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

_INSTRUCTION = struct.Struct("HBBI")
# Classic BPF: load a word of `struct seccomp_data`, jump if equal / greater or equal / any bit set, return.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_X86_64 = 0xC000003E
#: Numbers from here on are the x32 ABI, a second door to the same calls.
_X32 = 0x40000000

#: What running Python code, numpy and sympy were seen to need, and calls that touch nothing but the process itself. Not
#: `sched_getaffinity`: a library that counts the cores (HiGHS, behind scipy's `linprog`) would start threads for them, which
#: programs may not. Refused, it counts two, on every machine.
_ALLOWED = {
    "read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
    "pread64": 17, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23, "sched_yield": 24, "mremap": 25,
    "madvise": 28, "dup": 32, "dup2": 33, "pause": 34, "nanosleep": 35, "getitimer": 36, "alarm": 37, "setitimer": 38,
    "getpid": 39, "exit": 60, "uname": 63, "getcwd": 79, "readlink": 89, "umask": 95, "gettimeofday": 96,
    "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107,
    "getegid": 108, "getppid": 110, "getpgrp": 111, "rt_sigpending": 127, "sigaltstack": 131, "gettid": 186, "time": 201,
    "futex": 202, "getdents64": 217, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "newfstatat": 262, "readlinkat": 267, "faccessat": 269,
    "pselect6": 270, "ppoll": 271, "set_robust_list": 273, "dup3": 292, "pipe2": 293, "getcpu": 309,
    "getrandom": 318, "statx": 332, "rseq": 334, "close_range": 436, "faccessat2": 439,
}  # fmt: skip
#: Calls allowed with some values of one argument only: number -> (position of the argument, values).
_ONLY = {
    # ioctl: TCGETS, the question "is this a terminal?"; FIONCLEX and FIOCLEX, close on exec.
    16: (1, (0x5401, 0x5450, 0x5451)),
    # fcntl: duplicate, look at flags, close on exec. Never F_SETFL, for all programs have one and the same null device open;
    # never F_SETOWN, which makes the kernel send signals.
    72: (1, (0, 1, 2, 3, 1030)),
    302: (0, (0,)),  # prlimit64: of oneself
}
_OPEN, _OPENAT = 2, 257
_CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | (os.O_TMPFILE & ~os.O_DIRECTORY)
#: Added where a program may write files: pwrite64, fsync, fdatasync, ftruncate, chdir, rename, mkdir, rmdir, unlink,
#: mkdirat, unlinkat, renameat.
_FILES = (18, 74, 75, 77, 80, 82, 83, 84, 87, 258, 263, 264)
#: Added where a program may start processes: fork, vfork, wait4, waitid. clone is looked at: no new namespaces, and no
#: sibling (CLONE_PARENT), whom only the controller could bury, and it would not know of it.
_PROCESSES = (57, 58, 61, 247)
CLONE, _CLONE3 = 56, 435
_NEW_NAMESPACES, _SIBLING = 0x7E020080, 0x8000
#: A pipe or shared memory that a program made would join the forks of its process, which are different programs.
_SHARING, _SHARED = ("pipe", "pipe2", "mmap"), 1
_RECVMSG = 47

_SET_MODE_FILTER, _IS_ACTION_AVAILABLE, _SECCOMP = 1, 2, 317
_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


class Filter:
    """A prepared filter; `install` puts it on the calling process for good."""

    def __init__(
        self, *, reads: bool, writes: bool = False, processes: bool = False, fork: tuple[int, int] | None = None
    ) -> None:
        """`reads`: files may be opened; `writes`: also changed and made; `processes`: forks and threads are allowed;
        `fork`: a fork with exactly these flags (see `forks`), and the descriptor on which it is asked for."""
        self._code = _filter(reads=reads, writes=writes, processes=processes, fork=fork)

    def install(self) -> None:
        """Needs no_new_privs.

        Raises:
            OSError: the kernel refuses.
        """
        install(self._code)


def install(code: bytes, flags: int = 0) -> int:
    """Puts the filter `code` on this process. Returns what the kernel does: 0, or the listener if `flags` ask for one.

    Raises:
        OSError: the kernel refuses.
    """
    program = _Program(len(code) // _INSTRUCTION.size, code)
    result = int(_libc.syscall(_SECCOMP, _SET_MODE_FILTER, flags, ctypes.byref(program)))
    if result < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return result


def arguments_with(number: int, position: int, mask: int, verdict: int) -> bytes:
    """A filter that gives `verdict` on call `number` with any bit of `mask` set in that argument, and allows the rest."""
    code = [
        _step(_LOAD, _NUMBER_OFFSET),
        _step(_EQUAL, number, 0, 3),
        _step(_LOAD, _ARGUMENTS_OFFSET + 8 * position),
        _step(_ANY_BIT, mask, 0, 1),
        _step(_RETURN, verdict),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(code)


def missing() -> str:
    """Why this machine can have no filter, in words; empty if it can."""
    if platform.machine() != "x86_64" or struct.calcsize("P") != 8:
        return f"none (its call numbers are known for x86-64, not for {platform.machine()})"
    kill = ctypes.c_uint32(_KILL)
    if _libc.syscall(_SECCOMP, _IS_ACTION_AVAILABLE, 0, ctypes.byref(kill)) != 0:
        return "none (the kernel has no seccomp filters)"
    return ""


def _filter(*, reads: bool, writes: bool, processes: bool, fork: tuple[int, int] | None) -> bytes:
    code = [
        _step(_LOAD, _ARCHITECTURE_OFFSET),
        _step(_EQUAL, _X86_64, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_OFFSET),
        _step(_AT_LEAST, _X32, 0, 1),
        _step(_RETURN, _KILL),
        *_always(_CLONE3, _DENY | errno.ENOSYS),  # the C library then falls back to clone
    ]
    allowed = [number for name, number in _ALLOWED.items() if not (fork and name in _SHARING)]
    allowed += [*(_FILES if writes else ()), *(_PROCESSES if processes else ())]
    if reads and writes:
        allowed += (_OPEN, _OPENAT)
    elif reads:
        code += [*_without(_OPEN, 1, _CHANGING), *_without(_OPENAT, 2, _CHANGING)]
    if processes:
        code += _without(CLONE, 0, _NEW_NAMESPACES | _SIBLING)
    if fork:
        flags, orders = fork
        code += [*_only(CLONE, 0, (flags,)), *_only(_RECVMSG, 0, (orders,)), *_without(_ALLOWED["mmap"], 3, _SHARED)]
    for number, (position, values) in _ONLY.items():
        code += _only(number, position, values)
    for number in allowed:
        code += _always(number, _ALLOW)
    code.append(_step(_RETURN, _DENY | errno.EPERM))
    return b"".join(code)


def _step(operation: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction; the jumps count instructions to leave out."""
    return _INSTRUCTION.pack(operation, if_true, if_false, operand)


def _always(number: int, verdict: int) -> list[bytes]:
    return [_step(_EQUAL, number, 0, 1), _step(_RETURN, verdict)]


def _without(number: int, position: int, mask: int) -> list[bytes]:
    """Allowed if no bit of `mask` is set in the argument."""
    return [
        _step(_EQUAL, number, 0, 4),
        _step(_LOAD, _ARGUMENTS_OFFSET + 8 * position),
        _step(_ANY_BIT, mask, 0, 1),
        _step(_RETURN, _DENY | errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]


def _only(number: int, position: int, values: tuple[int, ...]) -> list[bytes]:
    """Allowed if the argument is one of `values`."""
    count = len(values)
    return [
        _step(_EQUAL, number, 0, count + 3),
        _step(_LOAD, _ARGUMENTS_OFFSET + 8 * position),
        *(_step(_EQUAL, value, count - index, 0) for index, value in enumerate(values)),
        _step(_RETURN, _DENY | errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]

"""How may a process that has run a program's code fork, and who is asked?

A snapshot is a process that has run the first steps of a program and waits; the next step runs in a fork of it. Its
memory is the program's, so it cannot be trusted to fork only when it should. The controller therefore puts a filter
on itself and all below it that holds a fork of this one kind until the controller, who reads the listener, lets it
pass: once for each time it asked for one. The child is the controller's own: a child of the parent of who forked it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import signal
import struct

from rstar_math.sandbox.syscalls import CLONE, arguments_with, install

_CLONE_PARENT = 0x8000
#: The number of `clone`; None: this project does not know it for this machine's processor.
NUMBER = {"x86_64": CLONE, "aarch64": 220}.get(platform.machine())
#: A fork of exactly this kind is held; every other is allowed or refused without a question.
FLAGS = _CLONE_PARENT | signal.SIGCHLD
_NEW_LISTENER = 1 << 3
_ASK_LISTENER = 0x7FC00000
# `struct seccomp_notif` (80 bytes) begins with id, pid, flags; `struct seccomp_notif_resp` is id, value, error, flags.
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_ASKED, _ANSWER = struct.Struct("=QII64x"), struct.Struct("=QqiI")
_CONTINUE, _REFUSE = 1, -1

_libc = ctypes.CDLL(None, use_errno=True)


def listen() -> int:
    """Puts the filter on this process, for good. Returns the listener, readable when a fork is held.

    Raises:
        OSError: the kernel is older than 5.5, or this process has a listener above it already.
    """
    return install(arguments_with(CLONE, 0, _CLONE_PARENT, _ASK_LISTENER), _NEW_LISTENER)


def can_listen() -> bool:
    """Whether `listen` works here; tried in a process that ends at once."""
    trial = os.fork()
    if trial == 0:
        code = 1
        try:
            listen()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(trial, 0)[1] == 0


def held(listener: int) -> tuple[int, int] | None:
    """The question's number and the asking process; None if it ended meanwhile."""
    question = bytearray(_ASKED.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, question)
    except FileNotFoundError:
        return None
    number, process, _ = _ASKED.unpack(question)
    return number, process


def answer(listener: int, number: int, *, allowed: bool) -> bool:
    """Lets a held fork pass, or refuses it. False if the process that asked ended meanwhile."""
    reply = _ANSWER.pack(number, 0, *((0, _CONTINUE) if allowed else (_REFUSE, 0)))
    try:
        fcntl.ioctl(listener, _SEND, reply)
    except FileNotFoundError:
        return False
    return True


def fork_sibling() -> int:
    """A fork whose parent is this process's parent; 0 in the child. Nothing is run around it, no generator re-seeded."""
    return int(_libc.syscall(NUMBER, FLAGS, 0, 0, 0, 0))

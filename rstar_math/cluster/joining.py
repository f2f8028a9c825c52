"""Which cluster does a run join?

Ray is started or joined here. No actor is.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import ray
from ray._private import utils

from rstar_math.cluster.remote import cause_of
from rstar_math.errors import ConfigError
from rstar_math.training import devices

#: A node of a cluster takes a connection within so many seconds.
_KNOCK_SECONDS = 10.0


def connect_to(address: str | None, *, needs_gpus: bool = False) -> None:
    """Joins the cluster at `address`, or starts one on this machine, unless that has been done. `needs_gpus`: engines and
    ranks ask for GPUs, whether there are some yet or not.

    Raises:
        ConfigError: there is no cluster.
    """
    joined = ray.is_initialized()
    if not joined:
        devices.forget()  # those of a cluster before
    if needs_gpus:
        devices.need_gpus()
    if joined:
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)  # errors keep their message, advice stays in Ray's own logs
    options = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    try:
        _knock(address or "")
        with _sigterm_stays_ours():
            # "local": without an address Ray would join whatever cluster was started on this machine, or RAY_ADDRESS's.
            ray.init(address=address or "local", include_dashboard=False, runtime_env=quoted_interpreter(), **options)
    except (ValueError, RuntimeError) as error:  # no address at all, or another version of Ray or Python over there
        if address is None:
            raise
        raise ConfigError(
            f"cluster.address={address}: Ray cannot join it ({cause_of(error)}). Write HOST:PORT or auto, and have the same "
            "Ray and Python on all machines"
        ) from error
    except ConnectionError as error:
        raise ConfigError(
            f"cluster.address={address}: no Ray cluster answers there ({cause_of(error)}); start one with "
            "`ray start --head`, set RAY_AUTH_MODE=token where that one asks for a token (one started on a machine with "
            "~/.ray/auth_token does), name another, or leave it out for one of this machine's own"
        ) from error


def leave() -> None:
    """Ends a cluster of this machine's own, or leaves that of others; Ray has nothing more to print then."""
    ray.shutdown()
    devices.forget()


@contextmanager
def _sigterm_stays_ours() -> Iterator[None]:
    """Ray's driver takes SIGTERM for itself while it starts: a run that is preempted then would end with a code of Ray's. And
    Python drops an exception that a handler raises within a hook of `fork`, where Ray starts its processes."""
    ends = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(ends):
        yield
        return
    came = False

    def noting(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        ends(number, frame)

    theirs = utils.set_sigterm_handler
    signal.signal(signal.SIGTERM, noting)
    utils.set_sigterm_handler = lambda _: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = theirs
        signal.signal(signal.SIGTERM, ends)
    if came:
        raise KeyboardInterrupt


def _knock(address: str) -> None:
    """Whether anybody listens at HOST:PORT; Ray itself asks an address that is silent for a minute and longer.

    Raises:
        ConnectionError: nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        raise ConnectionError(error) from error


def quoted_interpreter() -> dict[str, str] | None:
    """Where the interpreter's path has a space, Ray has to be given it quoted: it starts some workers through a shell."""
    quoted = shlex.quote(sys.executable)
    return {"py_executable": quoted} if quoted != sys.executable else None

"""What do all commands have in common?

`key=value` overrides, of which some belong to the start alone, and errors that end a command with their message. No command
stands here.
"""

from __future__ import annotations

import errno
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import click

from rstar_math.cli.process import leave
from rstar_math.errors import ConfigError, DiskError, Interrupted, RstarError
from rstar_math.report.errors import show_error

_P = ParamSpec("_P")
#: What a disk says that takes no more.
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.ESTALE}
_NAME = "rstar-math"
_WAY_OUT = (
    "make room there, or let this user read and write it (runs=FOLDER and out=FOLDER say where things are written)"
)
OVERRIDES = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")


def spoken(command: Callable[_P, None]) -> Callable[_P, None]:
    """Errors made on purpose end the command with their message and exit code, not with a traceback; so does SIGTERM, as
    Ctrl-C does, from here on."""

    @wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            command(*args, **kwargs)
        except RstarError as error:
            show_error(error)
            sys.exit(error.exit_code)
        except OSError as error:
            if error.errno not in _OF_THE_DISK:
                raise
            refused = DiskError(f"{error}\nEverything finished is kept: {_WAY_OUT} and start the same command again.")
            show_error(refused)
            sys.exit(refused.exit_code)
        except KeyboardInterrupt:
            stopped = Interrupted(f"Everything finished is kept. Go on with: {program()} {shlex.join(sys.argv[1:])}")
            show_error(stopped)
            leave(stopped.exit_code)  # an engine's threads may outlive the request to end
        finally:
            signal.signal(signal.SIGTERM, before)

    return run


def program() -> str:
    """What a person types to start this program again: its name where the shell finds it, else what started it now."""
    if Path(sys.argv[0]).name == _NAME:
        found = shutil.which(_NAME)
        return _NAME if found and Path(found).samefile(sys.argv[0]) else shlex.quote(sys.argv[0])
    return shlex.join(sys.orig_argv[: len(sys.orig_argv) - len(sys.argv[1:])])


def take(overrides: Sequence[str], *names: str) -> tuple[dict[str, str], list[str]]:
    """Splits off what belongs to this start alone (`from=`, `until=`, `out=`), not to the run's configuration."""
    taken = {key: value for key, _, value in (item.partition("=") for item in overrides) if key in names and value}
    return taken, [item for item in overrides if item.partition("=")[0] not in names]


def needed(taken: dict[str, str], command: str, *names: str) -> list[str]:
    """The values of inputs that a command cannot do without.

    Raises:
        ConfigError: one is missing.
    """
    missing = [name for name in names if name not in taken]
    if missing:
        raise ConfigError(f"{command} needs {' '.join(f'{name}=PATH' for name in missing)}")
    return [taken[name] for name in names]

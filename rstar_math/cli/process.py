"""How does the process of a command end?

With the command's exit code, whatever the libraries that it loaded do at their end. Python takes a process apart while native
threads of theirs may still run: one run that had done everything died of that, by a signal instead of with 0, and who started
it (Slurm, Kubernetes, a script) would have taken it for failed. So once the command is over and what was registered for the
end has been called, the process leaves without being taken apart.
"""

from __future__ import annotations

import atexit
import os
import sys

#: What Python itself ends with where the last of its output could not be written.
_UNWRITTEN = 120


class _Ending:
    """Leaves the process once all else that was registered has been called: what is registered first is called last.

    Attributes:
        code: 1 unless the command says another one, as where it ends with a traceback.
    """

    def __init__(self) -> None:
        self.code = 1
        atexit.register(self._leave)

    def _leave(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # nobody reads it any more, its disk is full, or it is closed
                self.code = self.code or _UNWRITTEN
        os._exit(self.code)


def run() -> None:
    """`rstar-math`, and `python -m rstar_math`."""
    ending = _Ending()  # before any library registers what it wants called

    from rstar_math.cli.main import main

    try:
        main()
    except SystemExit as left:
        ending.code = left.code if isinstance(left.code, int) else int(left.code is not None)
        raise

"""How does the process of a command end?

With the command's exit code, whatever the libraries that it loaded would do at their end. Python takes a process apart
while native threads of theirs may still run. A run that had done everything died of that once, by SIGSEGV instead of with
0, and who starts runs (Slurm, Kubernetes, a script) would have taken it for failed. So a process leaves as soon as its
command is over and Ray is left: what else must be closed is closed by the command itself.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import NoReturn

#: What Python itself ends with where the last of its output could not be written.
_UNWRITTEN = 120


def run() -> None:
    """`rstar-math`, and `python -m rstar_math`. An error that nobody foresaw is left to Python, and its traceback."""
    from rstar_math.cli.main import main

    try:
        main()
    except SystemExit as over:
        if isinstance(over.code, str):  # Python writes it
            raise
        _leave_ray()
        leave(over.code or 0)


def leave(code: int) -> NoReturn:
    """Ends this process here and now; what it has printed is written first."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # nobody reads it any more, its disk is full, or it is closed
            code = code or _UNWRITTEN
    os._exit(code)


def _leave_ray() -> None:
    """Ends a cluster of this machine's own at once; without a word some of its processes would last for half a minute. They
    do where ranks that have not ended in time keep a thread in Ray: left under it, Ray ends the process with a code of its
    own, or by SIGSEGV."""
    joining = sys.modules.get("rstar_math.cluster.joining")
    if joining is None:  # the command had nothing to do with Ray, whose import takes a second
        return
    from rstar_math.training.exchange import THREAD

    if not any(thread.name == THREAD for thread in threading.enumerate()):
        joining.leave()

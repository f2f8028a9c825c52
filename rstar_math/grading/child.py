"""Who does the comparing?

A process of its own: [answer, gold] as a JSON line in, a verdict as a line out, one at a time, until its input ends. It
limits its own memory, and has the kernel kill it when one comparison takes more processor time than it may, so that it
ends even where nobody is left to kill it. Started as `python -m rstar_math.grading.child CPU_SECONDS`.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
from typing import TextIO

from rstar_math.records import Verdict

#: Enough for the computer algebra and its caches; a tower of powers wants more than any machine has.
_MEMORY_BYTES = 2 << 30
READY = "ready"


def _verdict(answer: str, gold: str) -> Verdict:
    from rstar_math.grading.equality import compare

    try:
        return compare(answer, gold)
    except MemoryError:
        raise
    # The wall: a parser and a computer algebra fail in many ways on text that is no mathematics.
    except Exception:  # noqa: BLE001
        return Verdict.UNDECIDED


def serve(requests: TextIO, verdicts: TextIO, cpu_seconds: float) -> None:
    """Answers requests until they end. The first comparison is made before "ready": it builds the parser's tables."""
    logging.disable()
    _verdict("\\frac{1}{2}", "\\sqrt{3}")
    print(READY, file=verdicts, flush=True)
    for line in requests:
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        answer, gold = json.loads(line)
        verdict = _verdict(answer, gold)
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(verdict.value, file=verdicts, flush=True)


def main() -> None:
    """Serves standard input; libraries that print reach nobody."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    verdicts = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    serve(sys.stdin, verdicts, float(sys.argv[1]))


if __name__ == "__main__":
    main()

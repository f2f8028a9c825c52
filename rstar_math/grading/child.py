"""Who does the comparing?

A process of its own: [answer, gold, tolerance] as a JSON line in, [verdict, reason] as a line out, one at a time, until its
input ends. It limits its own memory, and has the kernel kill it when one comparison takes more processor time than it may,
so that it ends even where nobody is left to kill it. Started as
`python -m rstar_math.grading.child CPU_SECONDS ROUNDED TOLERANCE`.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import resource
import signal
import sys
from typing import TextIO

from rstar_math.grading.comparing import compare
from rstar_math.grading.formulas import Rules
from rstar_math.records import Grade, Verdict

#: Enough for the computer algebra and its caches; a tower of powers wants more than any machine has.
_MEMORY_BYTES = 2 << 30
READY = "ready"
#: What a process has to get right before it serves: a fault of its own would make everything unreadable.
_TRIAL = ("\\frac{\\sqrt{5}+1}{2}", "\\frac{1+\\sqrt{5}}{2}")


def _grade(answer: str, gold: str, rules: Rules) -> Grade:
    from rstar_math.grading import algebra  # a second to load, and only here

    try:
        return compare(answer, gold, algebra.Algebra(rules))
    except MemoryError:
        return Grade(Verdict.TIMEOUT, f"more than {_MEMORY_BYTES >> 20} MB of memory")
    # The wall: a parser and a computer algebra fail in many ways on text that is no mathematics.
    except Exception as error:  # noqa: BLE001
        return Grade(Verdict.UNREADABLE, f"the computer algebra failed: {type(error).__name__}")


def serve(requests: TextIO, grades: TextIO, cpu_seconds: float, rules: Rules) -> None:
    """Answers requests until they end, or memory does."""
    from rstar_math.grading import algebra

    logging.disable()
    algebra.warm_up()
    tried = _grade(*_TRIAL, rules)
    if tried.verdict is not Verdict.CORRECT:
        raise RuntimeError(f"{' and '.join(_TRIAL)} should be the same, but: {tried.reason}")
    gc.collect()
    gc.freeze()  # the libraries' millions of objects are there to stay; looking through them again takes long
    print(READY, file=grades, flush=True)
    for line in requests:
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        answer, gold, tolerance = json.loads(line)
        grade = _grade(answer, gold, rules._replace(own_tolerance=tolerance))
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(grade), file=grades, flush=True)
        if grade.verdict is Verdict.TIMEOUT:
            return


def main() -> None:
    """Serves standard input; libraries that print reach nobody."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    grades = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    cpu_seconds, rounded_digits, tolerance = sys.argv[1:]
    serve(sys.stdin, grades, float(cpu_seconds), Rules(int(rounded_digits), float(tolerance)))


if __name__ == "__main__":
    main()

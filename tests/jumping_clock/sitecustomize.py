"""The clock of a machine that is set anew every half minute or so, by up to an hour back or forth.

Python imports this at its start where the folder stands in PYTHONPATH: so every process of a run has such a clock, each its
own, as on many machines.
"""

import random
import time

_draws, _true_time = random.Random(), time.time
_off, _next = 0.0, time.monotonic() + _draws.uniform(5, 40)


def _jumping_time() -> float:
    global _off, _next
    if time.monotonic() > _next:
        _off, _next = _draws.uniform(-3600, 3600), time.monotonic() + _draws.uniform(5, 40)
    return _true_time() + _off


time.time = _jumping_time

"""`rstar-math` with scripted engines in place of vLLM's, and a clock that jumps; everything else is real. Two runs of the
same problems find equal trees, so what interrupts one of them must leave no trace in it.

    python tests/scripted_evolve.py evolve KEY=VALUE…     # problems that ask for the sum of two numbers
"""

import random
import time
from functools import partial
from unittest.mock import patch

from rstar_math.cli import launch
from rstar_math.cli.main import main
from rstar_math.cluster.fleet import Fleet
from rstar_math.scripted import ScriptedEngine


class JumpingClock:
    """`time.time` of a machine whose clock is set anew now and then, by up to an hour back or forth."""

    def __init__(self) -> None:
        self._true = time.time
        self._off = 0.0

    def __call__(self) -> float:
        if random.random() < 0.02:
            self._off = random.uniform(-3600, 3600)
        return self._true() + self._off


if __name__ == "__main__":
    scripted = patch.object(launch, "Fleet", partial(Fleet, policy_actor=ScriptedEngine, ppm_actor=ScriptedEngine))
    with patch("time.time", JumpingClock()), scripted:
        main()

"""`rstar-math` with scripted engines in place of vLLM's, and clocks that jump in every one of its processes; everything else
is real. Two runs of the same problems find equal trees, so what interrupts one of them must leave no trace in it.

    python tests/scripted_evolve.py evolve KEY=VALUE…     # problems that ask for the sum of two numbers
"""

import faulthandler
import os
import sys
from functools import partial
from pathlib import Path
from unittest.mock import patch

CLOCK = str(Path(__file__).with_name("jumping_clock"))

if __name__ == "__main__":
    if CLOCK not in sys.path:  # once more, so that this process has it from its start, as those that it starts do
        path = os.pathsep.join(filter(None, (CLOCK, os.environ.get("PYTHONPATH"))))
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"PYTHONPATH": path})

    faulthandler.enable()  # one that crashes, as one has once when it had done everything, says where

    from rstar_math.cli import launch
    from rstar_math.cli.process import run
    from rstar_math.cluster.fleet import Fleet
    from rstar_math.scripted import ScriptedEngine

    scripted = patch.object(launch, "Fleet", partial(Fleet, policy_actor=ScriptedEngine, ppm_actor=ScriptedEngine))
    with scripted:
        run()

"""`rstar-math` with scripted engines in place of vLLM's; everything else is real. Two runs of the same problems find equal
trees, so what interrupts one of them must leave no trace in it.

    python tests/scripted_evolve.py evolve KEY=VALUE…     # problems that ask for the sum of two numbers
"""

from functools import partial
from unittest.mock import patch

from rstar_math.cli import launch
from rstar_math.cli.main import main
from rstar_math.cluster.fleet import Fleet
from rstar_math.scripted import ScriptedEngine

if __name__ == "__main__":
    with patch.object(launch, "Fleet", partial(Fleet, policy_actor=ScriptedEngine, ppm_actor=ScriptedEngine)):
        main()

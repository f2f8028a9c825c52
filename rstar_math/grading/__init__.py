"""Is this answer right?

`ProcessJudge` compares a final answer with the ground truth: by text and exact arithmetic where they decide, else by computer
algebra in processes that can be killed. `at_once` is the half of it that needs no process.
"""

from rstar_math.grading.judge import ProcessJudge, at_once

__all__ = ["ProcessJudge", "at_once"]

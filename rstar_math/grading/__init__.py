"""Is this answer right?

`ProcessJudge` compares a final answer with the ground truth in processes that can be killed; what can be settled by
looking at the text is settled on the spot. Nothing here finds the answer in a solution: that is `rstar_math.text`.
"""

from rstar_math.grading.judge import ProcessJudge

__all__ = ["ProcessJudge"]

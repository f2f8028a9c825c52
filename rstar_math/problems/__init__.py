"""Where do problems come from?

The embedded word problems, or a file or data set of the user's; and which of them are trained on.
"""

from rstar_math.problems.reading import read_problems
from rstar_math.problems.splitting import ProblemSets, problem_sets, split_off

__all__ = [
    "ProblemSets",
    "problem_sets",
    "read_problems",
    "split_off",
]

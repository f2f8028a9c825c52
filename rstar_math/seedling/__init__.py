"""Where does the embedded default's first policy come from?

`MODEL_PATH` is the shipped model folder, `solved_problems` is what it was trained on; `recipe.grow_seedling` makes it
anew. Importing this loads no torch.
"""

from __future__ import annotations

from pathlib import Path

from rstar_math.problems.wordproblems import WordProblem, generate

MODEL_PATH = Path(__file__).parent / "model"
#: What the shipped model was grown from: the seed of its weights and batches, and that of its solved problems.
SEED = 2
SOLVED_SEED = 1
SOLVED_COUNT = 2400
#: The level of every solved problem in turn: all levels, fewer of the hard ones.
SOLVED_LEVELS = (1,) * 5 + (2,) * 5 + (3,) * 4 + (4,) * 4 + (5,) * 3 + (6,) * 3


def solved_problems() -> list[WordProblem]:
    """The exact problems that the shipped seedling saw solved, for the control that trains on them further."""
    return generate(SOLVED_SEED, SOLVED_COUNT, SOLVED_LEVELS, "solved")

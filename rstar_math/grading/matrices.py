"""Are two matrices the same?

Row by row and entry by entry, the factor before a matrix multiplied into its entries.
"""

from __future__ import annotations

from collections.abc import Callable

from rstar_math.grading import structure
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.kinds import Difference


def differ(said: str, meant: str, values: Callable[[str, str], Difference]) -> Difference:
    """Why two matrices differ, by the difference between values; "" where they do not.

    Raises:
        Unreadable: one of them is no matrix.
    """
    one, other = structure.matrix(said), structure.matrix(meant)
    if one is None or other is None:
        raise Unreadable("a matrix beside something else")
    if [len(row) for row in one.rows] != [len(row) for row in other.rows]:
        return "a matrix of another shape"
    for rows in zip(one.rows, other.rows, strict=True):
        for cells in zip(*rows, strict=True):
            if values(*(_multiplied(side.factor, cell) for side, cell in zip((one, other), cells, strict=True))):
                return "a matrix with another entry"
    return ""


def _multiplied(factor: str, cell: str) -> str:
    return f"({factor})({cell})" if factor else cell

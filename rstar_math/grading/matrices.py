r"""Are two matrices the same?

Row by row and entry by entry. A sum of matrices, each with factors before and behind it, is the matrix of the entries' sums:
`\begin{pmatrix} 1 \\ 2 \end{pmatrix} + t \begin{pmatrix} 3 \\ 4 \end{pmatrix}` is a column of `1 + 3t` and `2 + 4t`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TypeAlias

from rstar_math.grading import structure
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.kinds import Difference

Rows: TypeAlias = tuple[tuple[str, ...], ...]

_MATRIX = re.compile(
    r"(?P<bracket>[\[(]\s*)?\\begin\{(?P<kind>[pbB]?matrix|smallmatrix|array)\}(?:\{[lcr|\s]*\})?(?P<rows>(?:(?!\\begin).)*?)"
    r"\\end\{(?P=kind)\}(?(bracket)\s*[\])])",
    re.DOTALL,
)
#: The end of a row, also where it has lost a backslash.
_ROW_END = re.compile(r"\\\\|\\cr(?![a-z])|\\(?=\s*[-\d])")
#: Stands for a matrix where its factors are looked at; no answer has it.
_PLACE = "\ue000"
_TIMES = re.compile(r"^\s*(?:\\(?:cdot|times)(?![a-z])|\*)|(?:\\(?:cdot|times)(?![a-z])|\*)\s*$")
#: No factor.
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")


def differ(said: str, meant: str, values: Callable[[str, str], Difference]) -> Difference:
    """Why two matrices differ, by the difference between values; "" where they do not.

    Raises:
        Unreadable: one of them is no matrix.
    """
    one, other = rows(said), rows(meant)
    if one is None or other is None:
        raise Unreadable("a matrix beside something else")
    if _shape(one) != _shape(other):
        return "a matrix of another shape"
    for pair in zip(one, other, strict=True):
        for cells in zip(*pair, strict=True):
            if values(*cells):
                if said.count("\\begin") + meant.count("\\begin") > 2:
                    raise Unreadable("a sum of matrices, which may be written with other symbols")
                return "a matrix with another entry"
    return ""


def rows(text: str) -> Rows | None:
    """The entries of a matrix, a column, or a sum of such; None of determinants, products of matrices and all else."""
    matrices = list(map(_rows, _MATRIX.finditer(text)))
    return _added(_MATRIX.sub(_PLACE, text), filter(None, matrices)) if all(matrices) else None


def _added(text: str, matrices: Iterator[Rows]) -> Rows | None:
    """The same of a sum; `matrices` stand in its places."""
    terms = [_term(term, matrices) for term in _terms(text)]
    found = [matrix for matrix in terms if matrix is not None]
    if len(found) < len(terms) or len(set(map(_shape, found))) > 1:
        return None
    return tuple(tuple(map(_sum, zip(*row, strict=True))) for row in zip(*found, strict=True))


def _term(text: str, matrices: Iterator[Rows]) -> Rows | None:
    """One matrix, or one sum in brackets, with its factors."""
    start, end = _around(text)
    before, behind = (_TIMES.sub("", part).strip() for part in (text[:start], text[end:]))
    if start == end or _WORD.search(f"{before} {behind}"):
        return None
    matrix = next(matrices) if text[start:end] == _PLACE else _added(text[start + 1 : end - 1], matrices)
    if matrix is None:
        return None
    return tuple(tuple(_multiplied(before, cell, behind) for cell in row) for row in matrix)


def _around(text: str) -> tuple[int, int]:
    """Where the only place stands, or the only brackets that hold places; nothing where there are more, or none."""
    depth, start, found = 0, 0, set()
    for place, character in enumerate(text):
        start = place if depth == 0 else start
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and _PLACE in text[start : place + 1]:
            found.add((start, place + 1))
    return found.pop() if len(found) == 1 else (0, 0)


def _rows(found: re.Match[str]) -> Rows | None:
    """Those of one matrix, empty where there are none; an array is a matrix within brackets only."""
    if found["kind"] == "array" and not found["bracket"]:
        return None
    parts = (part.strip() for part in _ROW_END.split(found["rows"]))
    return tuple(tuple(cell.strip() for cell in structure.split(part, "&")) for part in parts if part)


def _terms(text: str) -> list[str]:
    """What is added outside all brackets, each with its sign."""
    cuts = [0, *_signs(text), len(text)]
    return [text[start:end] for start, end in pairwise(cuts)]


def _signs(text: str) -> Iterator[int]:
    """Where a term begins with a sign, and one went before it."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character in "+-" and depth == 0 and text[:place].strip():
            yield place


def _multiplied(before: str, cell: str, behind: str) -> str:
    """An entry with the factors of its matrix."""
    before = before.removeprefix("+")
    if before == "-":
        before = "-1"
    factors = [factor for factor in (before, cell, behind) if factor]
    return r"\cdot".join(f"({factor})" for factor in factors) if len(factors) > 1 else cell


def _sum(cells: tuple[str, ...]) -> str:
    return "+".join(f"({cell})" for cell in cells) if len(cells) > 1 else cells[0]


def _shape(matrix: Rows) -> tuple[int, ...]:
    return tuple(map(len, matrix))

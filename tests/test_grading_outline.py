"""The second look at how an answer is put together: it has to see what our own reader overlooks, and nothing else."""

import pytest

from rstar_math.grading import algebra, listing, outline, reals, structure
from rstar_math.grading.comparing import Comparison, compare
from rstar_math.grading.failures import Unreadable
from rstar_math.grading.formulas import Rules
from rstar_math.records import Verdict

#: Put together in the same way, whatever their formulas say.
ALIKE = r"""
(1,2) | \left( 1;\, 2 \right)
(1, 2, 3) | \langle 1,2,3 \rangle
(3,4),(1,2) | \{(1,2),(3,4)\}
(1,2), (1,2) | (1,2)
1,2,2 | \{1,2\}
(x,y) = (1,2) | (1, 2)
x=1, y=2 | (1,2)
x=1, y=2; x=3, y=4 | (1,2),(3,4)
(\pm 1, 2) | (1,2), (-1,2)
\{\pm 1\} | x = 1 \text{ or } x = -1
(1,000, 2) | (1000, 2)
32,\! 349 | 32349
\begin{pmatrix}1&2\\3&4\\\end{pmatrix} | \left[\begin{array}{cc}1&2\\3&4\end{array}\right]
2k\pi | x = 2k\pi, k \in \mathbb{Z}
[1,2) | 1 \le x < 2
(1,2] | \{x \mid x > 1 \text{ and } x \leq 2\}
(-\infty,1) \cup (1,\infty) | \mathbb{R} - \{1\}
x \ne \pm 2, 3 | \mathbb{R} \setminus \{2, -2, 3\}
\mathbb{R} \setminus [0,1] | x<0 \text{ or } x>1
[1,3] | [1,2] \cup [2,3]
|x - 1| \ge 3 | (-\infty,-2] \cup [4,\infty)
3 - x < 2 | x > 1
x<1, x>2 | (-\infty,1)\cup(2,\infty)
(0,1) \cap (1,2) | \emptyset
(-\infty,\infty) | \mathbb{R}
0 < x < \infty | (0,\infty)
"""
#: Put together in different ways.
DIFFERENT = r"""
(1,2) | [1,2]
[1,2) | (1,2]
(1,2) | \{1,2\}
(1,2) | 1,2
(1,2) | (2,1)
(a,b,c) | (a,c,b)
(1,2),(3,4) | (1,2,3,4)
((1,2),(3,4)) | (1,2),(3,4)
(1,(2,3)) | ((1,2),3)
\{(1,2)\} | \{1,2\}
1,2,3 | 1,2
1,2,2 | 1,2
\pm 3 | 3
\{\pm 1\} | \{1\}
\begin{pmatrix}1&2\end{pmatrix} | \begin{pmatrix}1\\2\end{pmatrix}
x<1 | x \le 1
x<1 | x>1
1<x<2 | 1 \le x < 2
2x+1<4 | x>2
x \ne 1 | x = 1
x \ne 1, 2 | x \ne 1
|x|<3 | |x|>3
|x|<3 | [-3,3]
x<1 \text{ or } x>2 | 1<x<2
(-\infty,1) \cup (2,\infty) | (1,2)
(-\infty,1) \cup (2,\infty) | (-\infty,1] \cup [2,\infty)
(0,\infty) | x < 0
(0,\infty) | [0,\infty)
\mathbb{R} \setminus \{1\} | \mathbb{R}
\mathbb{R} \setminus [0,1] | (-\infty,0] \cup [1,\infty)
\mathbb{R} | \emptyset
"""


def pairs(table: str) -> list[tuple[str, str]]:
    rows = [line.rpartition(" | ") for line in table.strip("\n").split("\n")]
    return [pair for said, _, meant in rows for pair in ((said, meant), (meant, said))]


def seen_alike(said: str, meant: str) -> bool:
    try:
        outline.check(said, meant)
    except Unreadable:
        return False
    return True


def test_what_is_put_together_in_one_way_is_seen_so() -> None:
    assert [pair for pair in pairs(ALIKE) if not seen_alike(*pair)] == []


def test_what_is_put_together_in_different_ways_is_seen_so() -> None:
    assert [pair for pair in pairs(DIFFERENT) if seen_alike(*pair)] == []


def _blind_to_brackets(patch: pytest.MonkeyPatch) -> None:
    row = structure.row

    def blind(text: str, *, grouping: bool = True) -> structure.Row | None:
        found = row(text, grouping=grouping)
        return found and found._replace(opening="(", closing=")")

    patch.setattr(structure, "row", blind)


def _blind_to_ends(patch: pytest.MonkeyPatch) -> None:
    compared = reals._compare
    closed = {"<": "\\leq", ">": "\\geq"}
    patch.setattr(reals, "_compare", lambda place, sign, end: compared(place, closed.get(sign, sign), end))


def _blind_to_directions(patch: pytest.MonkeyPatch) -> None:
    link = reals.Reader._link
    turned = {">": "<", "\\geq": "\\leq"}
    patch.setattr(
        reals.Reader, "_link", lambda self, left, sign, right: link(self, left, turned.get(sign, sign), right)
    )


def _blind_to_order(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Comparison, "_rows", lambda self, said, meant: self._lists(said.members, meant.members, sets=False))


def _blind_to_number(patch: pytest.MonkeyPatch) -> None:
    members = listing.members
    patch.setattr(listing, "members", lambda text, **rest: listing.Members(members(text, **rest).texts[:1]))


@pytest.mark.parametrize(
    ("blind", "said", "meant"),
    [
        (_blind_to_brackets, "[1,2)", "(1,2]"),
        (_blind_to_ends, "1 < x < 2", "[1,2]"),
        (_blind_to_directions, "x > 1", "x < 1"),
        (_blind_to_order, "(2,1)", "(1,2)"),
        (_blind_to_number, "1, 2", "1"),
    ],
    ids=["brackets", "ends", "directions", "order", "number"],
)
def test_what_one_reader_overlooks_in_the_structure_the_other_sees(
    monkeypatch: pytest.MonkeyPatch, blind, said: str, meant: str
) -> None:
    """How an answer is put together was told by one reader alone, and what it misread was right."""
    assert compare(said, meant, algebra.Algebra(Rules())).verdict is Verdict.WRONG
    blind(monkeypatch)
    assert compare(said, meant, algebra.Algebra(Rules())).verdict is Verdict.UNREADABLE
    monkeypatch.setattr(outline, "check", lambda said, meant: None)
    assert compare(said, meant, algebra.Algebra(Rules())).verdict is Verdict.CORRECT

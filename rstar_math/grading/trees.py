"""What is a formula made of?

The tree that `grammar` reads and `values` computes, and the names of the functions that both know.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple


class Node(NamedTuple):
    """A number or a symbol (`value`), or an operation on its parts."""

    op: str
    parts: tuple[Node, ...] = ()
    value: Fraction | str = ""


ONE, MINUS_ONE, TWO = (Node("number", value=Fraction(value)) for value in (1, -1, 2))
_TRIGONOMETRIC = ("sin", "cos", "tan", "cot", "sec", "csc")
FUNCTIONS = frozenset(
    [*_TRIGONOMETRIC, *(f"arc{name}" for name in _TRIGONOMETRIC), "sinh", "cosh", "tanh", "ln", "log", "lg", "exp"]
)
#: `\\sin^{-1}` is the inverse function.
INVERSES = {name: f"arc{name}" for name in _TRIGONOMETRIC}


def negative(node: Node) -> Node:
    """The tree with a minus sign before it."""
    if node.op == "number" and isinstance(node.value, Fraction):
        return Node("number", value=-node.value)
    return Node("multiply", (MINUS_ONE, node))


def product(factors: list[Node]) -> Node:
    """The tree of a product; a single factor is one."""
    return factors[0] if len(factors) == 1 else Node("multiply", tuple(factors))


def depth(node: Node) -> int:
    """How many levels a tree has; counted level by level, for a tree may be deeper than a program may call."""
    levels, level = 0, [node]
    while level:
        levels, level = levels + 1, [part for above in level for part in above.parts]
    return levels

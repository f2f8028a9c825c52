"""Which warm parent runs this program, and what has it done before?

A fork of a process that has imported sympy and solved an equation starts in a millisecond; the same from cold costs
300. But a fork copies the page tables of all that, so a program that needs no sympy is forked from a smaller process.
The tiers, from the smallest: the standard library, numpy, sympy, scipy, asyncio; the larger hold the smaller.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Sequence

from rstar_math.sandbox.events import without_sockets

#: Modules that a tier imports before its first fork; one that is not installed is left out.
_IMPORTS = {
    "bare": """
        bisect calendar cmath collections copy dataclasses datetime decimal enum fractions functools heapq inspect io
        itertools json logging math numbers operator random re statistics string textwrap time types typing weakref
    """,
    "numpy": "numpy numpy.linalg numpy.polynomial numpy.random",
    "sympy": "sympy sympy.core.random sympy.geometry sympy.ntheory sympy.stats",
    "scipy": "scipy.optimize scipy.special scipy.stats scipy.integrate",
    "asyncio": "asyncio",
}
TIERS = tuple(_IMPORTS)
_MENTION = re.compile(r"\b(numpy|sympy|scipy|pandas|networkx|asyncio)\b")
_SMALLEST = {"pandas": "numpy", "networkx": "numpy"}
_FIRST_DUMMY = 10_000_000  # above all that it draws

#: Typical calls of mathematical programs. Their first run in a process imports, builds tables and fills caches.
_REHEARSAL = {
    "bare": """
from fractions import Fraction
from decimal import Decimal
str(Fraction(1, 3) + 1), str(Decimal(2).sqrt()), f"{1.5:.2f}"
""",
    "numpy": """
import numpy as np
str(np.linalg.solve(np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0]))), str(np.roots([1, -3, 2]))
np.random.seed(0), np.arange(5).sum(), np.random.rand(2), np.linalg.det(np.eye(2)), np.linalg.eig(np.eye(2))
""",
    "sympy": """
from sympy import *
x, y, z = symbols("x y z")
n = symbols("n", integer=True, positive=True)
str(solve(x**2 - 5*x + 6, x)), str(solve([x + y - 3, x - y - 1], [x, y])), str(solve(x**3 - 2*x + 1, x))
solve([x*y - 6, x + y - 5], [x, y]), solve(Eq(2*x + 1, 7), x), solve(sqrt(x + 1) - 2, x), solve(x**2 + y - 1, y)
solveset(x**2 - 4, x, S.Reals), linsolve([x + y - 2, x - y], x, y), solve(x**2 - 4 > 0, x), nsolve(cos(x) - x, 1)
str(factor(x**3 - 1)), str(expand((x + y)**4)), str(simplify(sin(x)**2 + cos(x)**2)), simplify((x**2 - 1)/(x - 1))
str(diff(x**3 * sin(x), x)), str(integrate(x * exp(x), x)), integrate(x**2, (x, 0, 1)), limit(sin(x)/x, x, 0)
str(Rational(1, 3) + sqrt(8)), N(pi, 20), sqrt(2).evalf(), summation(n, (n, 1, 10)), series(exp(x), x, 0, 4)
Matrix([[1, 2], [3, 4]]).inv(), Matrix([[2, 0], [0, 3]]).eigenvals(), Matrix([[1, 2], [3, 4]]).det()
factorint(360), isprime(97), divisors(28), gcd(12, 18), lcm(4, 6), totient(12), binomial(5, 2), prime(10), nextprime(7)
Poly(x**2 - 1, x).all_coeffs(), roots(x**2 - 2, x), nsimplify(0.5), radsimp(1/(1 + sqrt(2))), together(1/x + 1/y)
latex(x**2 / 2), trigsimp(sin(2*x)), apart(1/(x**2 - 1), x), re(2 + 3*I), Abs(3 - 4*I)
Point(0, 0).distance(Point(3, 4)), Circle(Point(0, 0), 2).area
""",
    "scipy": "",
    "asyncio": "",
}


def tier_of(program: Sequence[str]) -> str:
    """The smallest tier that holds every library that the program mentions."""
    mentioned = {_SMALLEST.get(word, word) for step in program for word in _MENTION.findall(step)}
    return next((tier for tier in reversed(TIERS) if tier in mentioned), TIERS[0])


def warm_up(tier: str) -> None:
    """Imports what the tier and the smaller ones hold, then rehearses."""
    for name in TIERS[: TIERS.index(tier) + 1]:
        with contextlib.suppress(ImportError):  # not installed: the program that asks for it will read the same
            for module in _IMPORTS[name].split():
                importlib.import_module(module)
            if name == "sympy":  # counted from a random number, which is in the hash of every `Dummy`
                sys.modules["sympy.core.symbol"].Dummy._base_dummy_index = _FIRST_DUMMY
            exec(_REHEARSAL[name], {})
    if tier == "asyncio":
        without_sockets()

"""formula -> tokens: what signs is a formula written with?

The signs that `grammar` knows, by what they do. A word among them is no formula: whoever reads "cats" as a product of four
symbols has misread it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rstar_math.grading.characters import replaced
from rstar_math.grading.failures import Unreadable

_TOKEN = re.compile(
    r"\s+|\\[A-Za-z]+|\\[{}|]|[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:\.\d+)?|\.\d+|[A-Za-z]|[-+*/^_!'()\[\]{}|:]",
    re.ASCII,
)
#: More letters in a row than a product of symbols has.
_WORD = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{5,}")
NUMBER = re.compile(r"[\d.,]+", re.ASCII)
GREEK = frozenset(
    re.findall(
        r"\w+",
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho varrho sigma tau "
        "upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega hbar ell nabla odot "
        "prime partial imath jmath",
    )
)
ACCENTS = frozenset(
    re.findall(r"\w+", "bar overline vec overrightarrow hat widehat tilde dot ddot angle triangle mathcal mathbb")
)
TIMES = frozenset(["*", "\\cdot", "\\times", "\\ast"])
OVER = frozenset(["/", "\\div", ":"])
#: Letters that rather name a function when a bracket follows: f(x) is no product.
NAMES_OF_FUNCTIONS = frozenset([*"fgFG", "\\Gamma", "\\zeta", "\\phi", "\\varphi", "\\psi", "\\sigma"])
HALVES = {"\\lfloor": ("\\rfloor", "floor"), "\\lceil": ("\\rceil", "ceiling"), "|": ("|", "abs")}


#: Blanks that part two numbers (also where a comma would group their digits), or a command from a letter.
_BLANK = re.compile(r"(\\[A-Za-z]+ (?=[A-Za-z])|(?<=[\d.]) (?=[\d.]|,\d{3})|(?<=\d,) (?=\d{3}))| ")


#: Braces around one sign that is raised or lowered.
_BRACED = re.compile(r"(?<=[\^_])\{\s*(\\[A-Za-z]+|[A-Za-z\d])\s*\}(?!\s*\d)")


def squeezed(text: str) -> str:
    """`text` without the blanks and braces that mean nothing; 2^3 5 is not 2^35."""
    return replaced(_BLANK, r"\1", replaced(_BRACED, r"\1 ", text))


def is_base(following: Sequence[str], beside: str) -> bool:
    """Whether a number is the base of a power, by the tokens that follow it. `beside`: the symbol right before it, if it is
    one: "1e2^3" has another reading, and "x2^3" has lost a sign."""
    if following[:1] != ["^"]:
        return False
    return not beside or (beside != "e" and re.search("[A-Za-z]", "".join(following)) is not None)


def tokens(text: str) -> list[str]:
    """The signs of a formula, without what is blank.

    Raises:
        Unreadable: there is a word in it, or a sign that is not known.
    """
    if _WORD.search(text):
        raise Unreadable("a word stands in it")
    found, position = [], 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if not token:
            raise Unreadable(f"{text[position]!r} is no part of a formula")
        if not token[0].isspace():
            found.append(token[0])
        position = token.end()
    return found

r"""formula -> sympy expression, as math-verify reads it

The LaTeX parser of math-verify: a grammar that executes nothing. Its other reading, by `parse_expr`, executes what it reads
and stays out of here. What it is known to misread without a word is not shown to it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import sympy
from antlr4 import PredictionMode
from latex2sympy2_extended.latex2sympy2 import (
    ConversionConfig,
    NormalizationConfig,
    _Latex2Sympy,
    normalize_latex,
)

from rstar_math.grading import notations

_NORMALIZATION = NormalizationConfig(
    basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
)
_CONVERSION = ConversionConfig(lowercase_symbols=False)
#: What the parser takes for something else, or drops without a word.
_MISREAD = re.compile(r"\\text|\\pm|\\mp|(?<![_\d^])\d+\s+\d|\d\s*_|%|\\approx|\\sim|\\ldots|\\dots|\\cdots|\.\.|<|>")
#: Not behind the name of a function, whose power it is.
_NO_FUNCTION = r"(?<!\\(?:sin|cos|tan|cot|sec|csc|log))(?<!\\ln)"
#: Formulas of the usual shapes, for the parser builds its tables from what it meets: the first of a shape takes ten times
#: as long as the next.
SHAPES = (
    r"\frac{1+\sqrt{5}}{2}",
    r"2x(x+1)-3y(2x-1)(x+2)",
    r"z^{7}(5+11z^{7})",
    r"-\frac{2(x^2-6)}{9(x^2-2)^{5/3}}+1",
    r"\sin^2(x)\cos y + 2\tan 2x \sin(a) \cos(b)",
    r"\frac{n!}{k!(n-k)!}",
    r"\binom{2n}{n}",
    r"e^{-2x}\ln(3) + \log_{2}(y) \ln 2",
    r"\frac{\sqrt{2}v_{0}^{2}}{g\pi}-\frac{v_0^2}{5\pi g}",
    r"\sqrt[3]{\frac{5}{12}}",
    r"(\frac{5}{12})^{\frac{1}{3}}",
    r"10^{\frac{\sqrt{13}-5}{6}}",
    r"|x|+|a-b|",
    r"i(2-i)+\frac{1+i\sqrt{3}}{2}",
    r"\sin(90^{\circ}-x)",
    r"a_{1}b_{n}-4n+10",
    r"4/3-7x/6+x^2/4",
    r"\frac12\hbar\omega_{L}^{\prime} \frac{v}{c}",
    r"48\cdot\pi \times y",
    r"34x+45y-20z+100",
    r"\sqrt{\sqrt{11}+\sqrt{194}}",
    r"\sum_{k=0}^{n-1} a_{n-k-1} b_k",
    r"-2(x-1)^{2}+5",
    r"a_{n-1}+2^{n}",
    r"(x^{2}+1)e^{x}",
    r"\arctan(x)+C",
    r"\sqrt{a^{2}+b^{2}}",
    r"\frac{\pi^{2}}{6}",
    r"3\sqrt[3]{4}",
    r"x^{\frac{1}{3}}",
    r"-\frac{1}{2}\ln|x|",
    r"\frac{x^2}{4}+\frac{y^2}{9}-1",
    r"\frac{3}{4}x+\frac{1}{2}",
    r"(x-2)(x+3)^2",
    r"2^{n-1}",
    r"\frac{a}{b}\cdot c",
    r"\cos(2x)-\sin x",
    r"e^{i\pi/3}",
)


class _Fast(_Latex2Sympy):  # type: ignore[misc]
    """The parser with the quicker of its two ways to look ahead: what it reads at all, it reads alike."""

    def create_parser(self, latex_str: str) -> Any:
        """See `_Latex2Sympy`."""
        parser = super().create_parser(latex_str)
        parser._interp.predictionMode = PredictionMode.SLL
        return parser


@lru_cache(maxsize=512)
def expression(text: str) -> Any:
    """The expression, decimals exact and `i` the imaginary unit; None of what is no expression."""
    exact = notations.number(text)
    if exact is not None:
        return sympy.Rational(exact.numerator, exact.denominator)
    if _MISREAD.search(text):
        return None
    parsed = _parsed(text)
    if not isinstance(parsed, sympy.Expr) or parsed.has(sympy.nan, sympy.zoo):
        return None
    parsed = parsed.xreplace({number: sympy.Rational(str(number)) for number in parsed.atoms(sympy.Float)})
    return parsed.subs({symbol: sympy.I for symbol in parsed.free_symbols if str(symbol) in ("i", "imath")})


def _parsed(text: str) -> Any:
    # The wall: the parser fails in many ways on text that is no formula, with exceptions that have no kind in common.
    for reader in (_Fast, _Latex2Sympy):
        try:
            latex = normalize_latex(_prepared(text), _NORMALIZATION)
            return reader(is_real=True, convert_degrees=True, config=_CONVERSION).parse(latex)
        except Exception:  # noqa: BLE001
            continue
    return None


def _prepared(text: str) -> str:
    r"""`text` with "*" as a product, a blank between an exponent and a number as one too, unless a function stands before
    it, `\lg` with its base, odd roots of negative numbers real, and x^2 as {x}^2, which the quicker way of looking ahead
    can read."""
    text = re.sub(rf"{_NO_FUNCTION}(\^(?:\d+|\{{\d+\}}))\s*(?=(?<=\}})\d|(?<=\s)\d)", r"\1\\cdot ", text)
    text = re.sub(r"\^(\d+)(?=\s\d)", r"^{\1}", text)
    text = re.sub(r"\\sqrt\[(\d*[13579])\]\{\s*-\s*(\d+)\s*\}", r"(-\\sqrt[\1]{\2})", text)
    text = re.sub(r"\\lg(?![a-z])", r"\\log_{10}", text)
    text = re.sub(r"\\[A-Za-z]+|([A-Za-z])(?=\s*\^)", lambda found: f"{{{found[1]}}}" if found[1] else found[0], text)
    return text.replace("*", "\\cdot ")

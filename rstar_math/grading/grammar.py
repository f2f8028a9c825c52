r"""formula -> tree: what does a formula say?

A small reader of its own for the LaTeX and the plain spelling of final answers. It evaluates nothing (`values` does), and
what it does not know, or what people read in two ways (`\sin x/2`, `2\frac{3}{2}`, `\sqrt27`, `5 3`), it leaves unread.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from rstar_math.grading.failures import Unreadable
from rstar_math.grading.signs import ACCENTS, GREEK, HALVES, NAMES_OF_FUNCTIONS, NUMBER, OVER, TIMES, is_base, tokens
from rstar_math.grading.trees import FUNCTIONS, INVERSES, MINUS_ONE, TWO, Node, depth, negative, product

#: Levels of a tree: 1/1/1/1 has as many as there are bars, and who computes it goes as deep.
_DEEPEST = 100
#: Trees that are kept: one comparison reads the same formula up to four times.
_SEEN = 512


@lru_cache(maxsize=_SEEN)
def parse(text: str) -> Node:
    """The tree of a formula.

    Raises:
        Unreadable: it is no formula, has an unknown word, or can be read in two ways.
    """
    reader = _Reader(text)
    try:
        tree = reader.sum()
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    if reader.peek():
        raise Unreadable(f"{reader.peek()!r} stands in the way")
    if depth(tree) > _DEEPEST:
        raise Unreadable("it is nested too deeply")
    return tree


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._at = 0
        self._bars = 0

    def peek(self) -> str:
        """The next token; "" at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise Unreadable(f"{token!r} is missing")

    def sum(self) -> Node:
        """Terms joined by plus and minus."""
        terms = [self._signed()]
        while self.peek() in ("+", "-"):
            terms.append(self._signed())
        return terms[0] if len(terms) == 1 else Node("add", tuple(terms))

    def _signed(self) -> Node:
        signs = []
        while self.peek() in ("+", "-"):
            signs.append(self._next())
        if len(signs) > 3:
            raise Unreadable("a row of signs")
        product = self._product()
        return negative(product) if signs.count("-") % 2 else product

    def _product(self) -> Node:
        factors = [self._power()]
        divided = False
        while token := self.peek():
            if token in TIMES or token in OVER:
                self._next()
                factor = self._after_sign()
                if token == "\\times" and (_is_vector(factors[-1]) or _is_vector(factor)):
                    raise Unreadable("a product of vectors")
                if token in OVER:
                    factors, divided = [Node("divide", (product(factors), factor))], True
                else:
                    factors.append(factor)
            elif self._starts_factor(token):
                factors.append(self._juxtaposed(factors, token, divided))
            else:
                break
        return product(factors)

    def _after_sign(self) -> Node:
        if self.peek() in ("+", "-"):
            return negative(self._power()) if self._next() == "-" else self._power()
        return self._power()

    def _starts_factor(self, token: str) -> bool:
        if token == "|":
            return self._bars == 0
        return (
            token in ("(", "[", "{")
            or token[0].isalnum()
            or token[0] == "."
            or (token[0] == "\\" and token not in (*TIMES, *OVER, "\\rfloor", "\\rceil", "\\}", "\\|", "\\circ"))
        )

    def _juxtaposed(self, factors: list[Node], token: str, divided: bool) -> Node:
        """A factor without a sign. Numbers stand beside powers and factorials, or as a base: "1 1/2" is no product."""
        last = factors[-1]
        beside = str(last.value) if last.op == "symbol" else ""
        raised = last.op != "number" and is_base(self._tokens[self._at + 1 : self._at + 4], beside)
        if NUMBER.fullmatch(token) and not (raised or last.op in ("power", "factorial")):
            raise Unreadable("two numbers stand side by side")
        if token == "\\frac" and last.op == "number":
            return self._mixed(factors)
        if divided and last.op == "divide" and (last.parts[1].op != "number" or not token.isalpha()):
            raise Unreadable("what is divided by what can be read in two ways")
        return self._power()

    def _mixed(self, factors: list[Node]) -> Node:
        """2\\frac12 is 2 + 1/2; with symbols in the fraction it is a product."""
        whole, fraction = factors[-1], self._power()
        if fraction.op != "divide" or not all(part.op == "number" for part in fraction.parts):
            return fraction
        above, below = (part.value for part in fraction.parts)
        assert isinstance(above, Fraction) and isinstance(below, Fraction) and isinstance(whole.value, Fraction)
        if not (0 < above < below) or whole.value.denominator != 1 or len(factors) > 1:
            raise Unreadable("a whole number before a fraction is a sum or a product")
        factors.pop()
        return Node("number", value=whole.value + above / below)

    def _power(self) -> Node:
        base = self._postfix()
        if self.peek() != "^":
            return base
        self._next()
        if self.peek() == "\\circ":
            self._next()
            return Node("degrees", (base,))
        if self.peek() in ("'", "\\prime"):
            raise Unreadable("a derivative")
        power = Node("power", (base, self._exponent()))
        if self.peek() == "!":
            raise Unreadable("a factorial beside a power can be read in two ways")
        return power

    def _exponent(self) -> Node:
        sign = self._next() if self.peek() in ("+", "-") else ""
        token = self.peek()
        inner = self._atom() if token in ("{", "(") or token.startswith("\\") or len(token) == 1 else self._number()
        if self.peek() == "^":
            self._next()
            inner = Node("power", (inner, self._exponent()))
        return negative(inner) if sign == "-" else inner

    def _postfix(self) -> Node:
        atom = self._atom()
        factorials = 0
        while self.peek() == "!":
            self._next()
            atom, factorials = Node("factorial", (atom,)), factorials + 1
        if factorials > 1:
            raise Unreadable("a factorial of a factorial can be read in two ways")
        return atom

    def _number(self) -> Node:
        token = self._next()
        if not NUMBER.fullmatch(token):
            raise Unreadable(f"a number is missing before {token!r}" if token else "it ends too early")
        return Node("number", value=Fraction(token.replace(",", "")))

    def _atom(self) -> Node:
        token = self.peek()
        if token in ("(", "[", "{"):
            return self._group()
        if token in HALVES:
            return self._between(token)
        if token[:1] == "\\":
            return self._command(self._next()[1:])
        if token.isalpha():
            return self._symbol(self._next())
        return self._number()

    def _group(self) -> Node:
        closing = {"(": ")", "[": "]", "{": "}"}[self._next()]
        bars, self._bars = self._bars, 0
        inner = self.sum()
        self._expect(closing)
        self._bars = bars
        return inner

    def _between(self, opening: str) -> Node:
        self._next()
        closing, op = HALVES[opening]
        self._bars += opening == "|"
        inner = self.sum()
        self._expect(closing)
        self._bars -= opening == "|"
        return Node(op, (inner,))

    def _symbol(self, name: str) -> Node:
        subscript = self._subscript()
        while self.peek() == "'":
            subscript += self._next()
        if not subscript and name in NAMES_OF_FUNCTIONS and self.peek() == "(":
            raise Unreadable(f"{name} may be a function or a factor")
        return Node("symbol", value=name + subscript)

    def _subscript(self) -> str:
        if self.peek() != "_":
            return ""
        self._next()
        token = self._next()
        if token == "{":
            return f"_{self._raw()}"
        if not token or not (token[0] == "\\" or len(token) == 1):
            raise Unreadable("an index of more than one sign stands without braces")
        return f"_{token}"

    def _raw(self) -> str:
        """The tokens up to the brace that closes the one just read, as they stand."""
        depth, raw = 1, ""
        while token := self._next():
            depth += {"{": 1, "}": -1}.get(token, 0)
            if depth == 0:
                return raw
            raw += token
        raise Unreadable("a brace is missing")

    def _command(self, name: str) -> Node:
        if name in FUNCTIONS:
            return self._function(name)
        if read := _COMMANDS.get(name):
            return read(self)
        if name in ACCENTS:
            return self._accented(name)
        if name == "pi" and self.peek() != "_":
            return Node("symbol", value="pi")
        if name in GREEK:
            return self._symbol(f"\\{name}")
        raise Unreadable(f"\\{name} is not known" if name else "it ends too early")

    def _accented(self, accent: str) -> Node:
        """A letter, or several, under a line or an arrow: a name. A formula under a line is one's conjugate, perhaps."""
        if not (token := self._next()):
            raise Unreadable("it ends too early")
        under = self._raw() if token == "{" else token
        if accent in ("bar", "overline") and re.search(r"[-+*/^(]", under):
            raise Unreadable("a line over a formula")
        return Node("symbol", value=f"{accent} {under}{self._subscript()}")

    def _argument(self) -> Node:
        """A group, or a single digit, letter or command."""
        token = self.peek()
        if token == "{":
            return self._group()
        if NUMBER.fullmatch(token) and token.isdigit():
            self._tokens[self._at : self._at + 1] = [token[0], *([token[1:]] if token[1:] else [])]
            return self._number()
        if token.isalpha() or token[:1] == "\\":
            return self._atom()
        raise Unreadable("an argument is missing")

    def _fraction(self) -> Node:
        return Node("divide", (self._argument(), self._argument()))

    def _binomial(self) -> Node:
        return Node("binomial", (self._argument(), self._argument()))

    def _root(self) -> Node:
        degree = self._group() if self.peek() == "[" else TWO
        return Node("root", (self._argument(), degree))

    def _function(self, name: str) -> Node:
        base = exponent = None
        while self.peek() in ("^", "_"):
            if self._next() == "^" and exponent is None:
                exponent = self._exponent()
            elif base is None and name == "log":
                base = self._argument()
            else:
                raise Unreadable(f"an index of \\{name}")
        if exponent == MINUS_ONE and name.endswith("h"):
            raise Unreadable(f"an inverse of \\{name} that nobody here computes")
        if exponent == MINUS_ONE and name in INVERSES:
            name, exponent = INVERSES[name], None
        applied = Node(name, (self._operand(name), *([base] if base else [])))
        return Node("power", (applied, exponent)) if exponent else applied

    def _operand(self, name: str) -> Node:
        """What a function is applied to: a bracket, or the product right behind it, up to the next function."""
        if self.peek() in ("(", "[", "{"):
            inner = self._group()
            if self.peek() in ("^", "!"):
                raise Unreadable(f"a power beside \\{name} can be read in two ways")
            return inner
        factors: list[Node] = []
        while (token := self.peek()) and self._starts_factor(token) and token[1:] not in FUNCTIONS:
            if factors and (token in ("(", "[", "|") or (NUMBER.fullmatch(token) and factors[-1].op != "power")):
                raise Unreadable(f"what \\{name} is applied to can be read in two ways")
            factors.append(self._power())
        if not factors or self.peek() in TIMES or self.peek() in OVER:
            raise Unreadable(f"what \\{name} is applied to can be read in two ways")
        return product(factors)


_COMMANDS: dict[str, Callable[[_Reader], Node]] = {
    "frac": _Reader._fraction,
    "binom": _Reader._binomial,
    "sqrt": _Reader._root,
}


def _is_vector(node: Node) -> bool:
    return node.op == "symbol" and str(node.value).startswith(("vec ", "overrightarrow "))

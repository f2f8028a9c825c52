r"""Which names say that a value is the answer?

Whoever is asked for z may write "z = 5", "f(3) = 5", "area = 5". "ax = 5", "six = 5" and "\overline{z} = 5" say something
else, which may be all that is known of it. A word is none of these unless it names what is asked for: a list of the words
that deny or change a value would never end.
"""

from __future__ import annotations

import re

from rstar_math.grading.signs import GREEK

#: Names that say what was done to a symbol: whoever is asked for z and says that its conjugate is 5 has not said that z is.
_DONE_TO = re.compile(
    r"\|(?![A-Z]{2}\|)[A-Za-z]+\||\\(?:overline|bar)\s*\{?\s*[A-Za-z]\s*\}?(?![A-Za-z])|(?<![A-Za-z])[A-Z]\^(?:\{-1\}|-1)(?!\()|"
    r"(?<![A-Za-z])(?:Re|Im)(?![a-z])|_(?:\d+[a-z]|[a-z][-+])"
)
#: Words in a name that say that it is not so, or name another value than the one that was asked for.
_DENIED = re.compile(
    r"(?i)(?<![a-z])(?:not?|non|neither|nor|wrong|incorrect|false|invalid|never|minus|negat\w+|opposite|inverse|reciprocal|"
    r"plus|errors?|more|less|fewer|squared|cubed|(?:square|cube) roots?|doubled?|twice|thrice|tripled?|half|halved|"
    r"conjugate|without|except|excluding|rejected|modulo|times)(?![a-z])"
)
#: What may be asked for, and what may stand before and behind it.
_ASKED_FOR = re.compile(
    r"(?:(?:the|total|final|correct|required|desired|smallest|largest|greatest|least|surface|shaded|expected) )*"
    r"(?:answer|ans|result|solution|value|area|perimeter|volume|vol|total|sum|product|difference|quotient|remainder|number|"
    r"count|probability|prob|ratio|distance|length|width|height|depth|radius|diameter|circumference|speed|velocity|rate|time|"
    r"cost|price|profit|revenue|income|amount|age|average|mean|median|mode|range|slope|max|min|maximum|minimum|gcd|lcm|hcf|"
    r"angle|side|base|altitude|hypotenuse|var|cov|std|deg|det|tr|rank|dim|pr)"
    r"(?: (?:of|for|in|to|is|per|from|when|needed|left|that|which|at) .*)?"
)
_INDEX = re.compile(r"_(?:\{[^{}]*\}|\\[A-Za-z]+|\w)")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
#: Commands of names, beside Greek letters.
_COMMANDS = (GREEK - {"prime", "partial", "nabla"}) | frozenset(
    re.findall(
        r"\w+", "overline bar hat vec mathbf mathrm text angle measuredangle triangle frac max min gcd lcm det dim"
    )
)
#: A symbol, the corners of a figure, a differential.
_SYMBOL = re.compile(r"[A-Za-z]|[A-Z]{2,5}|d[a-zA-Z]")


def may_say_something_else(name: str) -> bool:
    """Whether what stands before "=" may be no name of what was asked for: it is an operation, a product, a number, or words
    that deny the value."""
    plain = _INDEX.sub("", name)
    commands = set(_COMMAND.findall(plain))
    if _DONE_TO.search(re.sub(r"[\s{}]", "", name)) or _DENIED.search(name) or not commands <= _COMMANDS:
        return True
    words = re.findall("[A-Za-z]+", _COMMAND.sub(" ", plain))
    differential = "frac" in commands
    if all(_SYMBOL.fullmatch(word) and (differential or not re.fullmatch("d[a-zA-Z]", word)) for word in words):
        return False
    return _ASKED_FOR.fullmatch(" ".join(words).lower().removeprefix("m ")) is None

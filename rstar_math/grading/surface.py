r"""answer text -> the same answer without what only changes its looks

Dollar signs, fonts, spacing, plain spellings of commands (`sqrt(2)`, `pi`, `≤`). It decides nothing and loses nothing that
has a meaning.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rstar_math.grading import characters

_FUNCTIONS = "arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|log|ln|exp"
_GREEK = "alpha|beta|gamma|delta|epsilon|theta|lambda|mu|rho|sigma|tau|phi|omega|pi"
#: Words that multiply the number before them.
_ZEROS = (("thousand", 3), ("million", 6), ("billion", 9), ("trillion", "{12}"))
#: What is rewritten, in this order; each line is a spelling of the same answer.
_REWRITES = tuple(
    (re.compile(pattern, re.ASCII), replacement)
    for pattern, replacement in (
        (r"(?<=\d)\s*(?:[$]\s*[$]|\\[)\]]\s*\\[(\[])\s*(?=\d)", "; "),
        (r"(?<!\\)\\[()\[\]]", " "),
        (r"\\\\\[[\d.]+[a-z]{2}\]", r"\\\\"),
        (r"\\textcolor\s*\{(?!white\})[a-z]+\}\s*\{([^{}]*)\}|\\color\s*\{(?!white\})[a-z]+\}", r"\1"),
        (r"\\(?:underline|pmb)\s*\{([^{}]*)\}|\\(?:boldsymbol|bm|mathbf)\s*\{([^{}a-zA-Z]*)\}", r"\1\2"),
        (r"\{\s*([-+:])\s*\}|\\text\{\s*([-+])\s*\}", r"\1\2"),
        (r"\{([^{}]*?)\\over(?![a-z])([^{}]*?)\}", r"\\frac{\1}{\2}"),
        (r"\\(?:left|right|middle)(?![a-z])\.?|\\[bB]igg?[lrm]?(?![a-z])|\\limits(?![a-z])", ""),
        (r"\\(?:displaystyle|textstyle)(?![a-z])|\\!\s*", ""),
        (r"\\[hv]?phantom\s*(?:\{[^{}]*\}|[^\s{}\\])", " "),
        (r"(?<=[\w})])\s*\\q?quad\s*(?=[-\w\\({])(?!\\text|and\b|or\b|\\q?quad)", "; "),
        (r"(?<!\\)\\(?:[,;:> ]|q?quad)|~|\s+", " "),
        (r"(?<!\d)\{\s*,\s*\}|\{\s*,\s*\}(?!\d)|\{\s*,\s*\}(?=\d{3}(?!\d))", ","),  # 1{,}5 is a decimal
        (
            r"(?<![\d}])\\[$]\s*([\d.,]*\d)(?=\s*(?:$|[,;)}\]]|\\text\{\s*(?:and|or)|(?:and|or)\b))",
            r"\1\\text{ dollars}",
        ),
        *((rf"\\{name}(?![a-z])\s*", sign) for name, sign in (("pounds", "£"), ("euro", "€"), ("yen", "¥"))),
        *((rf"(?<=\d)\s*(?:\\text\{{\s*{word}\s*\}}|{word})$", rf"\\cdot 10^{zeros}") for word, zeros in _ZEROS),
        *(
            (
                rf"{sign}\s*([\d.,]*\d)(?=\s*(?:$|[,;)}}\]]))|(?<![^\s,;(]){sign}?([\d.,]*\d)\s*{sign}",
                rf"\1\2\\text{{ {name}}}",
            )
            for sign, name in (("£", "pounds sterling"), ("€", "euros"), ("¥", "yen"))
        ),
        (r"\\[$]|[$£€¥]", " "),
        (r"\{([^{}]*?)\\choose(?![a-z])([^{}]*?)\}", r"\\binom{\1}{\2}"),
        (r"\\[dtc]frac(?![a-z])", r"\\frac"),
        (rf"\\frac\s*\\({_GREEK})(?![A-Za-z])\s*(?:\{{([^{{}}]*)\}}|(\d|[A-Za-z]))", r"\\frac{\\\1}{\2\3}"),
        (rf"\\frac\s*(?:\{{([^{{}}]*)\}}|(\d|[A-Za-z]))\s*\\({_GREEK})(?![A-Za-z])", r"\\frac{\1\2}{\\\3}"),
        (r"\\[dt]binom(?![a-z])", r"\\binom"),
        (r"\\overrightarrow(?![a-z])", r"\\vec"),
        (r"(?<=\d)\s*\\text\{\s*sec\.?\s*\}(?!\s*[\\({^\w])|(?<=\d)\s+sec\.?\s*$", r"\\text{ seconds}"),
        (r"(?<=[a-z])/sec(?=\s*(?:\}|$))", "/s"),
        (rf"\\(?:operatorname|mathrm|text)\*?\s*\{{\s*({_FUNCTIONS})\s*\}}", r"\\\1 "),
        (r"\\(?:mathbf|boldsymbol|bm)\s*\{\s*([a-z])\s*\}", r"\\vec{\1}"),
        (r"(\\mathbb\s*\{?\s*R\s*\}?|\\R(?![a-z]))\s*(?:-|\\(?=\\\{))\s*(?=\\\{)", r"\1\\setminus "),
        (r"\\(?:text(?:bf|it|rm|sf|normal|tt)?|mbox|hbox|math(?:rm|bf|it|sf)|operatorname\*?)\s*\{", r"\\text{"),
        (r"\{\\(?:rm|bf|it)\s+([^{}]*)\}", r"\\text{\1}"),
        (r"^\\text\{\s*((?:\(?[A-Za-z]\)?\s*(?:[,&]\s*(?:(?:and|or)\s+)?|(?:and|or)\s+))+\(?[A-Za-z]\)?)\s*\}$", r"\1"),
        (r"\\text\{\s*\}", " "),
        (r"\\text\{\s*([A-Za-z/ ]+?)\s*\^\s*\{?([23])\}?\s*\}", r"\\text{\1}^\2"),
        (r"^\s*\\text\{([^{}]*\d[^{}]*)\}\s*$", r"\1"),
        (r"\\frac\s*\{\s*\\text\{\s*([A-Za-z]+)\s*\}\s*\}\s*\{\s*\\text\{\s*([A-Za-z]+)\s*\}\s*\}", r"\\text{ \1/\2}"),
        (r"(?<=[\d})\s])\s*\\text\{\s*([a-fijknopqrt-z])\s*\}", r" \1"),
        (r"(?<![\d}\sA-Za-z/])\\text\{\s*([a-zA-Z])\s*\}|^\\text\{\s*([+-]?[\d.,]+)\s*\}$", r"\1\2"),
        (r"\\text\{\s*(?:\\?infinity)\s*\}|(?<![A-Za-z\\])(?:infinity|infty)(?![A-Za-z])", r"\\infty "),
        (r"(?<=\d)\s*\^\s*\{\s*\\text\{\s*(st|nd|rd|th)\s*\}\s*\}", r"\1"),
        (r"(?<=\d)\s*\^\s*\\text\{\s*(st|nd|rd|th)\s*\}", r"\1"),
        (r"^(\d*(?:[04-9]|1[1-3]))\s*\^\s*\{\s*th\s*\}$", r"\1th"),
        (r"^\\text\{\s*(?i:(?:the )?(?:final |correct )?answer(?: is)?)\s*:?\s*\}\s*(?=\S)", ""),
        (r"^(?:\\text\{\s*USD\s*\}|USD)\s*([\d.,]*\d)$", r"\1\\text{ dollars}"),
        (r"\\colon(?![a-z])", ":"),
        (r"\\(leq|geq)slant(?![a-z])", r"\\\1"),
        (r"\\le(?![a-z])|<=", r"\\leq "),
        (r"\\ge(?![a-z])|>=", r"\\geq "),
        (r"\\ne(?![a-z])|(?<![\d)}])!=", r"\\neq "),
        (r"\\lt(?![a-z])", "<"),
        (r"\\gt(?![a-z])", ">"),
        (r"\\varnothing(?![a-z])", r"\\emptyset "),
        (r"([A-Za-z])\s*\^\s*(\d|\{[^{}]*\})\s*_\s*(\d|[A-Za-z]|\{[^{}]*\})", r"\1_\3^\2"),
        (r"\\degree(?![a-z])", r"^\\circ"),
        (r"\^\s*\{\s*\\circ\s*\}", r"^\\circ"),
        (r"\\lbrace(?![a-z])", r"\\{"),
        (r"\\rbrace(?![a-z])", r"\\}"),
        (r"\\langle(?![a-z])\s*", "("),
        (r"\s*\\rangle(?![a-z])", ")"),
        (r"\\[lr]?vert(?![a-z])", "|"),
        (r"(?<=\d)\{([a-z]{2,})\}", r"\\text{\1}"),
        (r"(?:√|(?<![A-Za-z\\])sqrt)\s*(\d+(?:\.\d+)?|[a-z](?![a-z]))", r"\\sqrt{\1}"),
        (r"√\s*\(", r"\\sqrt ("),
        (r"∛\s*(\d+|[a-z](?![a-z]))", r"\\sqrt[3]{\1}"),
        (r"(?<![A-Za-z\\])inf(?![A-Za-z])", r"\\infty "),
        (r"(?<=\d)\s?[xX]\s?(?=10\s*(?:\^|\*\*))", r"\\times "),
        (r"^\s*\+\s?/?\s?-\s?(?=[\d\\])", r"\\pm "),
        (rf"(?<![A-Za-z\\])(sqrt|{_FUNCTIONS}|{_GREEK})(?![A-Za-z])", r"\\\1 "),
        (r"\\log_e(?![a-z])|\\log_\{e\}", r"\\ln "),
        (r"\\sqrt\s+(?=\d)", r"\\sqrt"),
        (r"^\s*(?:\*\*)?\s*(?i:(?:final |correct )?answer)\s*:\s*(?=\S)|^[\s:=]*[:=]\s*(?=\S)", ""),
        (r"^\s*(?:\*\*|__|[\"'`]+)\s*|\s*(?:\*\*|__|[\"`]+)\s*$", ""),
        (r"^\*([^*]+)\*$", r"\1"),
        (r"\s*\*\*\s*(?=[\d({A-Za-z-])", "^"),
        (r"\s+", " "),
        (r"(?<!\.)\.\s*$|[\s\\]+$", ""),
    )
)
#: What a program that escapes backslashes makes of a command; in a matrix two of them end a row.
_ESCAPED_TWICE = re.compile(r"\\\\(?=[A-Za-z{}%$])")
#: Values under their names, one below the other, behind a brace or not.
_SYSTEM = re.compile(
    r"^\s*(?:\\\{\s*)?\\begin\{(cases|array|aligned)\}(?:\{[lcr]+\})?((?:(?!\\begin|\\text).)*)\\end\{\1\}\s*$",
    re.DOTALL,
)
#: A name and a value without a symbol.
_VALUE = re.compile(r"[A-Za-z](?:_\{?\w\}?)?\s*=(?:[^A-Za-z=&\\]|\\(?:[dt]?frac|sqrt|pi|cdot|times)(?![a-z]))+")
_COMBINATIONS = re.compile(r"(?<![A-Za-z\\])C\s*_\s*(?:\{(\d+)\}|(\d))\s*\^\s*(?:\{(\d+)\}|(\d))", re.ASCII)
#: A constant with its number.
_CONSTANT = re.compile(r"(?<![A-Za-z\\])C\s*_\s*(?:\{\d+\}|\d)(?!\s*\^)", re.ASCII)
#: Digits of a number that nobody chooses from.
_LONG = 9
_SQUEEZED = re.compile(r"(?<=\^)\s*\(|(?<=\\sqrt)\s*\(")


@lru_cache(maxsize=8192)
def clean(text: str) -> str:
    """`text` without dollar signs, fonts, spacing commands and a final full stop; its own markup spelt one way."""
    text = characters.plain(text).strip()
    if len(re.findall(r"(?<!\\)[$]", text)) == 1:
        text = text.replace("$", "\\$").replace("\\\\$", "\\$")  # one alone is the currency, not a delimiter
    if "\\begin" not in text:
        text = characters.replaced(_ESCAPED_TWICE, r"\\", text)
    for pattern, replacement in _REWRITES:
        text = characters.replaced(pattern, replacement, text)
    text = _SYSTEM.sub(_one_by_one, text)
    if not _CONSTANT.search(text):
        text = _COMBINATIONS.sub(_chosen, text)
    text = _grouped(text)
    while text.startswith("{") and closing(text, 0) == len(text) - 1:
        text = text[1:-1]
    return text.strip()


def _one_by_one(found: re.Match[str]) -> str:
    """Values under names as a list; what holds under conditions, or is yet to be solved, is none."""
    rows = [row.strip(" ,;") for row in re.sub(r"&\s*=|=\s*&", "=", found[2]).split("\\\\") if row.strip()]
    return ", ".join(rows) if len(rows) > 1 and all(map(_VALUE.fullmatch, rows)) else found[0]


def _chosen(found: re.Match[str]) -> str:
    """Five over two, as much of the world writes it; C_1^2 and C_2^2 are squares of constants."""
    above, below = (found[1] or found[2], found[3] or found[4])
    return rf"\binom{{{above}}}{{{below}}}" if len(above) < _LONG and 2 < int(above) >= int(below) else found[0]


def closing(text: str, start: int) -> int:
    """Position of the bracket that closes the one at `start`, whatever its kind; -1 if none does."""
    depth = 0
    for position in range(start, len(text)):
        character = text[position]
        if character in "({[":
            depth += 1
        elif character in ")}]":
            depth -= 1
            if depth == 0:
                return position
    return -1


def _grouped(text: str) -> str:
    r"""`x^(n+1)` and `\sqrt(2)` with braces, which is what they mean."""
    position = 0
    while found := _SQUEEZED.search(text, position):
        start = found.end() - 1
        end = closing(text, start)
        if end >= 0 and text[end] == ")":
            text = f"{text[:start]}{{{text[start + 1 : end]}}}{text[end + 1 :]}"
        position = found.end()
    return text

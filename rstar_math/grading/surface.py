"""What can be told from the text alone?

answer, gold -> cleaned texts, and a verdict where no algebra is needed: equal texts, plain numbers, words, choices,
times, numbers in another base. It imports no computer algebra and never guesses: None means that somebody must compute.
"""

from __future__ import annotations

import re
from fractions import Fraction

from rstar_math.records import Verdict

_REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\[$]|[$£€]", ""),
        (r"(?<!\\)\\[()\[\]]", ""),
        (
            r"\\(?:left|right)(?![a-z])\.?|\\[bB]igg?[lrm]?(?![a-z])|\\displaystyle(?![a-z])|\\!\s*|\\phantom\{[^{}]*\}",
            "",
        ),
        (r"(?<!\\)\\(?:[,;: ]|q?quad(?![a-z]))|~|\s+", " "),
        (r"\{\s*,\s*\}", ","),
        (r"\\[dtc]frac(?![a-z])", r"\\frac"),
        (r"\\(?:text(?:bf|it|rm|sf|normal)|mbox|math(?:rm|bf|it|sf)|rm|operatorname)\s*\{", r"\\text{"),
        (r"\\text\{\s*\}", ""),
        (r"(?<![\d}\s])\\text\{([a-zA-Z])\}|^\\text\{\s*([+-]?[\d.,]+)\s*\}$", r"\1\2"),
        (r"\\text\{\s*infinity\s*\}|(?<![A-Za-z\\])infinity(?![A-Za-z])", r"\\infty "),
        (r"\\(leq|geq)slant(?![a-z])", r"\\\1"),
        (r"(?<=\d)\{(m|[a-z]{2,})\}", r"\\text{\1}"),
        ("−|–|—", "-"),
        ("×", r"\\times "),
        ("·", r"\\cdot "),
        ("π", r"\\pi "),
        ("∞", r"\\infty "),
        ("∪", r"\\cup "),
        ("≤|<=", r"\\leq "),
        ("≥|>=", r"\\geq "),
        ("°|\\\\degree(?![a-z])", r"^\\circ"),
        (r"√\(?(\d+)\)?", r"\\sqrt{\1}"),
        (r"^(?i:the )?(?i:final )?(?i:answer)\s*(?:is\b|:)\s*:?\s*", ""),
        (r"\s+", " "),
        (r"[\s.\\]+$", ""),
    )
)
#: Digits in the answer are grouped by threes, with commas or thin spaces, or not at all.
_NUMBER = re.compile(r"[+-]?\s?(?:(?:\d{1,3}(?:,\s?\d{3})+|\d{1,3}(?: \d{3})+|\d+)(?:\.\d*)?|\.\d+)")
_SCIENTIFIC = re.compile(r"([+-]?\d+(?:\.\d+)?)[eE]([+-]?\d{1,3})")
_PERIODIC = re.compile(r"([+-]?)(\d*)\.(\d*)\\overline\{(\d{1,30})\}")
_IN_BASE = re.compile(r"([0-9a-zA-Z]+)_(?:\{(\d+)\}|(\d+))")
_TIME = re.compile(r"(\d{1,2}):(\d{2})\s*(?:([ap])\.?\s*m\.?)?", re.IGNORECASE)
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_WORDS = re.compile(r"[(]?\s*[A-Za-z][A-Za-z\s'’.,;:!?()-]*")
_CHOICE = re.compile(r"\(?([A-Ha-h])\)?")
#: A choice and what it says; what follows must not go on to another choice.
_CHOSEN = re.compile(
    r"(?:\(([A-Ha-h])\)|([A-Ha-h])[).:]|([A-Ha-h])$)(?!.*(?:\([A-Ha-h]\)|\b(?:and|or)\b)).*", re.DOTALL
)
_YES_NO = {"yes", "no", "true", "false"}


def clean(text: str) -> str:
    """`text` without dollar signs, spacing commands, font commands and a final full stop."""
    text = text.strip()
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    while text.startswith("{") and _closing(text) == len(text) - 1:
        text = text[1:-1]
    return text.strip()


def _closing(text: str) -> int:
    """Position of the brace that closes the one at 0; -1 if none does."""
    depth = 0
    for position, character in enumerate(text):
        depth += {"{": 1, "}": -1}.get(character, 0) if text[position - 1 : position] != "\\" else 0
        if depth == 0:
            return position
    return -1


def number(text: str) -> Fraction | None:
    """The exact value of a plain integer or decimal, thousands grouped or not, periods overlined; None of all else."""
    text = text.strip()
    if scientific := _SCIENTIFIC.fullmatch(text):
        return Fraction(scientific[1]) * Fraction(10) ** int(scientific[2])
    if periodic := _PERIODIC.fullmatch(text):
        sign, whole, fixed, period = periodic.groups()
        value = Fraction(int(period), 10 ** len(period) - 1) + int(f"0{whole}{fixed}")
        return value / Fraction(10) ** len(fixed) * (-1 if sign == "-" else 1)
    if len(text) > 400 or not _NUMBER.fullmatch(text):
        return None
    return Fraction(text.replace(",", "").replace(" ", "").rstrip("."))


def words(text: str) -> str | None:
    """The words of a cleaned text in lower case, without punctuation; None if it has more than letters."""
    plain = _TEXT.sub(r" \1 ", text).strip()
    return " ".join(re.findall(r"[a-z]+", plain.casefold())) if _WORDS.fullmatch(plain) else None


def prose(text: str) -> bool:
    """Whether letters stand for words: bare runs of up to three are products, but for yes and no."""
    spoken = words(text)
    return spoken is not None and ("\\text" in text or spoken in _YES_NO or bool(re.search(r"[a-z]{4}", spoken)))


def in_base(text: str) -> tuple[str, int] | None:
    """Digits and base of a numeral such as 1200_{7}; None if `text` is none."""
    found = _IN_BASE.fullmatch(text.replace(" ", ""))
    if not found or not any(character.isdigit() for character in found[1]):
        return None
    return found[1].lower(), int(found[2] or found[3])


def time_of_day(text: str) -> tuple[int, int, str] | None:
    """Hour, minute and half of the day ("" unless stated); None if `text` is no time."""
    found = _TIME.fullmatch(_TEXT.sub(r"\1", text).strip())
    return (int(found[1]), int(found[2]), (found[3] or "").lower()) if found else None


def quick(answer: str, gold: str) -> Verdict | None:
    """The verdict on two cleaned texts where the texts decide it; None where somebody must compute.

    An empty answer is wrong, an empty ground truth can never be met.
    """
    if not answer or not gold:
        return Verdict.WRONG if gold else Verdict.UNDECIDED
    if answer == gold:
        return Verdict.CORRECT
    choice = _CHOICE.fullmatch(_TEXT.sub(r"\1", gold).strip())
    if choice and (choice[1].isupper() or gold != choice[1]):
        return _chosen(_TEXT.sub(r"\1", answer).strip(), choice[1])
    for read in (number, in_base, words if prose(answer) or prose(gold) else number):
        said, meant = read(answer), read(gold)
        if said is not None and meant is not None:
            return Verdict.CORRECT if said == meant else Verdict.WRONG
    if in_base(answer) or in_base(gold):
        return Verdict.UNDECIDED
    return _same_time(answer, gold)


def _chosen(answer: str, letter: str) -> Verdict:
    found = _CHOSEN.fullmatch(answer)
    if found is None:
        return Verdict.WRONG
    said = next(group for group in found.groups() if group)
    return Verdict.CORRECT if said.upper() == letter.upper() else Verdict.WRONG


def _same_time(answer: str, gold: str) -> Verdict | None:
    said, meant = time_of_day(answer), time_of_day(gold)
    if said is None or meant is None:
        return Verdict.UNDECIDED if meant and meant[2] else None
    return Verdict.CORRECT if said == meant else Verdict.WRONG

r"""Which characters stand for which commands?

What people, programs and models type instead of LaTeX: `π`, `x²`, `⅔`, `（3，4）`, mathematical alphabets. Each becomes
the command or the plain character that means the same.
"""

from __future__ import annotations

import re
import unicodedata

_COMMANDS = {
    "×": "times", "·": "cdot", "⋅": "cdot", "∙": "cdot", "÷": "div", "∞": "infty", "∪": "cup", "∩": "cap", "∈": "in",
    "∅": "emptyset", "≤": "leq", "≥": "geq", "≠": "neq", "≈": "approx", "±": "pm", "⌊": "lfloor", "⌋": "rfloor",
    "⌈": "lceil", "⌉": "rceil", "π": "pi", "θ": "theta", "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta",
    "λ": "lambda", "μ": "mu", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "ϕ": "phi", "ω": "omega", "Δ": "Delta",
    "Ω": "Omega", "ε": "epsilon", "ζ": "zeta", "η": "eta", "ξ": "xi", "χ": "chi", "ψ": "psi", "Γ": "Gamma", "Θ": "Theta",
    "Λ": "Lambda", "Π": "Pi", "Φ": "Phi", "Ψ": "Psi", "⩽": "leq", "⩾": "geq", "∨": "lor", "∧": "land", "∖": "setminus",
    "∠": "angle",
}  # fmt: skip
_SETS = {"ℝ": "R", "ℤ": "Z", "ℕ": "N", "ℚ": "Q", "ℂ": "C"}
_PLAIN = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "∗": "*", "⟨": "(", "⟩": ")", "〈": "(", "〉": ")", "’": "'", "′": "'",
    "“": '"', "”": '"', "、": ",", "。": ".", "°": r"^\circ", "º": r"^\circ", "\u2061": "", "\u200b": "", "\ufeff": "",
    "¢": " cents", "∶": ":", "∕": "/", "⁄": "/",
}  # fmt: skip
_TABLE = str.maketrans(
    {sign: rf"\{name} " for sign, name in _COMMANDS.items()}
    | {sign: rf"\mathbb{{{name}}}" for sign, name in _SETS.items()}
    | _PLAIN
)


def _on_level(kind: str) -> dict[str, str]:
    """Raised or lowered characters -> what they are on the line. The sign of degrees is none of them, whichever is typed."""
    found = {}
    for character in map(chr, range(0x80, 0x2C80)):
        mark, _, plain = unicodedata.decomposition(character).partition(" ")
        if mark == f"<{kind}>" and " " not in plain and character != "º":
            found[character] = chr(int(plain, 16)).replace("−", "-")
    return found


_RAISED, _LOWERED = _on_level("super"), _on_level("sub")
_LEVEL = str.maketrans(_RAISED | _LOWERED)
_RUNS = (("^", re.compile(f"[{''.join(_RAISED)}]+")), ("_", re.compile(f"[{''.join(_LOWERED)}]+")))
_FRACTION = re.compile(r"[\u00bc-\u00be\u2150-\u215e]")


def plain(text: str) -> str:
    """`text` in ASCII, as far as its characters have a meaning there."""
    if text.isascii():
        return text
    for mark, run in _RUNS:
        text = run.sub(lambda found, mark=mark: f"{mark}{{{found[0].translate(_LEVEL)}}}", text)  # type: ignore[misc]
    text = _FRACTION.sub(_as_command, text)
    # The first look keeps what the normal form would lose, such as the bars of ℝ; the second sees what it brings.
    return unicodedata.normalize("NFKC", text.translate(_TABLE)).translate(_TABLE)


def replaced(pattern: re.Pattern[str], replacement: str, text: str) -> str:
    r"""`pattern.sub(replacement, text)`. It is looked for first: at every call, found or not, `sub` reads a replacement with
    a backslash in it anew, which takes longer than most searches do."""
    return pattern.sub(replacement, text) if pattern.search(text) else text


def _as_command(found: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", found[0]).partition("\u2044")
    return rf"\frac{{{above}}}{{{below}}}"

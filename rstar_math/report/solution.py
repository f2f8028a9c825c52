"""How was this question solved?

steps, scores, answer -> the chosen path, readable: each step's code with the PPM's score, what the program printed, the
answer. It does not choose the path.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console, Group
from rich.syntax import Syntax
from rich.text import Text

from rstar_math import text as rendering
from rstar_math.records import Step
from rstar_math.report.console import open_console

_CELLS = 10
_INDENT = "    "


def show_solution(
    steps: Sequence[Step],
    scores: Sequence[float | None],
    answer: str | None,
    confidence: float | None,
    console: Console | None = None,
) -> None:
    """Prints a path step by step and its answer.

    Args:
        scores: the PPM's score of each step in [-1, 1], as many as there are steps; None where no PPM was asked.
        answer: None where the path reached none.
        confidence: in the unit of whoever chose the path, shown with two digits.

    Raises:
        ValueError: there are not as many scores as steps.
    """
    parts = [_step(number, *pair) for number, pair in enumerate(zip(steps, scores, strict=True), start=1)]
    (console or open_console()).print(Group(*parts, _conclusion(answer, confidence)), soft_wrap=True)


def _step(number: int, step: Step, score: float | None) -> Text:
    block = Text.assemble((f"Step {number}", "bold"))
    if score is not None:
        filled = round((min(max(score, -1.0), 1.0) + 1) / 2 * _CELLS)
        colour = "green" if score > 0.3 else "red" if score < -0.3 else "yellow"
        block.append("  " + "█" * filled + "░" * (_CELLS - filled), colour).append(f" {score:+.2f}")
    block.append("\n").append(_body(step.text)).append("\n")
    if step.output is not None:
        printed = step.output.strip() or "(nothing)"
        block.append(textwrap.indent(printed, f"{_INDENT}→ ") + "\n", "cyan")
    return block


def _body(step: str) -> Text:
    code = rendering.code_of(step).strip()
    if code:
        painted = Syntax("", "python", theme="ansi_dark").highlight(textwrap.indent(code, _INDENT))
        painted.rstrip()
        return painted
    words = step.replace(rendering.ANSWER_START, "").replace(rendering.ANSWER_END, "").strip()
    return Text(textwrap.indent(words, _INDENT))


def _conclusion(answer: str | None, confidence: float | None) -> Text:
    if answer is None:
        return Text("No answer: the path ended without one.", style="bold yellow")
    line = Text.assemble(("Answer  ", "bold"), (answer, "bold green"))
    if confidence is not None:
        line.append(f"   confidence {confidence:.2f}", "dim")
    return line

"""How is it written down?

question, steps -> transcript, and back. The one renderer: policy training, PPM training, rollouts and scoring all take
their bytes from here (text format of the paper's appendix A). It knows nothing of tokens or models.

    <|user|>:
    {question}
    <|assistant|>: Let's think step by step and solve the problem with code.
    <code>
    # Step 1: ...
    x = 2 * 20 * 12
    <end_of_step>

    # Now print the final answer
    print(x)
    <end_of_code>
    <output>480<end_of_output>
    <answer>The answer is \\boxed{480}.
    <end_of_answer>

A policy writes its steps, each up to and including its delimiter. The line breaks between steps and the interpreter's
output are written by the renderer and carry no loss.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rstar_math.records import Segment, Step, Transcript

STEP_END = "<end_of_step>"
CODE_END = "<end_of_code>"
ANSWER_END = "<end_of_answer>"
#: A step ends at the first of these.
DELIMITERS = (STEP_END, CODE_END, ANSWER_END)
OUTPUT_START, OUTPUT_END = "<output>", "<end_of_output>"
CODE_START, ANSWER_START = "<code>", "<answer>"
#: All that is written around steps, outputs and answers.
MARKS = (CODE_START, OUTPUT_START, OUTPUT_END, ANSWER_START, *DELIMITERS)
_MARKUP = re.compile("|".join(re.escape(mark) for mark in MARKS if mark != ANSWER_START))
_OUTPUT = re.compile(f"{re.escape(OUTPUT_START)}(.*?){re.escape(OUTPUT_END)}", re.DOTALL)


def prompt(question: str) -> str:
    """The bytes before the policy's first step."""
    return f"<|user|>:\n{question.strip()}\n<|assistant|>: Let's think step by step and solve the problem with code.\n"


def delimiter_of(step: str) -> str | None:
    """The delimiter that `step` ends with; None if it was cut off."""
    return next((mark for mark in DELIMITERS if step.endswith(mark)), None)


def cut(generated: str, marks: Sequence[str] = DELIMITERS) -> str:
    """`generated` up to and including its first mark (delimiter); all of it if it has none."""
    ends = [generated.find(mark) + len(mark) for mark in marks if mark in generated]
    return generated[: min(ends)] if ends else generated


def code_of(step: str) -> str:
    """The Python code of a step (comments included); empty for an answer step."""
    if ANSWER_START in step:
        return ""
    return _MARKUP.sub("", step).strip("\n") + "\n"


def after(step: Step) -> str:
    """What the renderer writes between `step` and the next: a blank line, or the interpreter's output."""
    if step.text.endswith(ANSWER_END):
        return ""
    if step.output is None:
        return "\n\n"
    return f"\n{OUTPUT_START}{step.output.strip()}{OUTPUT_END}\n"


def transcript(question: str, steps: Sequence[Step], *, for_next: bool) -> Transcript:
    """The pieces of a partial or whole solution.

    With `for_next` it ends where the policy's next step begins; without, right after the last step's delimiter, which is
    where the PPM reads its score and where training stops.
    """
    pieces = [Segment(prompt(question), by_policy=False)]
    for position, step in enumerate(steps):
        pieces.append(Segment(step.text, by_policy=True))
        tail = after(step)
        if tail and (for_next or position + 1 < len(steps)):
            pieces.append(Segment(tail, by_policy=False))
    return tuple(pieces)


def join(pieces: Transcript) -> str:
    """The transcript as one string."""
    return "".join(piece.text for piece in pieces)


def parse_reply(reply: str) -> tuple[Step, ...]:
    """The steps of a written-out reply, the released SFT format included. Inverse of `transcript` up to blank lines.

    Raises:
        ValueError: the reply does not end with a delimiter, or its code ends without an `<output>`.
    """
    steps: list[Step] = []
    rest = reply.strip()
    while rest:
        text = cut(rest)
        if delimiter_of(text) is None:
            raise ValueError(f"the reply ends without one of {', '.join(DELIMITERS)}: …{rest[-60:]!r}")
        rest = rest[len(text) :].lstrip()
        output = None
        if text.endswith(CODE_END):
            found = _OUTPUT.match(rest)
            if found is None:
                raise ValueError(f"no {OUTPUT_START}…{OUTPUT_END} after {CODE_END}: {rest[:60]!r}")
            output = found[1].strip()
            rest = rest[found.end() :].lstrip()
        steps.append(Step(text.strip(), output))
    return tuple(steps)

"""What if the outside world were scripted?

Small fakes of the four doors, for tests and for measuring the search alone. They draw from named random streams, so two
runs with them write equal bytes. Nothing in the pipeline uses them unless a test hands them in.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rstar_math.config import EngineConfig
from rstar_math.records import Execution, Grade, Program, Proposal, Sampling, Status, Transcript, Verdict
from rstar_math.rng import stream
from rstar_math.text import join

#: transcript -> the distinct texts the policy might say next.
Script = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class ScriptedPolicy:
    """Draws its next steps from a script; with temperature 0 it says the script's first."""

    script: Script
    seed: int = 0

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        """`count` draws, the same for the same transcript and seed."""
        written = join(transcript)
        choices = self.script(written)
        if not choices:
            return []
        draw = stream(self.seed, written)
        texts = [choices[0] if sampling.temperature == 0 else draw.choice(choices) for _ in range(count)]
        return [Proposal(text, len(text.split())) for text in texts]


@dataclass(frozen=True)
class ScriptedScorer:
    """Scores a transcript by a function of its text."""

    worth: Callable[[str], float]

    async def score(self, transcripts: Sequence[Transcript]) -> list[float]:
        """`worth` of each."""
        return [self.worth(join(transcript)) for transcript in transcripts]


class InProcessSandbox:
    """Runs programs right here, with no isolation at all: for scripted, trusted code only."""

    async def run(self, programs: Sequence[Program]) -> list[Execution]:
        """Each program's execution; any of Python's ordinary errors counts as `error`."""
        return [_run_here("".join(program)) for program in programs]


def _run_here(code: str) -> Execution:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "<step>", "exec"), {"__name__": "__main__"})
    except (ArithmeticError, LookupError, NameError, SyntaxError, TypeError, ValueError) as error:
        return Execution(Status.ERROR, printed.getvalue(), f"{type(error).__name__}: {error}")
    return Execution(Status.OK, printed.getvalue())


class ExactJudge:
    """Right is what has the same text; an empty answer is none."""

    async def grade(self, prediction: str, gold: str, tolerance: float = 0.0) -> Grade:  # noqa: ARG002
        """Equality of the stripped texts."""
        if not prediction:
            return Grade(Verdict.NO_ANSWER, "an empty text")
        if prediction.strip() == gold.strip():
            return Grade(Verdict.CORRECT, "the same text")
        return Grade(Verdict.WRONG, "another text")


class ScriptedEngine:
    """Both engines of a fleet, scripted: sums of two numbers, done right, wrong, or with code that crashes.

    The PPM's half prefers sums. It takes the place of `cluster.actors.PolicyActor` and `ScorerActor`.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._policy = ScriptedPolicy(sums)
        self._scorer = ScriptedScorer(lambda written: 0.5 if "* " not in written else -0.5)

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        """See `ports.Policy`."""
        return await self._policy.propose(transcript, count, sampling)

    async def score(self, transcripts: Sequence[Transcript]) -> list[float]:
        """See `ports.Scorer`."""
        return await self._scorer.score(transcripts)

    async def is_broken(self) -> bool:
        """A script does not break."""
        return False

    async def until_broken(self) -> None:
        """See `PolicyActor`."""
        while not await self.is_broken():
            await asyncio.sleep(1.0)

    async def getting_nowhere_seconds(self) -> float:
        """It answers at once."""
        return 0.0

    async def filled(self) -> float:
        """A script is never busy."""
        return 0.0

    async def load(self, path: str) -> None:
        """There are no weights."""
        self._path = path


def sums(written: str) -> list[str]:
    """What may follow a transcript whose question asks for the sum of two numbers."""
    if written.endswith("<end_of_output>\n"):
        return [f"<answer>\\boxed{{{written.rsplit('<output>', 1)[1].split('<', 1)[0]}}}\n<end_of_answer>"]
    if "<end_of_step>" in written:
        return ["print(x)\n<end_of_code>"]
    first, second = re.findall(r"\d+", written)[:2]
    return [
        f"<code>\nx = {first} + {second}\n<end_of_step>",
        f"<code>\nx = {first} * {second}\n<end_of_step>",
        f"<code>\nx = {first} / 0\n<end_of_step>",
    ]

"""What must the outside world be able to do?

Four doors of one asynchronous method each. Search knows engines, interpreters and graders through these alone, so any of
them can be replaced: by another engine, by an actor on another machine, or by the scripted ones in `rstar_math.scripted`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rstar_math.records import Execution, Grade, Program, Proposal, Sampling, Transcript


class Policy(Protocol):
    """What would the policy say next?"""

    async def propose(self, transcript: Transcript, count: int, sampling: Sampling) -> list[Proposal]:
        """`count` sampled next steps after `transcript`, in no order.

        Raises:
            EngineError: the engine is gone or refuses the request.
        """
        ...


class Scorer(Protocol):
    """What is a path worth?"""

    async def score(self, transcripts: Sequence[Transcript]) -> list[float]:
        """The PPM's score of each transcript, in [-1, 1] (tanh applied), in the order given.

        Raises:
            EngineError: the engine is gone or refuses the request.
        """
        ...


class Sandbox(Protocol):
    """What does this code print?"""

    async def run(self, programs: Sequence[Program]) -> list[Execution]:
        """Each program's execution, in the order given; each in a fresh namespace, none able to reach the outside.

        Raises:
            SandboxError: the sandbox itself cannot go on (never because of what a program did).
        """
        ...


class Judge(Protocol):
    """Is this answer right?"""

    async def grade(self, prediction: str, gold: str, tolerance: float = 0.0) -> Grade:
        """Whether `prediction`, a reply with a box or the bare text of an answer, states the answer `gold`, or a number no
        further from it than the problem's own `tolerance`."""
        ...

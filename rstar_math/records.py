"""What flows?

The frozen records that every room exchanges. Results are keyed by a problem's `id`, never by its text. Row 0 of a tree is
its root (the problem itself), and every node's `parent` is smaller than its own index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Problem(NamedTuple):
    """A question with its final answer. `synthetic`: a model wrote it, so its answer is suspect (paper §3.4). `tolerance`:
    how far from the answer, if that is a number, another may lie, as the problem's own source says; 0: not at all."""

    id: str
    question: str
    answer: str
    level: str = ""
    subject: str = ""
    source: str = ""
    synthetic: bool = False
    tolerance: float = 0.0


class Segment(NamedTuple):
    """A piece of a transcript. `by_policy`: the policy wrote it; else the prompt, the interpreter or the renderer did."""

    text: str
    by_policy: bool


#: What a model sees, piece by piece. Each piece is tokenised by itself, in training and in serving alike, so the tokens
#: a policy is trained on are the tokens that it is prompted with.
Transcript = tuple[Segment, ...]

#: The code of a path, step by step; the program is their concatenation, run in a fresh namespace.
Program = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a policy is asked for one expansion. `max_tokens` bounds one step, which ends with the first of `stops`; none: with
    one of the text format's delimiters."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 512
    stops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """One sampled next step. `text` ends with its delimiter, or with none if it ran out of tokens; `tokens` were paid."""

    text: str
    tokens: int


class Status(StrEnum):
    """How a program ended, as the kernel and the controller saw it, never as its output words it. Limits of time on the
    clock, of processor time, memory and output have one each; what the kernel refuses (a file, a process) is an error, in
    its words."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    CPU = "cpu"
    MEMORY = "memory"
    OUTPUT_LIMIT = "output-limit"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Execution:
    """What running a program showed: its status, everything that it printed, the error's last line, wall seconds."""

    status: Status
    stdout: str = ""
    error: str = ""
    seconds: float = 0.0


class Verdict(StrEnum):
    """Whether an answer is right, or why nobody could tell. Only `correct` is rewarded, only `wrong` is a bad example."""

    CORRECT = "correct"
    WRONG = "wrong"
    NO_ANSWER = "no-answer"
    UNREADABLE = "unreadable"
    GOLD_UNREADABLE = "gold-unreadable"
    TIMEOUT = "timeout"

    @property
    def decided(self) -> bool:
        """Whether the answer was compared to the end."""
        return self in (Verdict.CORRECT, Verdict.WRONG)


class Grade(NamedTuple):
    """A verdict and, in a few words, its reason."""

    verdict: Verdict
    reason: str


class Step(NamedTuple):
    """One step of a path. `output`: what the whole program printed, set where the step ended the code (else None)."""

    text: str
    output: str | None = None


class End(StrEnum):
    """Why a rollout stopped."""

    ANSWER = "answer"
    DEAD_END = "dead-end"
    DEPTH = "depth"


class Node(NamedTuple):
    """One step in a finished tree.

    value:   accumulated value q (paper §3.2); Q = value / visits.
    prior:   the PPM's score of the path up to here, in [-1, 1]; None where no PPM was asked.
    answer:  the final answer that this step states; None unless the step ends a trajectory.
    verdict: of `answer` against the ground truth; None where there is none to compare with.
    """

    parent: int
    step: Step
    visits: int
    value: float
    prior: float | None = None
    answer: str | None = None
    verdict: Verdict | None = None

    @property
    def q(self) -> float:
        """Average value Q(s) = q(s) / N(s); 0 for a node that was never visited."""
        return self.value / self.visits if self.visits else 0.0


class Rollout(NamedTuple):
    """One descent from the root: the node it ended at, why, and the value backed up."""

    leaf: int
    end: End
    value: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What a tree cost: generated tokens, expansions asked of the policy, programs run, PPM scores, seconds; and the answers
    that nobody could decide (`Verdict.decided`)."""

    tokens: int = 0
    expansions: int = 0
    executions: int = 0
    failed_executions: int = 0
    scores: int = 0
    undecided: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Tree:
    """A finished search tree of one problem; `seed` tells trees of the same problem apart."""

    problem: Problem
    seed: int
    nodes: tuple[Node, ...]
    rollouts: tuple[Rollout, ...]
    cost: Cost = field(default_factory=Cost)

    def path(self, leaf: int) -> tuple[int, ...]:
        """Indices from the first step (not the root) down to `leaf`."""
        indices: list[int] = []
        while leaf > 0:
            indices.append(leaf)
            leaf = self.nodes[leaf].parent
        return tuple(reversed(indices))

    def steps(self, leaf: int) -> tuple[Step, ...]:
        """The steps from the first down to `leaf`."""
        return tuple(self.nodes[index].step for index in self.path(leaf))

    def children(self, parent: int) -> tuple[int, ...]:
        """Indices of the children of `parent`, in the order they were kept."""
        return tuple(index for index, node in enumerate(self.nodes) if index > 0 and node.parent == parent)

    def answers(self) -> tuple[int, ...]:
        """Indices of all nodes that end a trajectory with an answer."""
        return tuple(index for index, node in enumerate(self.nodes) if node.answer is not None)


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; 0 of nothing."""
    return sum(values) / len(values) if values else 0.0

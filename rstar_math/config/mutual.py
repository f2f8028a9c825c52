"""How do two models find an answer together? The knobs of rStar (arXiv 2408.06195, §4 and appendix)."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from rstar_math.config.kinds import STRICT, Count, NotNegative, Share

#: rStar's actions, in the order in which their children stand below a node.
ActionName = Literal["thought", "solution", "subquestion", "again", "conditions"]


@dataclass(frozen=True, config=STRICT)
class MaskingConfig:
    """What the second model is given of a trajectory, and how it goes on."""

    #: How often the second model completes each trajectory, each time with another share of it given (paper: once, 20-80%).
    masks: Count = 1
    #: The least and the most of a trajectory that is given.
    least_given: Share = 0.2
    most_given: Share = 0.8
    #: The second model's; 0: its likeliest completion.
    completion_temperature: NotNegative = 0.0
    #: Longest line, in tokens; the first model's too.
    max_line_tokens: Count = 256

    @model_validator(mode="after")
    def _a_range(self) -> MaskingConfig:
        if self.least_given > self.most_given:
            raise ValueError(f"least_given={self.least_given} is more than most_given={self.most_given}")
        return self


@dataclass(frozen=True, config=STRICT)
class MutualConfig(MaskingConfig):
    """The search over five actions, and the second model that looks at what it found."""

    #: Ways of answering (docs/mutual.md lists them); `rstar-math evaluate strategy=` names others.
    strategies: tuple[str, ...] = ("mutual",)
    #: The kind of question: a folder in conf/mutual, or a path to one of your own; None: the one that the benchmark names.
    task: str | None = None
    #: Rollouts a question; what counts from the second on (paper: 32).
    rollouts: Count = 32
    #: Children that one node gets of A1 and of A3 (paper: 5); the other actions give one.
    thoughts: Count = 5
    subquestions: Count = 5
    #: Lines drawn where one is kept (A2, A3's answers, A4): the one that most of them agree with.
    votes: Count = 8
    #: Of every draw, and the share of the probability that it is drawn from.
    temperature: NotNegative = 0.8
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    #: c of UCT, as in SearchConfig.
    exploration: NotNegative = 2.0
    #: Actions that may be used; the paper's ablation leaves some out.
    actions: tuple[ActionName, ...] = (
        "thought",
        "solution",
        "subquestion",
        "again",
        "conditions",
    )
    #: A trajectory is mutually consistent if one of its completions agrees with it, more than half of them, or all.
    agreement: Literal["loose", "middle", "strict"] = "strict"

    @property
    def masking(self) -> MaskingConfig:
        """The second model's part of it."""
        return MaskingConfig(**{knob.name: getattr(self, knob.name) for knob in fields(MaskingConfig)})

    @model_validator(mode="after")
    def _possible(self) -> MutualConfig:
        if not {"thought", "solution", "subquestion"} & set(self.actions):
            raise ValueError("actions needs thought, solution or subquestion: the others reach no answer")
        return self

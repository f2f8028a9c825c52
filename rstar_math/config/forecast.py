"""What does a prediction of tokens, hours and disk go by?

Nothing here changes what a run does: these are the habits of a policy and the speeds of a machine, as `rstar-math plan`
assumes them, or as it measured them on a run (`measured=RUN`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from rstar_math.config.kinds import STRICT, Count, NotNegative, Positive, Share

Hardware = Literal["a100-40gb", "a100-80gb", "h100-80gb", "h200-141gb", "cpu"]


@dataclass(frozen=True, config=STRICT)
class ModelConfig:
    """The size of the base model, where its folder is not at hand to be read."""

    #: All parameters; layers; width of a layer; numbers that a token leaves in the key-value cache a layer (keys and values).
    parameters: Positive
    layers: Count
    hidden: Count
    kv_width: Count
    vocabulary: Count


@dataclass(frozen=True, config=STRICT)
class PublishedConfig:
    """What is published of a run of this plan; `rstar-math plan` shows its forecast beside it, and says why it differs."""

    #: Accelerators, how many, and the days that each round took on them (0: not on these).
    hardware: Hardware
    gpus: Count
    days: tuple[NotNegative, ...]
    #: The base model and the problems in all.
    base: str
    problems: Count
    #: What was otherwise in the rounds without days.
    otherwise: str = ""


@dataclass(frozen=True, config=STRICT)
class ForecastConfig:
    """The paper states none of these habits but the share of problems that its rounds solve."""

    #: Where the base's folder is not here to be read, or says it in words of its own.
    model: ModelConfig | None = None
    #: Problems in all, where the file is not at hand; None: count what `problems.*` names.
    problems: Count | None = None
    #: What such a run took elsewhere; None: nothing is known.
    published: PublishedConfig | None = None
    #: Tokens of a problem with its prompt; of a generated step; of what the code prints, per solution.
    question_tokens: Positive = 120.0
    step_tokens: Positive = 70.0
    output_tokens: NotNegative = 20.0
    #: Steps of a trajectory, the answer included; different children that a candidate leaves (fewer than 1: the same step
    #: drawn twice, code that fails).
    steps: Positive = 6.0
    kept: Annotated[float, Field(gt=0, le=1)] = 0.6
    #: Share of the problems that search solves, by round (paper, table 6); the last holds for further rounds.
    solved: tuple[Share, ...] = (0.6017, 0.6660, 0.7786, 0.9025)
    #: Of the solutions wanted of a solved problem, the share that is found (distinct ones); the share of the problems that
    #: give pairs; and the step groups that one of those gives, the whole solutions among them.
    distinct: Share = 0.9
    mixed: Share = 0.4
    groups: Positive = 3.0
    #: The accelerators, and the shares of their peak that decoding, reading (the PPM) and training reach.
    hardware: Hardware = "a100-40gb"
    decoding_share: Share = 0.5
    reading_share: Share = 0.4
    training_share: Share = 0.35
    #: Share of the engines' own speed that a search reaches: the rest waits for code, trees and the last problems.
    search_share: Share = 0.6
    #: Measured speeds take the place of the peaks: tokens a second that one policy engine generates in a search, one PPM
    #: engine reads, one training rank trains the policy on. A CPU needs them.
    generated_per_second: Positive | None = None
    read_per_second: Positive | None = None
    trained_per_second: Positive | None = None
    #: Seconds before a stage's first result: engines or ranks start.
    start_seconds: NotNegative = 90.0
    #: Bytes on disk of a node of a tree, compressed, and of a token of training data.
    node_bytes: Positive = 120.0
    token_bytes: Positive = 1.5

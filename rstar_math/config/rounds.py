"""What does a round do?

The knobs of its search, its harvest, its two trainings and its evaluation (paper §3, appendix A).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from rstar_math.config.kinds import STRICT, Count, Natural, NotNegative, Positive, Share


@dataclass(frozen=True, config=STRICT)
class SearchConfig:
    """One round's search of one problem (paper §3.2, §3.4)."""

    #: "mcts" (paper). At test time also "sample": solutions drawn one by one; "beam": the best few paths, step by step.
    kind: Literal["mcts", "sample", "beam"] = "mcts"
    #: MCTS rollouts a problem; one rollout is one trajectory. Solutions drawn, or paths in the beam.
    rollouts: Count = 16
    #: Descents of one tree at once, apart by virtual loss: for few problems on many engines. 1: each sees all before it.
    descents: Count = 1
    #: Next steps sampled at an expansion.
    candidates: Count = 8
    #: Samples of the step that only words the final answer: its code has run already. Where none can be read, the next visit
    #: asks again.
    answer_candidates: Count = 1
    #: Of every draw; 0: the likeliest step.
    temperature: NotNegative = 1.0
    #: Tokens are drawn from the likeliest that hold this share of the probability together; 1: from all.
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    #: Longest step, in tokens; a longer one is cut off and dropped.
    max_step_tokens: Count = 512
    #: Steps from the root at which a trajectory is given up (counted as wrong).
    depth: Count = 16
    #: c of UCT(s) = Q(s) + c * sqrt(ln N_parent / N(s)).
    exploration: NotNegative = 2.0
    #: An unvisited child: "first" goes there before any other (textbook UCT), "no-bonus" by its Q alone (released code).
    unvisited: Literal["first", "no-bonus"] = "first"
    #: "terminal": every q starts at 0 (rounds 1 and 2). "ppm": q starts at the PPM's score, as one visit (from round 3).
    annotation: Literal["terminal", "ppm"] = "terminal"
    #: While no trajectory is right (a hard problem): totals of rollouts to go on to. Rounds 2 and 3: 32. Round 4: 80, 128.
    escalate_to: tuple[int, ...] = ()
    #: A synthetic problem gets no rollouts after which it could not be right so often any more, for it would be dropped
    #: (harvest.noise_threshold). 0: as many as any other.
    noise_threshold: Share = 0.5
    #: Trees at most, each from its own random seed; the next is planted only if the one before did not solve it.
    trees: Count = 1
    #: What stands before the problem where the policy does not know the text format; filled in by what policy.few_shot names.
    few_shot: str = ""

    @model_validator(mode="after")
    def _rising(self) -> SearchConfig:
        totals = (self.rollouts, *self.escalate_to)
        if any(later <= earlier for earlier, later in pairwise(totals)):
            raise ValueError(f"escalate_to={list(self.escalate_to)} must rise from rollouts={self.rollouts}")
        if self.kind != "mcts" and (self.escalate_to or self.descents > 1):
            raise ValueError(f"kind={self.kind} goes without escalate_to and descents; they belong to kind=mcts")
        if self.kind == "beam" and self.annotation != "ppm":
            raise ValueError("kind=beam needs annotation=ppm: the PPM says which paths go on")
        return self


@dataclass(frozen=True, config=STRICT)
class HarvestConfig:
    """What is worth learning from (paper §3.3, §3.4)."""

    #: Correct trajectories kept a problem: those with the highest average Q over their steps.
    trajectories: Count = 2
    #: A synthetic problem whose trajectories are right less often than this is dropped.
    noise_threshold: Share = 0.5
    #: Chosen and rejected steps a prefix: up to this many squared pairs.
    pairs_per_side: Count = 2
    #: A step that led to nothing but dead ends counts as one that leads to wrong answers; off: only answers tell (paper).
    dead_ends: bool = False
    #: The released scripts also ask Q(chosen) - Q(rejected) >= 0.5 and >= 20 characters of edit distance; 0 turns it off.
    min_q_gap: NotNegative = 0.0
    min_edit_distance: Natural = 0


@dataclass(frozen=True, config=STRICT)
class TrainingConfig:
    """How data become weights. The paper: 2 epochs, 4096 tokens, batch 128, AdamW, linear, lr 7e-6, weight decay 0.1."""

    #: Knobs that may change at any time, and those that may change once a training is finished: until then a checkpoint has
    #: their form. But for rounding the weights depend on neither, so a run may move to other machines between its stages.
    FREE: ClassVar[frozenset[str]] = frozenset(
        {"cpus_per_rank", "threads_per_rank", "save_steps", "save_minutes", "log_steps"}
    )
    FORM: ClassVar[frozenset[str]] = frozenset({"ranks", "micro_batch_size", "gradient_checkpointing", "deepspeed"})

    #: Passes over all rows.
    epochs: Positive = 2.0
    #: Exactly so many optimiser steps, whatever the epochs say; None: as many as the epochs take.
    max_steps: Count | None = None
    #: Rows (policy), or steps with all of their up to 2 x 2 pairs (PPM), in an optimiser step, over all ranks.
    batch_size: Count = 128
    #: How many of them one rank holds at once; the rest is gradient accumulation.
    micro_batch_size: Count = 4
    #: AdamW's highest rate, and how it falls to 0 after the warm-up ("constant": not at all).
    learning_rate: Positive = 7e-6
    scheduler: Literal["linear", "cosine", "constant"] = "linear"
    #: AdamW's.
    weight_decay: NotNegative = 0.1
    #: Share of the steps in which the rate rises to its highest.
    warmup_ratio: Share = 0.0
    #: Longer gradients are cut to this length.
    max_grad_norm: Positive = 1.0
    #: Longest row in tokens; longer rows are left out and counted.
    max_tokens: Count = 4096
    #: Numbers that it computes in; what is saved is bfloat16.
    precision: Literal["bf16", "fp32"] = "bf16"
    #: Compute activations again in the backward pass instead of keeping them: less memory, more time.
    gradient_checkpointing: bool = True
    #: Name of a file in conf/deepspeed (zero1, zero2, zero3, each also with -offload) or a path to one.
    deepspeed: str = "zero2"
    #: Training ranks; on a machine with GPUs each takes one.
    ranks: Count = 1
    #: CPUs a rank asks Ray for where there are no GPUs, and its threads; 0: a fair share of the machine's cores.
    cpus_per_rank: Positive = 1.0
    threads_per_rank: Natural = 0
    #: A checkpoint to resume from after a kill, every so many optimiser steps and/or minutes (None: not by that measure).
    save_steps: Count | None = 200
    save_minutes: Positive | None = 10.0
    #: Optimiser steps between two logged losses.
    log_steps: Count = 10


#: "pairwise": the paper's PPM. "pqm": regression on each step's Q. "orm": is the whole solution right? (paper §4.3)
Objective = Literal["pairwise", "pqm", "orm"]


@dataclass(frozen=True, config=STRICT)
class PPMConfig(TrainingConfig):
    """The training of a reward model; the paper's is the PPM, the others are there to be compared with it."""

    #: What it is trained to say; see above.
    objective: Objective = "pairwise"


@dataclass(frozen=True, config=STRICT)
class EvaluationConfig:
    """How the round's policy and PPM are measured on held-out problems."""

    #: Ways of answering (docs/system2.md lists them); without a PPM those that need one are left out.
    strategies: tuple[str, ...] = ("greedy", "mcts")
    #: Candidates a step and trajectories of System 2 (paper: 32 and 8; headline 64 trajectories).
    candidates: Count = 32
    rollouts: Count = 8
    #: Candidates a step of step beam search, `evaluation.rollouts` or `@w` paths wide (paper: 8 and 8).
    beam_candidates: Count = 8
    #: Of every draw but greedy decoding's.
    temperature: NotNegative = 1.0
    #: Tokens are drawn from the likeliest that hold this share of the probability together; 1: from all.
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    #: Steps from the root at which a trajectory is given up, and the longest step in tokens; greedy decoding's too.
    depth: Count = 16
    max_step_tokens: Count = 512
    #: Descents of one tree at once (`SearchConfig.descents`).
    descents: Count = 1
    #: Trajectories, the best by their score, that vote in `mcts-majority` and `mcts-weighted` (released code).
    top: Count = 8
    #: Resamples behind a 95% interval.
    bootstrap: Count = 1000
    #: As `SearchConfig.few_shot`.
    few_shot: str = ""


@dataclass(frozen=True, config=STRICT)
class RoundConfig:
    """One round of self-evolution: conf/round/r1.yaml ... r4.yaml."""

    #: How trees are grown, and what is taken from them.
    search: SearchConfig = SearchConfig()
    harvest: HarvestConfig = HarvestConfig()
    #: The two trainings (the paper's PPM: one epoch, batch 512).
    policy: TrainingConfig = TrainingConfig()
    ppm: PPMConfig = PPMConfig(epochs=1.0, batch_size=512)
    #: How both are measured.
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _keeps_what_is_found(self) -> RoundConfig:
        given_up, dropped = self.search.noise_threshold, self.harvest.noise_threshold
        if given_up > dropped:
            raise ValueError(
                f"search.noise_threshold={given_up:g} gives up synthetic problems that harvest.noise_threshold={dropped:g} "
                f"keeps; set search.noise_threshold={dropped:g} as well"
            )
        return self

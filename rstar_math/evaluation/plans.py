"""strategy -> the search that it is.

Search is the only place where text is generated; ways of answering differ in the plan they give it and in who reads the
trees afterwards.
"""

from __future__ import annotations

from rstar_math.config import EvaluationConfig, SearchConfig


def greedy(evaluation: EvaluationConfig) -> SearchConfig:
    """One candidate a step at temperature 0, one rollout."""
    return SearchConfig(
        rollouts=1, candidates=1, temperature=0.0, depth=evaluation.depth, max_step_tokens=evaluation.max_step_tokens
    )


def system2(evaluation: EvaluationConfig) -> SearchConfig:
    """PPM-guided MCTS at test time (paper §4.1)."""
    return SearchConfig(
        rollouts=evaluation.rollouts,
        candidates=evaluation.candidates,
        temperature=evaluation.temperature,
        top_p=evaluation.top_p,
        annotation="ppm",
        depth=evaluation.depth,
        max_step_tokens=evaluation.max_step_tokens,
    )

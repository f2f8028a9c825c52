"""Which answer is given at test time, and how it is scored."""

from dataclasses import replace
from functools import partial

import pytest
from planting import plant

from rstar_math.config import EvaluationConfig
from rstar_math.evaluation.choice import choose, choose_answer
from rstar_math.evaluation.metrics import accuracy
from rstar_math.evaluation.plans import greedy, system2
from rstar_math.evaluation.scores import grade_choices, score_metrics
from rstar_math.records import End, Rollout, Tree
from rstar_math.scripted import ExactJudge

DRAWN = plant("a answer=4\nb answer=5\nc answer=5\nd answer=6")


def scored(*priors: float, reached: int = 4) -> Tree:
    nodes = [DRAWN.nodes[0], *(n._replace(prior=p) for n, p in zip(DRAWN.nodes[1:], priors, strict=True))]
    rollouts = tuple(Rollout(leaf, End.ANSWER, 0.0) for leaf in range(1, reached + 1))
    return replace(DRAWN, nodes=tuple(nodes), rollouts=rollouts)


def test_the_best_answer_is_that_of_the_highest_ppm_score() -> None:
    choice = choose_answer(scored(0.9, 0.5, 0.5, -1.0), "best", 8)
    assert choice is not None
    assert (choice.answer, choice.score) == ("4", 0.9)


@pytest.mark.parametrize(("top", "answer"), [(1, "4"), (3, "5")])
def test_a_majority_counts_the_top_answers_alone(top, answer) -> None:
    choice = choose_answer(scored(0.9, 0.5, 0.4, -1.0), "majority", top)
    assert choice is not None
    assert choice.answer == answer


def test_an_answer_that_no_rollout_reached_is_not_given() -> None:
    choice = choose_answer(scored(0.1, 0.2, 0.3, 0.9, reached=2), "best", 8)
    assert choice is not None
    assert choice.answer == "5"
    assert choose_answer(replace(DRAWN, rollouts=()), "best", 8) is None


async def test_scores_tell_the_chosen_answer_from_the_oracle() -> None:
    trees = [scored(0.9, 0.1, 0.1, 0.1), scored(0.1, 0.9, 0.1, 0.1), replace(DRAWN, rollouts=())]
    rows = await grade_choices(trees, partial(choose, rule="best", top=8, judge=ExactJudge()), ExactJudge())
    metrics = score_metrics("mcts", rows, resamples=200, seed=0)
    assert metrics["mcts/pass@1"] == pytest.approx(1 / 3)
    assert metrics["mcts/pass@1/level_1/count"] == 3
    assert metrics["mcts/oracle"] == 1.0


def test_the_interval_holds_the_value_and_narrows_with_more_problems() -> None:
    few, many = (accuracy([True, False] * n, resamples=500, seed=1) for n in (10, 1000))
    assert few.low < 0.5 < few.high
    assert many.high - many.low < (few.high - few.low) / 5


def test_an_evaluations_own_limits_hold_for_greedy_and_for_system_2() -> None:
    knobs = EvaluationConfig(candidates=5, rollouts=3, temperature=0.6, top_p=0.8, depth=7, max_step_tokens=33)
    for plan in (greedy(knobs), system2(knobs)):
        assert (plan.depth, plan.max_step_tokens) == (7, 33)
    assert (greedy(knobs).temperature, greedy(knobs).candidates, greedy(knobs).rollouts) == (0.0, 1, 1)
    assert (system2(knobs).temperature, system2(knobs).candidates, system2(knobs).rollouts) == (0.6, 5, 3)
    assert (system2(knobs).top_p, system2(knobs).annotation) == (0.8, "ppm")

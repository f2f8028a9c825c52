"""The other searches beside MCTS, and several descents at once, with everything around them scripted."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from test_search import ADD, CRASH, PRINT, PROBLEM, TIMES, doors, grow_one, tell, texts

from rstar_math import text
from rstar_math.config import SearchConfig
from rstar_math.errors import EngineLost
from rstar_math.evaluation.choice import solutions
from rstar_math.evaluation.worths import read_worths, weigh_all, with_worths
from rstar_math.records import End, Verdict
from rstar_math.scripted import ScriptedPolicy, ScriptedScorer
from rstar_math.search.forest import grow

LIKES_SUMS = ScriptedScorer(lambda written: 0.5 if "x = 2 + 2" in written else -0.5)


def drawing(count: int, **knobs) -> SearchConfig:
    return SearchConfig(kind="sample", rollouts=count, candidates=1, **knobs)


async def test_every_drawn_solution_is_a_rollout_whatever_became_of_it() -> None:
    tree = await grow_one(drawing(60))
    ends = Counter((rollout.end, tree.nodes[rollout.leaf].answer) for rollout in tree.rollouts)
    assert sum(ends.values()) == 60
    assert set(ends) == {(End.ANSWER, "4"), (End.ANSWER, "6"), (End.DEAD_END, None)}
    assert all(12 <= count <= 28 for count in ends.values())  # a third each
    assert {tree.nodes[r.leaf].visits for r in tree.rollouts if r.end is End.ANSWER} == {
        ends[End.ANSWER, "4"],
        ends[End.ANSWER, "6"],
    }


async def test_solutions_that_begin_alike_are_generated_and_run_once_and_no_ppm_is_asked_meanwhile() -> None:
    tree = await grow_one(drawing(60), doors(scorer=LIKES_SUMS))
    assert tree.cost.expansions == 5  # the root, two steps, two code ends
    assert tree.cost.executions == 3 + 2
    assert tree.cost.scores == 0
    assert {node.prior for node in tree.nodes} == {None}


async def test_drawn_solutions_are_weighed_once_each_by_any_reward_model_and_kept_by_problem(tmp_path) -> None:
    """Each reward model had solutions drawn of its own, so that models were compared on different ones."""
    tree, asked = await grow_one(drawing(60), doors()), []

    class Noting:
        async def score(self, transcripts):
            asked.append([text.join(transcript) for transcript in transcripts])
            return await LIKES_SUMS.score(transcripts)

    for _ in range(2):  # the second time it stands in the file
        await weigh_all(tmp_path / "worths.jsonl", [tree], Noting(), lambda _: None)
    ((first, second),) = asked
    assert first != second
    kept = read_worths(tmp_path / "worths.jsonl")
    (weighed,) = with_worths([tree], kept)
    assert {node.answer: node.prior for node in weighed.nodes if node.answer is not None} == {"4": 0.5, "6": -0.5}
    assert {node.prior for node in weighed.nodes if node.answer is None} == {None}
    both = kept[tree.problem.id].added_to(tree.cost)
    assert (both.scores, tree.cost.scores) == (2, 0)
    assert both.seconds > tree.cost.seconds


async def test_the_first_few_draws_are_no_special_ones() -> None:
    orders = {
        tuple(tree.nodes[rollout.leaf].answer for rollout in tree.rollouts)
        for seed in range(8)
        for tree in await grow(PROBLEM, doors(), drawing(12), seed)
    }
    assert len(orders) > 1
    assert all(order != tuple(sorted(order, key=str)) for order in orders)


async def test_a_draw_stops_at_the_depth_limit() -> None:
    endless = doors(lambda written: [f"x = {written.count('<end_of_step>')}\n<end_of_step>"])
    tree = await grow_one(drawing(3, depth=4), endless)
    assert {rollout.end for rollout in tree.rollouts} == {End.DEPTH}
    assert {len(tree.path(rollout.leaf)) for rollout in tree.rollouts} == {4}


async def test_one_draw_at_temperature_0_is_greedy_decoding() -> None:
    tree = await grow_one(drawing(1, temperature=0.0))
    assert texts(tree)[0] == ADD
    assert [tree.nodes[rollout.leaf].answer for rollout in tree.rollouts] == ["4"]


async def test_a_beam_goes_on_with_the_paths_that_the_ppm_scores_highest() -> None:
    plan = SearchConfig(kind="beam", rollouts=1, candidates=16, annotation="ppm")
    tree = await grow_one(plan, doors(scorer=LIKES_SUMS))
    assert set(texts(tree)[:2]) == {ADD, TIMES}
    assert [tree.nodes[rollout.leaf].answer for rollout in tree.rollouts] == ["4"]


async def test_a_beams_outputs_belong_to_their_own_parents() -> None:
    plan = SearchConfig(kind="beam", rollouts=2, candidates=16, annotation="ppm")
    tree = await grow_one(plan, doors(scorer=LIKES_SUMS))
    found = {tree.nodes[rollout.leaf].answer: tree.steps(rollout.leaf)[0].text for rollout in tree.rollouts}
    assert found == {"4": ADD, "6": TIMES}


async def test_a_finished_answer_that_falls_out_of_the_beam_is_not_lost() -> None:
    def long_sums(written: str) -> list[str]:
        if "2 * 3" in written or "<output>" in written or written.count("<end_of_step>") > 3:
            return tell(written)
        return ["x = x + 0\n<end_of_step>"] if "<end_of_step>" in written else [ADD, TIMES]

    plan = SearchConfig(kind="beam", rollouts=2, candidates=16, annotation="ppm")
    tree = await grow_one(plan, doors(long_sums, scorer=LIKES_SUMS))
    assert sorted(tree.nodes[rollout.leaf].answer or "" for rollout in tree.rollouts) == ["4", "6"]


async def test_a_finished_answer_keeps_its_place_in_the_beam() -> None:
    """TIMES is finished after three steps and scores best; the sum goes on, two ways at each step, for one place."""

    def forked(written: str) -> list[str]:
        if "2 * 3" in written or "<output>" in written:
            return tell(written)
        if written.count("<end_of_step>") > 4:
            return [PRINT]
        forks = ["x = x + 0\n<end_of_step>", "x = x * 1\n<end_of_step>"]
        return forks if "<end_of_step>" in written else [ADD, TIMES]

    likes_products = ScriptedScorer(lambda written: 0.5 if "2 * 3" in written else -0.5)
    plan = SearchConfig(kind="beam", rollouts=2, candidates=16, annotation="ppm")
    tree = await grow_one(plan, doors(forked, scorer=likes_products))
    assert (
        tree.cost.expansions == 1 + (1 + 1) + 2 + 3 + 1
    )  # root; both; both; the sum alone: three forks, print and answer


def two_wordings(written: str) -> list[str]:
    """Two answers, whatever was printed."""
    if "<output>" in written:
        return ["<answer>\\boxed{4}<end_of_answer>", "<answer>\\boxed{5}<end_of_answer>"]
    return tell(written)


async def test_two_finished_answers_of_one_expansion_both_survive() -> None:
    plan = SearchConfig(kind="beam", rollouts=1, candidates=8, answer_candidates=16, annotation="ppm")
    tree = await grow_one(plan, doors(two_wordings, scorer=LIKES_SUMS))
    assert sorted(tree.nodes[rollout.leaf].answer or "" for rollout in tree.rollouts) == ["4", "5"]


async def test_two_finished_answers_of_one_expansion_both_stand_in_the_tree_and_are_visited() -> None:
    """It was tested for beams alone; the released code keeps the first of them."""
    plan = SearchConfig(rollouts=16, candidates=16, answer_candidates=16)
    tree = await grow_one(plan, doors(two_wordings))
    ends = [index for index, node in enumerate(tree.nodes) if node.step.output is not None]
    assert len(ends) == 2  # the sum's and the product's
    reached = {rollout.leaf: rollout.value for rollout in tree.rollouts}
    for end in ends:
        answers = {tree.nodes[child].answer: child for child in tree.children(end)}
        assert sorted(answers, key=str) == ["4", "5"]
        assert [tree.nodes[answers[answer]].verdict for answer in ("4", "5")] == [Verdict.CORRECT, Verdict.WRONG]
        assert [reached[answers[answer]] for answer in ("4", "5")] == [1.0, -1.0]
    found = [choice.answer for choice in solutions(tree, drawn=False)]
    assert sorted(found) == ["4", "4", "5", "5"]  # the trajectories that a choice or a harvest sees


async def test_a_beam_where_nothing_runs_ends() -> None:
    plan = SearchConfig(kind="beam", rollouts=2, candidates=4, annotation="ppm")
    tree = await grow_one(plan, doors(lambda _: [CRASH], scorer=LIKES_SUMS))
    assert [(rollout.leaf, rollout.end) for rollout in tree.rollouts] == [(0, End.DEAD_END)]


@pytest.mark.parametrize("kind", ["sample", "beam"])
def test_only_mcts_escalates_and_descends_side_by_side(kind) -> None:
    for knobs in ({"escalate_to": (32,)}, {"descents": 2}):
        with pytest.raises(ValueError, match=f"kind={kind} goes without"):
            SearchConfig(kind=kind, annotation="ppm", **knobs)


def test_a_beam_without_a_ppm_is_refused() -> None:
    with pytest.raises(ValueError, match="kind=beam needs annotation=ppm"):
        SearchConfig(kind="beam")


async def test_a_root_where_nothing_ran_is_asked_again_by_each_of_several_descents() -> None:
    asked = 0

    def fails_once(written: str) -> list[str]:
        nonlocal asked
        asked += 1
        return [CRASH] if asked == 1 else tell(written)

    slow = replace(doors(), policy=SlowPolicy(fails_once))
    tree = await grow_one(SearchConfig(rollouts=8, candidates=8, descents=8), slow)
    assert [rollout.end for rollout in tree.rollouts].count(End.DEAD_END) < 8
    assert any(rollout.end is End.ANSWER for rollout in tree.rollouts)


class SlowPolicy(ScriptedPolicy):
    """Notes how many requests of one tree are under way at once."""

    most = under_way = 0

    async def propose(self, transcript, count, sampling):
        SlowPolicy.under_way += 1
        SlowPolicy.most = max(SlowPolicy.most, SlowPolicy.under_way)
        await asyncio.sleep(0.001)
        SlowPolicy.under_way -= 1
        return await super().propose(transcript, count, sampling)


def many_steps(written: str) -> list[str]:
    """Eight first steps, each printing its own number."""
    if "<output>" in written:
        return tell(written)
    return ["print(x)\n<end_of_code>"] if "x =" in written else [f"<code>\nx = {n}\n<end_of_step>" for n in range(8)]


async def test_an_engine_lost_to_one_of_several_descents_is_said_as_it_is() -> None:
    """It arrived in an exception group, so nobody took it for a death and the stage ended."""

    class Dying(ScriptedPolicy):
        async def propose(self, transcript, count, sampling):
            await asyncio.sleep(0.001)
            raise EngineLost("an engine died")

    with pytest.raises(EngineLost):
        await grow_one(SearchConfig(rollouts=8, candidates=8, descents=4), replace(doors(), policy=Dying(tell)))
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def grow_side_by_side(descents: int, rollouts: int = 24):
    SlowPolicy.most = 0
    slow = replace(doors(many_steps), policy=SlowPolicy(many_steps))
    return await grow_one(SearchConfig(rollouts=rollouts, candidates=64, descents=descents), slow)


async def test_descents_at_the_same_time_spread_out_and_lose_no_rollout() -> None:
    tree = await grow_side_by_side(4)
    assert SlowPolicy.most == 4
    assert len(tree.rollouts) == 24
    assert tree.nodes[0].visits == 24
    assert tree.cost.expansions == 1 + 8 + 8  # nothing twice, though four descents met at the root
    at_once = await grow_side_by_side(8, rollouts=8)
    assert len({at_once.path(rollout.leaf)[0] for rollout in at_once.rollouts}) == 8  # by chance: one time in 400


async def test_one_descent_at_a_time_asks_one_thing_at_a_time() -> None:
    tree = await grow_side_by_side(1)
    assert SlowPolicy.most == 1
    assert len(tree.rollouts) == 24


async def test_virtual_losses_are_gone_once_all_rollouts_ended() -> None:
    one_by_one, at_once = await grow_side_by_side(1), await grow_side_by_side(4)
    for tree in (one_by_one, at_once):
        for index, node in enumerate(tree.nodes):
            through = [r for r in tree.rollouts if index == 0 or index in tree.path(r.leaf)]
            assert (node.visits, node.value) == (len(through), sum(rollout.value for rollout in through))

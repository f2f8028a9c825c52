"""Which problem goes where when workers die."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as drawn

from rstar_math.cluster.dispatch import Dispatch
from rstar_math.records import Problem


def problems(count: int) -> list[Problem]:
    return [Problem(f"p{number}", "", "") for number in range(count)]


def names(found: list[Problem]) -> list[str]:
    return [problem.id for problem in found]


def test_a_worker_gets_as_many_as_it_has_room_for() -> None:
    dispatch = Dispatch(iter(problems(5)), slots=2, room=2, deaths_per_problem=3)
    assert [names(dispatch.due(slot)) for slot in (0, 1)] == [["p0", "p1"], ["p2", "p3"]]
    assert dispatch.due(0) == []
    dispatch.finished(0, problems(1)[0])
    assert names(dispatch.due(0)) == ["p4"]


def test_what_a_dead_worker_was_growing_is_tried_again_apart_and_ever_fewer_at_once() -> None:
    dispatch = Dispatch(iter(problems(40)), slots=2, room=16, deaths_per_problem=3)
    assert [len(dispatch.due(slot)) for slot in (0, 1)] == [16, 16]
    assert dispatch.died(0) is None
    again = dispatch.due(0)
    assert names(again) == ["p0", "p1", "p2", "p3"]  # 16, 4, 1: by the same factor each time
    dispatch.finished(1, problems(17)[16])
    assert names(dispatch.due(1)) == ["p32"]  # the other worker goes on with what nobody suspects
    assert dispatch.died(0) is None
    assert names(dispatch.due(0)) == ["p4", "p5", "p6", "p7"]  # those that were there once come first


def test_a_problem_that_comes_back_for_no_fault_of_its_own_goes_first_and_is_no_suspect() -> None:
    dispatch = Dispatch(iter(problems(3)), slots=1, room=1, deaths_per_problem=3)
    (first,) = dispatch.due(0)
    dispatch.again(0, first)
    assert names(dispatch.due(0)) == ["p0"]
    assert dispatch.deaths.total() == 0


def test_a_suspect_that_comes_back_for_an_engines_death_stays_apart_from_what_nobody_suspects() -> None:
    """It went to a worker full of others, all of which came under suspicion when it killed that one as well."""
    dispatch = Dispatch(iter(problems(9)), slots=2, room=4, deaths_per_problem=3)
    assert [names(dispatch.due(slot)) for slot in (0, 1)] == [["p0", "p1", "p2", "p3"], ["p4", "p5", "p6", "p7"]]
    assert dispatch.died(0) is None
    assert names(dispatch.due(0)) == ["p0", "p1"]
    dispatch.again(0, problems(1)[0])
    dispatch.finished(1, problems(5)[4])
    assert names(dispatch.due(1)) == ["p8"]
    assert names(dispatch.due(0)) == ["p2"]


def test_room_that_shrinks_is_respected_once_what_runs_has_ended() -> None:
    dispatch = Dispatch(iter(problems(9)), slots=1, room=4, deaths_per_problem=3)
    running = dispatch.due(0)
    dispatch.room = 2
    for number, problem in enumerate(running):
        dispatch.finished(0, problem)
        assert len(dispatch.due(0)) == (0 if number < 2 else 1)


def test_the_one_that_kills_its_worker_alone_is_found_out() -> None:
    dispatch = Dispatch(iter(problems(1)), slots=1, room=16, deaths_per_problem=3)
    found = []
    for _ in range(3):
        assert names(dispatch.due(0)) == ["p0"]
        found.append(dispatch.died(0))
    assert found == [None, None, problems(1)[0]]
    assert dispatch.due(0) == []


def test_a_worker_whose_suspects_are_all_grown_takes_others_again() -> None:
    dispatch = Dispatch(iter(problems(3)), slots=1, room=2, deaths_per_problem=3)
    dispatch.due(0)
    dispatch.died(0)
    for name in ("p0", "p1"):
        (problem,) = dispatch.due(0)
        assert problem.id == name
        dispatch.finished(0, problem)
    assert names(dispatch.due(0)) == ["p2"]


@settings(deadline=None)
@given(
    drawn.integers(1, 60),
    drawn.sets(drawn.integers(0, 59)),
    drawn.integers(1, 3),
    drawn.integers(1, 20),
    drawn.integers(1, 4),
)
def test_exactly_the_poisoned_ones_are_set_aside_and_all_others_grown_once(
    count, poisonous, slots, room, deaths
) -> None:
    bad = {f"p{number}" for number in poisonous if number < count}
    dispatch = Dispatch(iter(problems(count)), slots, room, deaths)
    running: list[list[Problem]] = [[] for _ in range(slots)]
    grown: Counter[str] = Counter()
    aside: list[str] = []
    while True:
        for slot in range(slots):
            running[slot] += dispatch.due(slot)
        busy = [slot for slot in range(slots) if running[slot]]
        if not busy:
            break
        for slot in busy:
            if any(problem.id in bad for problem in running[slot]):
                running[slot] = []
                if culprit := dispatch.died(slot):
                    aside.append(culprit.id)
            else:
                problem = running[slot].pop(0)
                grown[problem.id] += 1
                dispatch.finished(slot, problem)
    assert sorted(aside) == sorted(bad)
    assert grown == Counter({problem.id: 1 for problem in problems(count) if problem.id not in bad})


def test_where_the_dead_workers_place_stays_empty_an_idle_worker_takes_its_problems() -> None:
    dispatch = Dispatch(iter(problems(4)), slots=2, room=2, deaths_per_problem=3)
    assert [names(dispatch.due(slot)) for slot in (0, 1)] == [["p0", "p1"], ["p2", "p3"]]
    assert dispatch.died(0) is None
    dispatch.ready = [1]
    assert dispatch.due(1) == []  # not beside what nobody suspects
    assert dispatch.left
    for problem in problems(4)[2:]:
        dispatch.finished(1, problem)
    assert names(dispatch.due(1)) == ["p0"]
    dispatch.finished(1, problems(1)[0])
    assert names(dispatch.due(1)) == ["p1"]
    assert not dispatch.left


def test_whether_problems_are_left_can_be_asked_without_losing_one() -> None:
    dispatch = Dispatch(iter(problems(3)), slots=1, room=1, deaths_per_problem=3)
    found = []
    while dispatch.left:
        (problem,) = dispatch.due(0)
        dispatch.finished(0, problem)
        found.append(problem.id)
    assert found == ["p0", "p1", "p2"]


@settings(deadline=None)
@given(
    drawn.data(), drawn.integers(1, 40), drawn.sets(drawn.integers(0, 39)), drawn.integers(1, 4), drawn.integers(1, 20)
)
def test_whoever_dies_returns_or_starts_anew_each_problem_is_grown_once_or_set_aside(
    data, count, poisonous, slots, room
) -> None:
    """The same where workers and engines die of other causes, workers take their time to start again, and problems come back
    from workers that reach no engine, in any order."""
    bad = {f"p{number}" for number in poisonous if number < count}
    dispatch = Dispatch(iter(problems(count)), slots, room, deaths_per_problem=3)
    running: list[list[Problem]] = [[] for _ in range(slots)]
    absent: dict[int, int] = {}
    grown: Counter[str] = Counter()
    aside: Counter[str] = Counter()
    troubles = data.draw(drawn.lists(drawn.sampled_from(["grown", "returned", "died", "engine died"]), max_size=60))
    while dispatch.left or any(running):
        absent = {slot: turns - 1 for slot, turns in absent.items() if turns}
        dispatch.ready = [slot for slot in range(slots) if slot not in absent]
        for slot in dispatch.ready:
            running[slot] += dispatch.due(slot)
        assert any(running) or absent, "everybody is there, problems are left, and nobody has any"
        for slot in [slot for slot in dispatch.ready if running[slot]]:
            ending = troubles.pop() if troubles else "grown"
            if ending == "died" or any(problem.id in bad for problem in running[slot]):
                running[slot], absent[slot] = [], len(troubles) % 3
                if culprit := dispatch.died(slot):
                    aside[culprit.id] += 1
                continue
            problem = running[slot].pop(0)
            if ending == "returned":
                dispatch.again(slot, problem)
            elif ending == "engine died":
                aside[problem.id] += dispatch.engine_died(slot, problem)
            else:
                grown[problem.id] += 1
                dispatch.finished(slot, problem)
    assert grown + aside == Counter({problem.id: 1 for problem in problems(count)})
    assert bad <= set(+aside)


@settings(deadline=None)
@given(
    drawn.data(), drawn.integers(1, 40), drawn.sets(drawn.integers(0, 39)), drawn.integers(1, 3), drawn.integers(1, 20)
)
def test_exactly_those_that_kill_engines_are_set_aside_whatever_runs_beside_them(
    data, count, poisonous, slots, room
) -> None:
    """An engine's death ends what all workers asked it: none of these counted, and the one to blame was never found out."""
    bad = {f"p{number}" for number in poisonous if number < count}
    limit = data.draw(drawn.integers(1, 3))
    dispatch = Dispatch(iter(problems(count)), slots, room, limit)
    running: list[list[Problem]] = [[] for _ in range(slots)]
    grown: Counter[str] = Counter()
    aside: Counter[str] = Counter()
    while True:
        for slot in range(slots):
            running[slot] += dispatch.due(slot)
        under_way = [(slot, problem) for slot in range(slots) for problem in running[slot]]
        if not under_way:
            break
        if any(problem.id in bad for _, problem in under_way):
            running = [[] for _ in range(slots)]
            found = [problem.id for slot, problem in under_way if dispatch.engine_died(slot, problem)]
            aside.update(found)
            assert not found or len(under_way) == 1
        else:
            slot, problem = data.draw(drawn.sampled_from(under_way))
            running[slot].remove(problem)
            grown[problem.id] += 1
            dispatch.finished(slot, problem)
    assert not dispatch.left
    assert aside == Counter(dict.fromkeys(bad, 1))
    assert grown == Counter({problem.id: 1 for problem in problems(count) if problem.id not in bad})
    assert all(dispatch.deaths[name] >= limit for name in aside)


def test_the_last_try_of_what_killed_engines_comes_when_all_else_is_done() -> None:
    """Alone with its worker it was not alone with the engine, which other workers asked as well."""
    dispatch = Dispatch(iter(problems(4)), slots=2, room=1, deaths_per_problem=2)
    running = [(slot, problem) for slot in (0, 1) for problem in dispatch.due(slot)]
    assert [dispatch.engine_died(slot, problem) for slot, problem in running] == [False, False]
    rest = [dispatch.due(slot) for slot in (0, 1)]
    assert [names(found) for found in rest] == [["p2"], ["p3"]]
    dispatch.finished(0, rest[0][0])
    assert dispatch.due(0) == []
    dispatch.finished(1, rest[1][0])
    (first,) = dispatch.due(0)
    assert dispatch.due(1) == []
    assert dispatch.engine_died(0, first)
    assert names(dispatch.due(1)) == ["p1"]

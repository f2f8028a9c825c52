"""How many trees at once: more while a batch has places left, fewer while sequences wait."""

from rstar_math.cluster.flow import LEAST, MOST, Flow


def test_room_grows_while_the_batch_has_places_and_the_room_is_used() -> None:
    flow = Flow(room=32)
    assert flow.hear(filled=0.5, running=32) == 41
    assert flow.hear(filled=0.5, running=20) == 41  # problems are running out: more room would change nothing
    assert flow.hear(filled=1.1, running=41) == 41  # full, and few wait


def test_room_shrinks_while_sequences_wait() -> None:
    flow = Flow(room=100)
    assert flow.hear(filled=2.0, running=100) == 80


def test_room_settles_where_the_batch_is_full() -> None:
    flow, fills = Flow(), []
    for _ in range(60):
        fills.append(flow.room * 6 / 1024)  # each tree keeps six sequences under way
        flow.hear(filled=fills[-1], running=flow.room)
    assert all(0.9 <= fill <= 1.3 for fill in fills[-20:])


def test_room_stays_within_its_bounds_and_a_fixed_one_where_it_is() -> None:
    flow = Flow()
    for _ in range(50):
        flow.hear(filled=0.0, running=flow.room)
    assert flow.room == MOST
    for _ in range(50):
        flow.hear(filled=9.0, running=flow.room)
    assert flow.room == LEAST
    assert Flow(7, measured=False).pause is None
    assert not Flow(7, measured=False).is_due()

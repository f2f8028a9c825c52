"""In what order problems are grown, and when finished trees are written."""

import asyncio
import gc
import shutil
from collections import deque
from itertools import islice
from types import SimpleNamespace

import pytest
from planting import PROBLEM, plant

from rstar_math.cluster.dispatch import Poisoned
from rstar_math.cluster.growth import _Parts, _set_aside, grow_into, poisoned
from rstar_math.errors import StageError
from rstar_math.lines import line_of
from rstar_math.problems.sets import read_set, write_set
from rstar_math.records import Problem
from rstar_math.search.storage import read_trees

TREE = plant("a answer=4 correct")
ORDER = SimpleNamespace(models=None, plan=None, seed=1, graded=True)


def test_a_part_is_written_once_it_is_full(tmp_path) -> None:
    parts = _Parts(tmp_path, trees_per_part=2, part_seconds=3600)
    parts.add([TREE])
    assert list(read_trees(tmp_path)) == []
    parts.add([TREE])
    assert len(list(read_trees(tmp_path))) == 2


def test_a_part_that_fills_too_slowly_is_written_all_the_same(tmp_path) -> None:
    parts = _Parts(tmp_path, trees_per_part=1000, part_seconds=1e-9)
    parts.add([TREE])
    assert len(list(read_trees(tmp_path))) == 1


def test_a_tree_that_no_other_follows_is_written_in_time_in_every_set(tmp_path) -> None:
    """Time was looked at only when another tree of the same set came, so a kill could lose hours."""
    fleet = Grower(part_seconds=0.05)
    first, second = [PROBLEM._replace(id="p0", level="9")], [PROBLEM._replace(id="p1"), PROBLEM._replace(id="p2")]
    sets = {tmp_path / "train": first, tmp_path / "validation": second}
    found: list[list[int]] = []

    async def the_last_takes_long() -> None:
        while len(fleet.asked) < 3:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        found.append([len(list(read_trees(folder))) for folder in sets])
        fleet.may_end.set()

    async def both() -> None:
        await asyncio.gather(grow_into(sets, fleet, ORDER, lambda *_: None), the_last_takes_long())

    fleet.may_end.clear()
    asyncio.run(both())
    assert found == [[1, 1]]
    assert [len(list(read_trees(folder))) for folder in sets] == [1, 2]


def test_what_fails_while_a_tree_grows_comes_out_and_what_was_grown_is_written(tmp_path) -> None:
    problems = [PROBLEM._replace(id=f"p{index}") for index in range(3)]

    def fail_at_the_second(trees, *_):
        if trees[0].problem.id == "p1":
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        asyncio.run(grow_into({tmp_path / "trees": problems}, Grower(), ORDER, fail_at_the_second))
    assert [tree.problem.id for tree in read_trees(tmp_path / "trees")] == ["p0", "p1"]


def test_a_line_that_a_kill_cut_short_does_not_keep_the_next_start_from_going_on(tmp_path) -> None:
    """Each start ended with a JSONDecodeError."""
    whole = line_of({"id": "p0", "deaths": 3, "cause": "x"})
    (tmp_path / "poisoned.jsonl").write_text(whole + '{"id": "p1", "dea')
    assert [row["id"] for row in poisoned(tmp_path)] == ["p0"]
    _set_aside(tmp_path, Poisoned(PROBLEM._replace(id="p1"), 3, "y"))
    assert [row["id"] for row in poisoned(tmp_path)] == ["p0", "p1"]


def test_a_damaged_line_is_named_with_the_way_out(tmp_path) -> None:
    (tmp_path / "poisoned.jsonl").write_text(line_of({"id": "p0"}) + '{"id": \n' + line_of({"id": "p2"}))
    with pytest.raises(StageError, match=r"line 2 of .*poisoned\.jsonl is damaged .*delete that line"):
        poisoned(tmp_path)


def test_no_flipped_bit_turns_a_kept_line_into_another(tmp_path) -> None:
    """Nothing told it: "p3" was read where "p1" had been written, and p1 was tried again."""
    file, rows = tmp_path / "poisoned.jsonl", [{"id": f"p{n}", "deaths": 3, "cause": "é"} for n in range(2)]
    written = "".join(map(line_of, rows)).encode()
    for place in range(8 * len(written)):
        content = bytearray(written)
        content[place // 8] ^= 1 << place % 8
        file.write_bytes(content)
        try:
            read = poisoned(tmp_path)
        except StageError:
            continue
        assert read == rows[: len(read)]  # at most the last line is done anew, as if it had been torn


def test_a_new_part_never_takes_the_name_of_one_that_is_there(tmp_path) -> None:
    (tmp_path / "part-00007.parquet").write_bytes(b"")
    parts = _Parts(tmp_path, trees_per_part=1, part_seconds=3600)
    for number in (8, 9):
        parts.add([TREE])
        assert list(tmp_path.glob(f"part-{number:05d}-*.parquet"))


@pytest.mark.parametrize("named", ["part-00001", "part-00007"])
def test_a_part_that_was_copied_is_refused_and_no_tree_counts_twice(tmp_path, named) -> None:
    """Its checksum is that of its bytes, so trees stood twice in the harvest; next to its like it even looked like one."""
    problems = [PROBLEM._replace(id="p0"), PROBLEM._replace(id="p1")]
    asyncio.run(grow_into({tmp_path: problems[:1]}, Grower(), ORDER, lambda *_: None))
    (part,) = tmp_path.glob("part-*")
    copy = part.with_name(part.name.replace("part-00000", named))
    shutil.copy(part, copy)
    with pytest.raises(
        StageError, match=rf"{copy.name} does not belong there.*'p0'.*in {part.name} already.*Delete it"
    ):
        asyncio.run(grow_into({tmp_path: problems}, Grower(), ORDER, lambda *_: None))
    copy.unlink()
    asyncio.run(grow_into({tmp_path: problems}, Grower(), ORDER, lambda *_: None))
    assert [tree.problem.id for tree in read_trees(tmp_path)] == ["p0", "p1"]


def test_a_part_of_another_set_is_refused(tmp_path) -> None:
    fleet = Grower()
    asyncio.run(grow_into({tmp_path: [PROBLEM._replace(id="p5")]}, Grower(), ORDER, lambda *_: None))
    with pytest.raises(StageError, match=r"part-00000-.* does not belong there.*'p5', which is none of this set's"):
        asyncio.run(grow_into({tmp_path: [PROBLEM._replace(id="p0")]}, fleet, ORDER, lambda *_: None))
    assert not fleet.asked


class Grower:
    """Stands where the fleet does, and grows a tree of one answer for each problem."""

    def __init__(self, part_seconds: float = 3600.0, trees_per_part: int = 100) -> None:
        cluster = SimpleNamespace(trees_per_part=trees_per_part, part_seconds=part_seconds)
        self.config = SimpleNamespace(cluster=cluster)
        self.asked: list[str] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def grow(self, problems, models, plan, *, seed, graded):
        under_way = deque(islice(problems := iter(problems), 8))
        while under_way:
            problem = under_way.popleft()
            self.asked.append(problem.id)
            if not under_way:
                await self.may_end.wait()
            yield [plant("a answer=4 correct", problem)]
            under_way.extend(islice(problems, 1))


@pytest.mark.parametrize(
    ("levels", "order"),
    [(["1", "6", "3", "6"], ["p1", "p3", "p2", "p0"]), (["3", "", "hard", "²", "4"], ["p4", "p0", "p1", "p2", "p3"])],
)
def test_the_hardest_problems_begin_first_and_equally_hard_ones_keep_their_order(tmp_path, levels, order) -> None:
    problems = [PROBLEM._replace(id=f"p{index}", level=level) for index, level in enumerate(levels)]
    fleet, heard = Grower(), []
    grow = grow_into({tmp_path / "trees": problems}, fleet, ORDER,
                     lambda trees, before, _: heard.append((trees[0].problem.id, before)))  # fmt: skip
    asyncio.run(grow)
    assert fleet.asked == order
    assert heard == [(name, False) for name in order]


def test_whoever_watches_is_told_what_a_kill_would_still_cost(tmp_path) -> None:
    """A problem counted as done up to a minute before its trees were on disk."""
    fleet, told = Grower(trees_per_part=3), []

    def hear(trees, before, unwritten):
        told.append((len(list(read_trees(tmp_path / "trees"))), before, unwritten))

    for count in (4, 5):
        problems = [PROBLEM._replace(id=f"p{number}") for number in range(count)]
        asyncio.run(grow_into({tmp_path / "trees": problems}, fleet, ORDER, hear))
    first = [(0, False, 1), (0, False, 2), (3, False, 0), (3, False, 1)]
    assert told == [*first, *[(4, True, 0)] * 4, (4, False, 1)]


def test_of_two_sets_the_hardest_begin_first_whichever_they_stand_in(tmp_path) -> None:
    levels = {"train": ["1", "6", "3"], "validation": ["6", "3", ""]}
    sets = {
        tmp_path / name: [PROBLEM._replace(id=f"{name}-{n}", level=level) for n, level in enumerate(chosen)]
        for name, chosen in levels.items()
    }
    fleet = Grower()
    asyncio.run(grow_into(sets, fleet, ORDER, lambda *_: None))
    assert fleet.asked == ["train-1", "validation-0", "train-2", "validation-1", "train-0", "validation-2"]
    assert {folder: len(list(read_trees(folder))) for folder in sets} == dict.fromkeys(sets, 3)


def test_the_driver_holds_no_more_problems_than_are_under_way_or_wait_to_be_written(tmp_path) -> None:
    """It held all problems of a stage from its start to its end."""
    sets = {}
    for name, count in (("train", 5_000), ("validation", 300)):
        write_set(
            tmp_path / f"{name}.jsonl", (PROBLEM._replace(id=f"{name}-{n}", level=str(n % 6)) for n in range(count))
        )
        sets[tmp_path / name] = read_set(tmp_path / f"{name}.jsonl")
    alive: list[int] = []

    def count(*_: object) -> None:
        if len(fleet.asked) % 500 == 1:
            gc.collect()
            alive.append(sum(type(each) is Problem for each in gc.get_objects()))

    fleet = Grower()
    asyncio.run(grow_into(sets, fleet, ORDER, count))
    assert len(set(fleet.asked)) == 5_300
    assert len(alive) == 11
    assert max(alive) < 1_000  # 8 under way, up to 100 trees of each set that wait to be written, other tests' own


def test_a_stored_set_reads_as_the_list_that_it_was_written_from(tmp_path) -> None:
    problems = [PROBLEM._replace(id=f"p{n}", question="é\u2028" * n) for n in range(5)]
    write_set(tmp_path / "set.jsonl", problems)
    stored = read_set(tmp_path / "set.jsonl")
    assert len(stored) == 5
    assert list(stored) == problems
    assert [stored[place] for place in (3, 0, -1)] == [problems[place] for place in (3, 0, -1)]
    assert stored[1:3] == problems[1:3]
    with pytest.raises(IndexError):
        stored[5]

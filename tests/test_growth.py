"""In what order problems are grown, and when finished trees are written."""

import asyncio
from types import SimpleNamespace

import pytest
from planting import PROBLEM, plant

from rstar_math.cluster.growth import _Parts, grow_into
from rstar_math.search.storage import read_trees

TREE = plant("a answer=4 correct")


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


def test_a_new_part_never_takes_the_name_of_one_that_is_there(tmp_path) -> None:
    (tmp_path / "part-00007.parquet").write_bytes(b"")
    parts = _Parts(tmp_path, trees_per_part=1, part_seconds=3600)
    parts.add([TREE])
    assert (tmp_path / "part-00008.parquet").is_file()


class Grower:
    """Stands where the fleet does, and grows a tree of one answer for each problem."""

    def __init__(self) -> None:
        self.config = SimpleNamespace(cluster=SimpleNamespace(trees_per_part=100, part_seconds=3600.0))
        self.asked: list[str] = []

    async def grow(self, problems, models, plan, *, seed, graded):
        for problem in problems:
            self.asked.append(problem.id)
            yield [plant("a answer=4 correct", problem)]


@pytest.mark.parametrize(
    ("levels", "order"),
    [(["1", "6", "3", "6"], ["p1", "p3", "p2", "p0"]), (["3", "", "hard", "²", "4"], ["p4", "p0", "p1", "p2", "p3"])],
)
def test_the_hardest_problems_begin_first_and_equally_hard_ones_keep_their_order(tmp_path, levels, order) -> None:
    problems = [PROBLEM._replace(id=f"p{index}", level=level) for index, level in enumerate(levels)]
    fleet, heard = Grower(), []
    grow = grow_into({tmp_path / "trees": problems}, fleet, SimpleNamespace(models=None, plan=None, seed=1, graded=True),
                     lambda trees, before: heard.append((trees[0].problem.id, before)))  # fmt: skip
    asyncio.run(grow)
    assert fleet.asked == order
    assert heard == [(name, False) for name in order]

"""When finished trees are written."""

from planting import plant

from rstar_math.cluster.growth import _Parts
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

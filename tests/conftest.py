"""How do all tests run beside each other?"""

import os

import pytest

# Torch's idle threads sleep. Two tests at a time on two cores would else wait for each other's, spinning: the training of a
# tiny model took five times as much of the processors.
os.environ |= {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0"}

#: The files that take longest are first: begun last, one would run on while the other core has nothing left to do.
LONGEST = (
    "test_pipeline",
    "test_training",
    "test_cluster",
    "test_mirror",
    "test_nodes",
    "test_chaos",
    "test_endpoint",
    "test_run",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))

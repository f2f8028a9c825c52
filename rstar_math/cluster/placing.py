"""Does everything that is asked for find its place on the nodes, all at once?

An actor lies on one node: so many GPUs are whole ones of that node, and part of a GPU is part of a single one. Who asks, and
what follows where there is no place, is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

#: Ray counts resources in ten-thousandths; sums of fractions would not come out even.
_UNIT = 10_000


class Wanted(NamedTuple):
    """So many actors of one kind, what each takes of its node, and the knobs that say so."""

    what: str
    number: int
    cpus: float
    gpus: float
    knobs: tuple[str, ...] = ()


def left_over(wanted: Sequence[Wanted], nodes: Sequence[Mapping[str, float]]) -> list[tuple[Wanted, int]]:
    """How many of which kinds find no place beside the rest on empty `nodes` (a node's resources as Ray states them); empty
    where all do.

    Kind by kind, each actor on the first node that holds it; of all orders of the kinds the one that leaves fewest. Where one
    of each kind is wanted that is exact: if there is a way, the order that goes through it node by node finds it. Of several
    kinds that share GPUs it may miss a mixture, as Ray does, which starts kind after kind.
    """
    ways = (_filled(order, nodes) for order in permutations(wanted))
    return min(ways, key=lambda left: sum(count for _, count in left))


def _filled(order: Iterable[Wanted], nodes: Sequence[Mapping[str, float]]) -> list[tuple[Wanted, int]]:
    free = [_Free(resources) for resources in nodes]
    left = []
    for kind in order:
        missing = kind.number
        for node in free:
            while missing and node.take(kind):
                missing -= 1
        if missing:
            left.append((kind, missing))
    return left


class _Free:
    """What of a node nobody has taken yet."""

    def __init__(self, resources: Mapping[str, float]) -> None:
        self._cpus = round(resources.get("CPU", 0.0) * _UNIT)
        self._gpus = [_UNIT] * int(resources.get("GPU", 0.0))

    def take(self, wanted: Wanted) -> bool:
        """Whether one of that kind found its place here."""
        cpus, gpus = round(wanted.cpus * _UNIT), round(wanted.gpus * _UNIT)
        each, count = (gpus, int(gpus > 0)) if gpus < _UNIT else (_UNIT, gpus // _UNIT)
        chosen = [index for index, left in enumerate(self._gpus) if left >= each][:count]
        if cpus > self._cpus or len(chosen) < count:
            return False
        self._cpus -= cpus
        for index in chosen:
            self._gpus[index] -= each
        return True

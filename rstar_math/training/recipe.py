"""What does a kind of training consist of?

The four things in which policy and PPM training differ, and the order in which rows are drawn, which they share. It
starts nothing and knows neither losses nor clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import torch
from torch.utils.data import Dataset, Sampler
from transformers import Trainer

from rstar_math import rng
from rstar_math.training import rows

#: Sequences are padded to a multiple of this many tokens, so that kernels see few different lengths.
PAD_MULTIPLE = 8


class Recipe(NamedTuple):
    """One kind of training: files -> rows, folder -> model, rows -> batch, batch -> loss."""

    encode: Callable[[Sequence[Path], Any, int], Iterator[rows.Encoded]]
    schema: pa.Schema
    open_model: Callable[[Path, torch.dtype, Any], Any]
    collate: Callable[[int], Callable[[list[rows.Row]], dict[str, torch.Tensor]]]
    trainer: type[RowTrainer]


class RowData(Dataset[rows.Row]):
    """The rows of an Arrow file as torch wants them: by index. The same rows stand at the same index, in whatever order they
    were written."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table.drop_columns("key")
        self._place: list[int] = table["key"].to_numpy().argsort().tolist()
        lengths = table["length"].to_pylist()
        self.lengths: list[int] = [lengths[place] for place in self._place]

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> rows.Row:
        return {name: self._table[name][self._place[index]].as_py() for name in self._table.column_names}

    def let_go(self) -> None:
        """Gives the file back, for good: on NFS a folder cannot be deleted while a process maps a file in it."""
        del self._table


class StepOrder(Sampler[int]):
    """The order of one epoch: at random, and within each optimiser step by length, so that micro-batches pad little.

    Which rows share a step is left to chance alone. Rows of like length are problems of like difficulty: steps drawn from
    such rows taught the embedded model less (after two epochs 53% of new problems, against 57%). The order depends on seed
    and epoch, so a resumed training goes on where it stopped.
    """

    def __init__(self, lengths: Sequence[int], step_rows: int, seed: int) -> None:
        self._lengths, self._step_rows, self._seed = lengths, step_rows, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Take the order of this epoch (from 0)."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        order = list(range(len(self._lengths)))
        rng.stream(self._seed, "row order", self._epoch).shuffle(order)
        for start in range(0, len(order), self._step_rows):
            yield from sorted(order[start : start + self._step_rows], key=self._lengths.__getitem__, reverse=True)


class RowTrainer(Trainer):  # type: ignore[misc]
    """transformers' Trainer on rows drawn in the order above."""

    def __init__(self, order: StepOrder, **options: Any) -> None:
        super().__init__(**options)
        self._order = order

    def _get_train_sampler(self, *_: Any) -> StepOrder:
        return self._order


def pad(sequences: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
    """Sequences of token ids as one (sequences, tokens) tensor, filled up on the right."""
    width = -(-max(map(len, sequences)) // PAD_MULTIPLE) * PAD_MULTIPLE
    return torch.tensor([[*sequence, *[filler] * (width - len(sequence))] for sequence in sequences])

"""What does a policy learn from an example?

To write what the policy wrote in it, token by token: cross-entropy on its own bytes and on the end of text, none on the
prompt, on the interpreter's output or on what the renderer writes between steps (paper §3.4). The mean is over all such
tokens of an optimiser step, whatever micro-batch or rank they fall in. It starts nothing and saves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rstar_math import checkpoints
from rstar_math.training import rows
from rstar_math.training.recipe import Recipe, RowTrainer, pad


def collate(pad_token: int) -> Callable[[list[rows.Row]], dict[str, torch.Tensor]]:
    """Policy rows -> (rows, tokens) tensors `input_ids` and `labels`.

    There is no attention mask: padding stands on the right, where a causal model cannot look, and carries no loss.
    """

    def batch(members: list[rows.Row]) -> dict[str, torch.Tensor]:
        return {
            "input_ids": pad([row["ids"] for row in members], pad_token),
            "labels": pad([row["labels"] for row in members], rows.NO_LOSS),
        }

    return batch


def open_model(folder: Path, dtype: torch.dtype, tokenizer: Any) -> Any:  # noqa: ARG001 - the signature of a recipe
    """The causal language model that is fine-tuned."""
    return checkpoints.open_policy(folder, dtype)


class PolicyTrainer(RowTrainer):
    """The Trainer's own loss: the model's cross-entropy on the labels."""


RECIPE = Recipe(rows.policy_rows, rows.POLICY_SCHEMA, open_model, collate, PolicyTrainer)

"""How does a PPM read a group of pairs?

The reward of a path is r = tanh(score) in [-1, 1]; what it should be is an objective's business (`objectives`), averaged over
the pairs of a step group (the paper's 1/(2*2), §3.3) and then over groups. The paths of a group differ in their last
step only, so they are read as one sequence: what they begin with once, then the rest of each, which sees the beginning and
itself and stands at the positions that it would have alone. It starts nothing and saves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import deepspeed
import torch

from rstar_math import checkpoints
from rstar_math.config import Objective
from rstar_math.errors import ConfigError
from rstar_math.reward import reward
from rstar_math.training import rows
from rstar_math.training.objectives import LOSSES
from rstar_math.training.recipe import Recipe, RowTrainer, pad

#: Tokens scored at once when pair accuracy is measured: little beside the memory that training just gave back.
_SCORED_TOKENS = 16_384
#: To whom a token belongs: to all paths of its group, to nobody (padding); else to the path of that number, from 1.
_ALL, _NOBODY = 0, -1


def collate(pad_token: int) -> Callable[[list[rows.Row]], dict[str, torch.Tensor]]:
    """Group rows -> `input_ids`, `position_ids` and `owners` (groups, tokens); for each path its `group` and where it
    ends there (`end`), and what objectives ask of paths and pairs.

    The weights of a group add up to 1 / groups, so the weighted sum over pairs (or paths) is the mean over groups. Of a group
    whose pairs name their weights (released rows, which may stand anywhere in their file) a row may hold a part.
    """

    def batch(members: list[rows.Row]) -> dict[str, torch.Tensor]:
        ids, positions, owners = [], [], []
        paths: dict[str, list[int]] = {name: [] for name in ("group", "end", "chosen", "rejected")}
        weight: list[float] = []
        share: list[float] = []
        q: list[float] = []
        side: list[float] = []
        for number, row in enumerate(members):
            before, shared = len(paths["end"]), len(row["prefix"])
            ids.append([*row["prefix"]])
            positions.append([*range(shared)])
            owners.append([_ALL] * shared)
            for owner, rest in enumerate(row["rests"], start=1):
                ids[-1] += rest
                positions[-1] += range(shared, shared + len(rest))
                owners[-1] += [owner] * len(rest)
                paths["group"].append(number)
                paths["end"].append(len(ids[-1]) - 1)
            paths["chosen"] += [before + index for index in row["chosen"]]
            paths["rejected"] += [before + index for index in row["rejected"]]
            named = row.get("weight") or [1 / len(row["chosen"])] * len(row["chosen"])
            weight += [share / len(members) for share in named]
            share += [1 / len(row["rests"]) / len(members)] * len(row["rests"])
            q += [float("nan") if value is None else value for value in row["q"]]
            side += [1.0 if path in row["chosen"] else -1.0 for path in range(len(row["rests"]))]
        return {
            "input_ids": pad(ids, pad_token),
            "position_ids": pad(positions, 0),
            "owners": pad(owners, _NOBODY),
            **{name: torch.tensor(numbers) for name, numbers in paths.items()},
            "weight": torch.tensor(weight),
            "share": torch.tensor(share),
            "q": torch.tensor(q),
            "side": torch.tensor(side),
        }

    return batch


def visible(owners: torch.Tensor, positions: torch.Tensor, window: int | None) -> torch.Tensor:
    """Which token may look at which: (groups, 1, tokens, tokens), True where the row's token sees the column's.

    `window`: the model's own limit to how far back it looks; None: none.
    """
    own = (owners[:, None, :] == owners[:, :, None]) | (owners[:, None, :] == _ALL)
    distance = positions[:, :, None] - positions[:, None, :]
    seen = own.tril() & (distance < window) if window else own.tril()
    return seen[:, None]


def rewards_of(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The reward of each path of a batch, in [-1, 1] and float32."""
    stock = getattr(model, "module", model)
    every: list[torch.Tensor] = []
    # The stock classifier hands out the score of one token a row; its head computes those of all.
    hook = stock.score.register_forward_hook(lambda _, __, scores: every.append(scores))
    try:
        mask = visible(batch["owners"], batch["position_ids"], _window(stock.config))
        model(input_ids=batch["input_ids"], attention_mask=mask, position_ids=batch["position_ids"], use_cache=False)
    finally:
        hook.remove()
    return reward(every[0].squeeze(-1)[batch["group"], batch["end"]].float())


def _window(config: Any) -> int | None:
    """How many tokens back the model's attention goes; None: all.

    Raises:
        ConfigError: its layers differ in that.
    """
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    if len(kinds) > 1:
        raise ConfigError(
            f"A {config.model_type} mixes {', '.join(sorted(kinds))} layers; no PPM is trained from such one."
        )
    return window if window and (kinds == {"sliding_attention"} or not kinds) else None


class PPMTrainer(RowTrainer):
    """The Trainer with the loss of an objective."""

    #: The loss is a mean over one micro-batch; the Trainer divides it by their number.
    loss_is_scaled_for_ga = False
    objective: Objective = "pairwise"

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], **_: Any) -> torch.Tensor:
        """The loss of one micro-batch, a scalar."""
        return LOSSES[self.objective](rewards_of(model, inputs), inputs)


class PQMTrainer(PPMTrainer):
    """With the regression on Q."""

    objective: Objective = "pqm"


class ORMTrainer(PPMTrainer):
    """With the verdict on whole solutions."""

    objective: Objective = "orm"


def open_model(folder: Path, dtype: torch.dtype, tokenizer: Any) -> Any:
    """The policy just trained, its language head replaced by one linear output that starts at zero.

    From the usual random start a few hundred pairs are spent on outweighing chance: of held-out pairs of the embedded
    demo's round 2, 69% were ranked right from there, 76% from zero.
    """
    model = checkpoints.open_ppm(folder, dtype, tokenizer.pad_token_id)
    # Under ZeRO-3 no rank holds the whole weight.
    with deepspeed.zero.GatheredParameters([model.score.weight], modifier_rank=0):
        torch.nn.init.zeros_(model.score.weight)
    return model


def pair_accuracy(
    model_folder: Path, pairs_file: Path, max_tokens: int, did: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Share of pairs whose chosen side has the higher reward, in all and by kind, with their numbers. `did` hears of every
    batch that was scored.

    Ties count as wrong. Pairs with a side longer than `max_tokens` are left out and counted.
    """
    tokenizer = checkpoints.open_tokenizer(model_folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model = _scored_in_full(checkpoints.open_ppm(model_folder, dtype, tokenizer.pad_token_id).to(device).eval())
    encoded = list(rows.group_rows([pairs_file], tokenizer, max_tokens))
    groups = sorted((item.row for item in encoded if item.row is not None), key=lambda row: int(row["length"]))
    right: dict[str, list[bool]] = {}
    together = collate(tokenizer.pad_token_id)
    for members in _batches(groups):
        batch = {name: values.to(device) for name, values in together(members).items()}
        with torch.inference_mode():
            scored = rewards_of(model, batch)
        did("held-out pairs were scored")
        verdicts = iter((scored[batch["chosen"]] > scored[batch["rejected"]]).tolist())
        for row in members:
            right.setdefault(row["kind"], []).extend(next(verdicts) for _ in row["chosen"])
    return {
        **_share([verdict for kind in right.values() for verdict in kind]),
        "left_out": sum(item.left_out for item in encoded),
        "by_kind": {kind: _share(verdicts) for kind, verdicts in sorted(right.items())},
    }


def _scored_in_full(model: Any) -> Any:
    """The model with its last product in float32, as the engine has it that serves it: near a score of 2, bfloat16 knows
    steps of 0.016 alone, and pairs that the search can tell apart would be ties."""
    model.score.float().register_forward_pre_hook(lambda _, hidden: (hidden[0].float(),))
    return model


def _share(verdicts: list[bool]) -> dict[str, Any]:
    return {"pairs": len(verdicts), "accuracy": sum(verdicts) / len(verdicts) if verdicts else None}


def _batches(groups: list[rows.Row]) -> Iterator[list[rows.Row]]:
    """Groups of rising length, cut where the padded batch would exceed the tokens scored at once."""
    members: list[rows.Row] = []
    for row in groups:
        if members and (len(members) + 1) * row["length"] > _SCORED_TOKENS:
            yield members
            members = []
        members.append(row)
    if members:
        yield members


RECIPES: dict[Objective, Recipe] = {
    "pairwise": Recipe(rows.group_rows, rows.GROUP_SCHEMA, open_model, collate, PPMTrainer),
    "pqm": Recipe(rows.valued_rows, rows.GROUP_SCHEMA, open_model, collate, PQMTrainer),
    "orm": Recipe(rows.solution_rows, rows.GROUP_SCHEMA, open_model, collate, ORMTrainer),
}

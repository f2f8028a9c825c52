"""Every file of conf/deepspeed, as a large model is trained: bf16 and gradient checkpointing, on two ranks."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_training import solved
from tiny_models import write_policy
from worked_rows import plain, write_rows

from rstar_math import checkpoints
from rstar_math.training.job import DEEPSPEED_FOLDER

NAMES = sorted(file.stem for file in DEEPSPEED_FOLDER.glob("*.json"))
SECONDS = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("zero")
    write_policy(made / "base", seed=0, architecture="qwen2")
    write_rows(made / "policy.parquet", [{"question": q, "steps": plain(s)} for q, s in solved(24, seed=1)])
    command = [sys.executable, str(Path(__file__).with_name("zero_curves.py")), str(made), *NAMES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_way_of_sharding_learns_alike(folder: Path, name: str) -> None:
    losses, first = (
        [loss for _, loss in json.loads((folder / each / "metrics.json").read_text())["loss_curve"]]
        for each in (name, "zero1")
    )
    assert len(losses) == 3
    assert all(map(math.isfinite, losses)) and losses[2] < losses[0]
    assert losses == pytest.approx(first, rel=0.02)
    checkpoints.check_model_folder(folder / name, "policy")
    kept = checkpoints.open_policy(folder / name, torch.bfloat16).state_dict()
    assert all(torch.isfinite(tensor).all() for tensor in kept.values())

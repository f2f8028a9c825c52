"""Trains with each of conf/deepspeed as large models are: in bf16, with gradient checkpointing, on two ranks.

    python tests/zero_curves.py FOLDER NAME…     # FOLDER holds base/ and policy.parquet; writes FOLDER/NAME

Without Ray, and with the libraries loaded once: each training runs in forks of this process, for one that has trained in one
way cannot train in another.
"""

import multiprocessing
import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ |= {"DS_ACCELERATOR": "cpu", "TORCHDYNAMO_DISABLE": "1", "OMP_WAIT_POLICY": "passive"}

import torch.distributed as group
from worked_rows import QUICK

from rstar_math.training import rank
from rstar_math.training.job import TrainingJob, deepspeed_config

RANKS = 2
LIKE_LARGE = replace(
    QUICK, max_steps=3, log_steps=1, micro_batch_size=2, ranks=RANKS, precision="bf16", gradient_checkpointing=True
)


def train_one_rank(folder: Path, name: str, number: int) -> None:
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(RANKS)}
    os.environ |= {
        "LOCAL_WORLD_SIZE": str(RANKS),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "1",
    }  # nobody listens there
    group.init_process_group("gloo", init_method=f"file://{folder}/{name}.meeting", rank=number, world_size=RANKS)
    config = replace(LIKE_LARGE, deepspeed=name)
    job = TrainingJob("policy", folder / "base", (folder / "policy.parquet",), folder / name, config)
    rank.run(job, deepspeed_config(name), lambda _: None, lambda: False, lambda _: None)
    group.destroy_process_group()


if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    for name in sys.argv[2:]:
        ranks = [fork.Process(target=train_one_rank, args=(Path(sys.argv[1]), name, number)) for number in range(RANKS)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join(120)
            if process.exitcode != 0:
                sys.exit(f"{name}: a rank ended with {process.exitcode}")

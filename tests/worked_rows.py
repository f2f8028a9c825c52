"""One worked solution, and files of rows as the harvest writes them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rstar_math.config import TrainingConfig
from rstar_math.records import Step
from rstar_math.training import rows

STEPS = (
    Step("<code>\n# Step 1: add\nx = 12 + 30\n<end_of_step>"),
    Step("# Now print it\nprint(x)\n<end_of_code>", "42"),
    Step("<answer>The answer is \\boxed{42}.\n<end_of_answer>"),
)
QUESTION = "Tom has 12 apples and buys 30 more."
QUICK = TrainingConfig(
    epochs=10,
    max_steps=24,
    batch_size=8,
    micro_batch_size=8,
    learning_rate=2e-3,
    max_tokens=200,
    precision="fp32",
    gradient_checkpointing=False,
    deepspeed="zero1",
    threads_per_rank=1,
    save_steps=8,
    log_steps=4,
)


def plain(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    return [step._asdict() for step in steps]


def pair(
    prefix: tuple[Step, ...], chosen: tuple[Step, ...], rejected: tuple[Step, ...], kind: str = "middle"
) -> rows.Row:
    sides = {"prefix": plain(prefix), "chosen": plain(chosen), "rejected": plain(rejected)}
    return {"problem_id": "p", "question": QUESTION, **sides, "q_chosen": 1.0, "q_rejected": -1.0, "kind": kind}


def released_pair(
    prompt: str, pos: str | list[str], neg: str | list[str], counts: tuple[int, int] = (1, 1)
) -> rows.Row:
    return {"prompt": prompt, "pos": pos, "neg": neg, "pos_count": counts[0], "neg_count": counts[1]}


def write_rows(file: Path, content: list[rows.Row]) -> Path:
    step = pa.list_(pa.struct([("text", pa.string()), ("output", pa.string())]))
    columns = [(name, step if name in ("steps", "prefix", "chosen", "rejected") else None) for name in content[0]]
    arrays = {name: pa.array([row[name] for row in content], type=kind) for name, kind in columns}
    pq.write_table(pa.table(arrays), file)
    return file

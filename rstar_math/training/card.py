"""What does a model folder say about itself?

A job and its numbers -> the README.md of the model folder (a Hugging Face model card). It measures nothing.
"""

from __future__ import annotations

from typing import Any

from rstar_math.training.job import TrainingJob

_TASKS = {"policy": "text-generation", "ppm": "text-classification"}
_TITLES = {"policy": "Policy", "ppm": "Process preference model (PPM)"}
_USES = {
    "policy": "It writes a solution step by step: a comment, then Python code, up to `<end_of_step>`.",
    "ppm": "Its one output is a raw score of a partial solution; the reward is its tanh, in [-1, 1].",
}


def card(job: TrainingJob, metrics: dict[str, Any]) -> str:
    """The card's text: what the model is, what it was trained from, on and how, and how the loss went."""
    config = job.config
    rows = {
        "started from": job.base.name,
        "trained on": ", ".join(file.name for file in job.data),
        **({"objective": job.objective} if job.kind == "ppm" else {}),
        "rows (examples, left out)": f"{metrics['rows']} ({metrics['examples']}, {metrics['examples_left_out']})",
        "steps, epochs": f"{metrics['steps']}, {metrics['epochs']}",
        "batch size": config.batch_size,
        "learning rate": f"{config.learning_rate:g}, {config.scheduler}",
        "weight decay": config.weight_decay,
        "precision": f"{config.precision} in training, bfloat16 on disk",
        "DeepSpeed": f"{config.deepspeed}, {config.ranks} ranks",
        "seed": job.seed,
        "loss, first and last": f"{metrics['loss_first']}, {metrics['loss_last']}",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return (
        f"---\nlibrary_name: transformers\npipeline_tag: {_TASKS[job.kind]}\ntags: [rstar-math, {job.kind}]\n---\n\n"
        f"# {_TITLES[job.kind]}\n\nTrained by rstar-math (rStar-Math, arXiv 2501.04519). {_USES[job.kind]}\n\n"
        f"| | |\n|---|---|\n{table}\n"
    )

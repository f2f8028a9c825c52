"""What stands in for a PPM that there were no pairs for?

policy -> a PPM whose head is all zeros: it scores every path 0, so a search that asks it is not led anywhere. Made on the
cluster, like a trained one. It trains nothing.
"""

from __future__ import annotations

from typing import Any

import ray

from rstar_math.training.job import TrainingJob, check


def leave_untrained(job: TrainingJob) -> dict[str, Any]:
    """Writes the PPM to `job.out`; returns its numbers, which are zeros.

    Raises:
        ConfigError, InputError: the policy it starts from is not whole.
    """
    check(job)
    # No CPU of its own: ranks that wait for another training may hold what there is.
    ray.get(ray.remote(_leave).options(num_cpus=0).remote(job))
    return {"steps": 0, "rows": 0}


def _leave(job: TrainingJob) -> None:
    import torch

    from rstar_math import checkpoints

    tokenizer = checkpoints.open_tokenizer(job.base)
    model = checkpoints.open_ppm(job.base, torch.float32, tokenizer.pad_token_id)
    torch.nn.init.zeros_(model.score.weight)
    card = "# An untrained PPM\n\nNo problem of its round had right and wrong trajectories; every path scores 0.\n"
    checkpoints.save(job.out, model, model.state_dict(), tokenizer, card)

"""What stands in for a PPM that there were no pairs for?

policy -> a PPM whose head is all zeros: it scores every path 0, so a search that asks it is not led anywhere. Made on the
cluster, like a trained one. It trains nothing.
"""

from __future__ import annotations

from typing import Any

import ray

from rstar_math.errors import TrainingError
from rstar_math.training.job import TrainingJob, check


def leave_untrained(job: TrainingJob, seconds: float) -> dict[str, Any]:
    """Writes the PPM to `job.out`, within so many seconds; returns its numbers, which are zeros.

    Raises:
        ConfigError, InputError: the policy it starts from is not whole.
        TrainingError: nothing came of it, or not in time.
    """
    check(job)
    # No CPU of its own: ranks that wait for another training may hold what there is.
    written = ray.remote(_leave).options(num_cpus=0).remote(job)
    try:
        ray.get(written, timeout=seconds)
    except ray.exceptions.GetTimeoutError as error:
        ray.cancel(written, force=True)
        raise TrainingError(
            f"No untrained PPM was written to {job.out} within {seconds:g} s (cluster.training_silence_seconds): its node "
            "or the disk does not answer. See `rstar-math doctor`, and start the same command again."
        ) from error
    except ray.exceptions.RayError as error:
        why = str(error).strip().splitlines()[-1]
        raise TrainingError(
            f"No untrained PPM could be written to {job.out}: {why}. Start the same command again."
        ) from error
    return {"steps": 0, "rows": 0}


def _leave(job: TrainingJob) -> None:
    import torch

    from rstar_math import checkpoints

    tokenizer = checkpoints.open_tokenizer(job.base)
    model = checkpoints.open_ppm(job.base, torch.float32, tokenizer.pad_token_id)
    torch.nn.init.zeros_(model.score.weight)
    card = "# An untrained PPM\n\nNo problem of its round had right and wrong trajectories; every path scores 0.\n"
    checkpoints.save(job.out, model, model.state_dict(), tokenizer, card)

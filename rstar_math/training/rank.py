"""What does one rank of a training do?

Encode the data (rank 0, for all), open the model, train it with transformers' Trainer over DeepSpeed, continue from
the last complete checkpoint if there is one, and leave a model folder with its numbers (rank 0). Every rank calls `run`
in a process of its own, in which torch's process group stands already. Who starts the ranks is not decided here.
"""

from __future__ import annotations

import logging
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import deepspeed
import torch
import torch.distributed as ranks
import transformers
from transformers import PrinterCallback, TrainingArguments
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from rstar_math import checkpoints
from rstar_math.errors import InputError, TrainingError
from rstar_math.training import policy, ppm, rows
from rstar_math.training.callbacks import EpochOrder, Living, Progress, Reporting, Saving
from rstar_math.training.card import card
from rstar_math.training.job import TrainingJob, batch_of
from rstar_math.training.kept import finish, last_complete, step_of
from rstar_math.training.recipe import Recipe, RowData, RowTrainer, StepOrder

_T = TypeVar("_T")
#: Points of the loss curve kept in metrics.json.
_CURVE_POINTS = 100


def run(
    job: TrainingJob,
    deepspeed_config: dict[str, Any],
    post: Callable[[Progress], None],
    asked_to_stop: Callable[[], bool],
    did: Callable[[str], None],
) -> None:
    """Train on this rank, to the end, or until `asked_to_stop` says so to rank 0, and then as far as a checkpoint. Rank 0
    reports through `post` and writes `job.out`. `did` hears of everything that is done and may take long.

    Raises:
        InputError: no row is short enough to be trained on.
        TrainingError: the loss is not finite, or the ranks share no folder.
    """
    did("it took its job")
    _prepare_process(job.config.threads_per_rank)
    started = time.monotonic()
    first = ranks.get_rank() == 0
    recipe = policy.RECIPE if job.kind == "policy" else ppm.RECIPES[job.objective]
    tokenizer = checkpoints.open_tokenizer(job.base)
    counts = _rows(job, recipe, tokenizer, first, did)
    did("all rows were encoded")
    trainer = _trainer(job, recipe, tokenizer, deepspeed_config)
    did("its model was opened")
    saving = Saving(job.config.save_steps, job.config.save_minutes, asked_to_stop)
    trainer.add_callback(saving)
    trainer.add_callback(Living(did))
    if first:
        trainer.add_callback(Reporting(post))
    resumed = _going_on_from(job, first)
    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    if saving.stopped:
        return
    weights = trainer.accelerator.get_state_dict(trainer.deepspeed)
    did("the weights were gathered")
    trainer.train_dataset.let_go()
    ranks.barrier()  # no rank maps the rows any more that the first one deletes
    if first:
        metrics = _metrics(trainer, counts) | {
            "seconds": round(time.monotonic() - started, 2),
            "resumed_from_step": step_of(resumed) if resumed else 0,
        }
        trainer.model.config.use_cache = True
        checkpoints.save(job.out, trainer.model, weights, tokenizer, card(job, metrics))
        did("the model was written")
        del trainer, weights
        _finish(job, metrics, did)
    ranks.barrier()


def _prepare_process(threads: int) -> None:
    """Threads as asked; libraries keep to errors; DeepSpeed compiles nothing that training does not use."""
    torch.set_num_threads(threads or max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for library in ("DeepSpeed", "accelerate"):
        logging.getLogger(library).setLevel(logging.ERROR)
    # On a CPU, DeepSpeed would build a C++ op for shared-memory collectives (25 s and a compiler), though only its
    # inference calls it.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    # It takes over torch's process group; without this it would not know the ranks while a ZeRO-3 model opens in shards.
    deepspeed.init_distributed(auto_mpi_discovery=False, verbose=False)


def _rows(job: TrainingJob, recipe: Recipe, tokenizer: Any, first: bool, did: Callable[[str], None]) -> rows.Counts:
    file, found = _rows_file(job), list[Any]([None])
    if first:
        job.checkpoints.mkdir(parents=True, exist_ok=True)
        if (there := rows.written(file)) is None:
            encoded = recipe.encode(job.data, tokenizer, job.config.max_tokens)
            there = rows.write(_told(encoded, "a row was encoded", did), recipe.schema, file)
        found = [there]
    ranks.broadcast_object_list(found, src=0)
    counts: rows.Counts = found[0]
    if counts.rows == 0:
        raise InputError(
            f"Nothing to train the {job.kind} on in {', '.join(map(str, job.data))}: {counts.left_out} "
            f"examples are longer than max_tokens={job.config.max_tokens}, and no other is there. Raise max_tokens, or "
            "search more problems."
        )
    return counts


def _going_on_from(job: TrainingJob, first: bool) -> Path | None:
    """The checkpoint that the first rank sees as the last complete one; on a shared file system others may see one less.

    Raises:
        TrainingError: this rank does not see it.
    """
    found = list[Any]([last_complete(job.checkpoints) if first else None])
    ranks.broadcast_object_list(found, src=0)
    resumed: Path | None = found[0]
    if resumed is not None and not resumed.is_dir():
        raise TrainingError(
            f"Rank {ranks.get_rank()} on {platform.node()} does not see {resumed}, which rank 0 goes on from: the run's "
            "folder has to be on a file system that all nodes share (`rstar-math doctor cluster.address=… runs=FOLDER` looks)"
        )
    return resumed


def _told(items: Iterable[_T], words: str, did: Callable[[str], None]) -> Iterator[_T]:
    """The same items; each that is taken is a sign of life."""
    for item in items:
        did(words)
        yield item


def _rows_file(job: TrainingJob) -> Path:
    return job.checkpoints / "rows.arrow"


def _trainer(job: TrainingJob, recipe: Recipe, tokenizer: Any, deepspeed_config: dict[str, Any]) -> RowTrainer:
    config = job.config
    arguments = _arguments(job, deepspeed_config)
    data = RowData(rows.open_rows(_rows_file(job)))
    order = StepOrder(data.lengths, config.batch_size, job.seed)
    transformers.set_seed(job.seed)
    # After the arguments: under ZeRO-3 they make the model open in shards.
    model = recipe.open_model(job.base, torch.bfloat16 if config.precision == "bf16" else torch.float32, tokenizer)
    model.config.use_cache = False
    trainer = recipe.trainer(
        order=order,
        model=model,
        args=arguments,
        train_dataset=data,
        data_collator=recipe.collate(tokenizer.pad_token_id),
        callbacks=[EpochOrder(order.set_epoch)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(job: TrainingJob, deepspeed_config: dict[str, Any]) -> TrainingArguments:
    config, batch = job.config, batch_of(job.config)
    cuda = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(job.checkpoints),
        deepspeed=deepspeed_config,
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        per_device_train_batch_size=batch.micro,
        gradient_accumulation_steps=batch.accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.scheduler,
        weight_decay=config.weight_decay,
        warmup_steps=config.warmup_ratio,
        max_grad_norm=config.max_grad_norm,
        bf16=config.precision == "bf16",
        use_cpu=not cuda,
        dataloader_pin_memory=cuda,
        gradient_checkpointing=config.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        remove_unused_columns=False,
        seed=job.seed,
        logging_steps=config.log_steps,
        logging_nan_inf_filter=False,
        log_level="error",
        disable_tqdm=True,
        report_to=[],
        save_strategy="no",
        # Older ones go in `Saving`: transformers would go by the files' times, and before the new one is marked.
        save_total_limit=None,
    )


def _metrics(trainer: RowTrainer, counts: rows.Counts) -> dict[str, Any]:
    state = trainer.state
    curve = [(int(entry["step"]), float(entry["loss"])) for entry in state.log_history if "loss" in entry]
    summary = next(entry for entry in reversed(state.log_history) if "train_runtime" in entry)
    return {
        "steps": state.global_step,
        "epochs": round(float(state.epoch), 4),
        "rows": counts.rows,
        "examples": counts.examples,
        "examples_left_out": counts.left_out,
        "tokens": round(counts.tokens * state.epoch),
        "loss_first": curve[0][1] if curve else None,
        "loss_last": curve[-1][1] if curve else None,
        "loss_curve": curve[:: max(1, -(-len(curve) // _CURVE_POINTS))],
        "steps_per_second": round(float(summary["train_steps_per_second"]), 3),
        **({"peak_gpu_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2)} if torch.cuda.is_available() else {}),
    }


def _finish(job: TrainingJob, metrics: dict[str, Any], did: Callable[[str], None]) -> None:
    """Measure the saved PPM; leave the numbers, which say that the model is whole."""
    # The measured model is opened whole on this rank, also where training held it in shards.
    unset_hf_deepspeed_config()
    if job.validation is not None:
        metrics["pair_accuracy"] = ppm.pair_accuracy(job.out, job.validation, job.config.max_tokens, did)
    finish(job, metrics)

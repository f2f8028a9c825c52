"""Real trainings: they learn, tell it, survive a kill and leave folders that open."""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread, Timer
from types import SimpleNamespace
from typing import Any, NamedTuple

import psutil
import pytest
import ray
import torch
from ray.exceptions import RayActorError
from tiny_models import write_policy
from worked_rows import QUICK, STEPS, pair, plain, write_rows

from rstar_math import checkpoints
from rstar_math.cli.compose import compose
from rstar_math.cluster.fleet import Fleet, Models
from rstar_math.cluster.joining import leave, quoted_interpreter
from rstar_math.errors import TrainingError, TrainingStuck
from rstar_math.forecast.stages import checkpoint_bytes
from rstar_math.grace import Grace
from rstar_math.records import Step
from rstar_math.reward import reward
from rstar_math.scripted import ScriptedEngine
from rstar_math.training import rows
from rstar_math.training.callbacks import Progress
from rstar_math.training.exchange import Exchange
from rstar_math.training.job import TrainingJob
from rstar_math.training.launch import Trainings
from rstar_math.training.ppm import collate, pair_accuracy, rewards_of
from rstar_math.training.untrained import leave_untrained
from rstar_math.training.workers import Ranks

#: Ray Train sets up Ray Data, whose own defaults trip its deprecation warnings.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*")


def solved(count: int, seed: int) -> list[tuple[str, tuple[Step, ...]]]:
    """Sums of two numbers, solved in the text format."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        a, b = draw.randrange(10, 50), draw.randrange(10, 50)
        add = Step(f"<code>\n# Step 1: add\nx = {a} + {b}\n<end_of_step>")
        answer = Step(f"<answer>The answer is \\boxed{{{a + b}}}.\n<end_of_answer>")
        made.append((f"Tom has {a} apples and buys {b} more.", (add, replace_output(STEPS[1], str(a + b)), answer)))
    return made


def replace_output(step: Step, output: str) -> Step:
    return step._replace(output=output)


def sums_pairs(count: int, seed: int) -> list[rows.Row]:
    """Adding is preferred to subtracting: visible in the step itself."""
    return [
        pair((), steps[:1], (steps[0]._replace(text=steps[0].text.replace(" + ", " - ")),))
        | {"question": question, "problem_id": str(number)}
        for number, (question, steps) in enumerate(solved(count, seed))
    ]


def start_cluster(num_cpus: int = 2, num_gpus: int = 0) -> None:
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init("local", num_cpus=num_cpus, num_gpus=num_gpus, runtime_env=quoted_interpreter(), **quiet)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    start_cluster()
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    folder = tmp_path_factory.mktemp("training")
    base = write_policy(folder / "base", seed=0, architecture="qwen2")
    data = write_rows(folder / "policy.parquet", [{"question": q, "steps": plain(s)} for q, s in solved(120, seed=1)])
    return TrainingJob("policy", base, (data,), folder / "policy", QUICK)


class Trained(NamedTuple):
    """What a training gave and told, by ranks that were started before it: who those were and who was at work; which folders
    they had in the temporary folder; who was left after it, while another could have followed, and of the ranks that were
    started for another, which never came."""

    metrics: dict[str, Any]
    heard: list[Progress]
    early: set[int]
    at_work: set[int]
    folders: set[Path]
    left: list[psutil.Process]
    unused: list[psutil.Process]


@pytest.fixture(scope="module")
def trained(cluster: None, job: TrainingJob) -> Trained:
    heard: list[Progress] = []
    at_work: set[int] = set()
    folders: set[Path] = set()
    before = folders_of_ranks()

    def look(progress: Progress) -> None:
        heard.append(progress)
        folders.update(folders_of_ranks() - before)
        at_work.update(process.pid for process in living_ranks())

    with Trainings(beside=1.5) as trainings:
        trainings.prepare(QUICK)
        early = wait_for_ranks(1)
        metrics = trainings.train(job, look)
        left = gone(living_ranks())
        trainings.prepare(QUICK)
        unused = wait_for_ranks(1)
    return Trained(metrics, heard, {process.pid for process in early}, at_work, folders, left, gone(unused))


def folders_of_ranks() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("*ranks-*"))


class Kept(NamedTuple):
    """Four trainings by ranks that may be kept: a PPM's, the first policy's once more, one whose ranks are of another form,
    and one of that form that fails. Who was at work in the first two and in the third, who was left in between and after
    all, and how the last one failed."""

    ppm: TrainingJob
    metrics: dict[str, Any]
    policy: TrainingJob
    at_work: tuple[set[int], set[int]]
    between: list[psutil.Process]
    after: list[psutil.Process]
    failed: TrainingError


@pytest.fixture(scope="module")
def kept(trained: Trained, job: TrainingJob) -> Kept:
    folder = job.out.parent
    data = write_rows(folder / "pairs.parquet", sums_pairs(60, seed=2))
    held_out = write_rows(folder / "held_out.parquet", sums_pairs(30, seed=3))
    ppm = replace(job, kind="ppm", base=job.out, data=(data,), out=folder / "ppm", validation=held_out)
    policy = replace(job, out=folder / "kept")
    other_form = replace(job, out=folder / "other-form", config=replace(QUICK, threads_per_rank=2, max_steps=4))
    nothing = replace(other_form, out=folder / "nothing", config=replace(other_form.config, max_tokens=10))
    pids: tuple[set[int], set[int]] = (set(), set())

    def look(which: int) -> Callable[[Progress], None]:
        return lambda _: pids[which].update(process.pid for process in living_ranks())

    with Trainings(beside=0.5) as trainings:
        metrics = trainings.train(ppm, look(0))
        trainings.train(policy, look(0))
        between = wait_for_ranks(1)
        trainings.train(other_form, look(1))
        with pytest.raises(TrainingError) as failed:
            trainings.train(nothing, look(1))
    return Kept(ppm, metrics, policy, pids, between, gone(living_ranks()), failed.value)


def train(job: TrainingJob, progress: Callable[[Progress], None]) -> dict[str, Any]:
    with Trainings() as trainings:
        metrics = trainings.train(job, progress)
        assert gone(living_ranks()) == []  # nobody said that they may wait for another training
        return metrics


def living_ranks() -> list[psutil.Process]:
    return living("RayTrainWorker")


def living(actor: str) -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it ended while it was looked at
            if actor in child.name():
                found.append(child)
    return found


def gone(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that live on; a process that ends is gone a moment after its actor."""
    living: list[psutil.Process] = psutil.wait_procs(processes, timeout=30)[1]
    return living


def wait_for_ranks(count: int) -> list[psutil.Process]:
    deadline = time.monotonic() + 60
    while len(found := living_ranks()) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(found) == count
    return found


@pytest.fixture(autouse=True)
def no_ranks_of_an_earlier_test() -> None:
    """They would be counted here."""
    gone(living_ranks())


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoints.open_policy(folder, torch.float32).state_dict()


def test_training_lowers_the_loss_and_tells_it(trained: Trained, job: TrainingJob) -> None:
    metrics, heard = trained.metrics, trained.heard
    assert [(progress.done, progress.total) for progress in heard] == [(n, 24) for n in range(4, 25, 4)]
    assert heard[-1].loss < 0.5 * heard[0].loss
    assert metrics["loss_last"] == heard[-1].loss
    assert (metrics["steps"], metrics["rows"], metrics["examples_left_out"]) == (24, 120, 0)
    assert json.loads(job.metrics.read_text()) == metrics


def test_a_trained_policy_is_a_whole_folder_in_bfloat16(trained: Trained, job: TrainingJob) -> None:
    checkpoints.check_model_folder(job.out, "policy")
    assert not job.checkpoints.exists()
    assert json.loads((job.out / "config.json").read_text())["dtype"] == "bfloat16"
    assert "loss, first and last" in (job.out / "README.md").read_text()
    model = checkpoints.open_policy(job.out, torch.bfloat16)
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.bfloat16}
    assert model.config.use_cache


def test_a_killed_training_goes_on_and_ends_with_the_same_weights(trained: Trained, job: TrainingJob) -> None:
    again = replace(job, out=job.out.with_name("killed"))

    def kill_after_step_12(progress: Progress) -> None:
        if progress.done == 12:
            for rank in living_ranks():
                os.kill(rank.pid, signal.SIGKILL)

    with pytest.raises(TrainingError, match="goes on from the last one"):
        train(again, kill_after_step_12)
    (first, *_) = again.checkpoints.glob("checkpoint-*")
    held = sum(file.stat().st_size for kind in ("*.pt", "*.safetensors") for file in first.rglob(kind))
    assert held == pytest.approx(checkpoint_bytes(again.config) * checkpoints.parameters_of(again.base), rel=0.25)
    heard: list[Progress] = []
    metrics = train(again, heard.append)
    assert (metrics["resumed_from_step"], metrics["steps"]) == (8, 24)
    assert [progress.done for progress in heard] == [12, 16, 20, 24]
    straight, resumed = weights_of(job.out), weights_of(again.out)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_a_clock_that_was_set_back_costs_no_checkpoint(cluster: None, job: TrainingJob) -> None:
    """The one just written was the oldest by its time, was deleted, and the training failed at marking it, every time."""
    set_back = replace(job, out=job.out.with_name("set-back"), config=replace(QUICK, save_steps=4))

    def hear(_: Progress) -> None:
        for checkpoint in set_back.checkpoints.glob("checkpoint-*"):
            with suppress(FileNotFoundError):  # an older one goes
                os.utime(checkpoint, (time.time() + 3600, time.time() + 3600))

    assert train(set_back, hear)["steps"] == 24


def test_an_exception_in_the_callers_progress_ends_the_training(trained: Trained, job: TrainingJob) -> None:
    training: list[psutil.Process] = []

    def fail(_: Progress) -> None:
        training.extend(living_ranks())
        raise OSError("the disk is full")

    stopped = replace(job, out=job.out.with_name("stopped"))
    with pytest.raises(OSError, match="the disk is full"):
        train(stopped, fail)
    assert training
    assert gone(training) == []
    assert not stopped.metrics.exists()


def test_a_training_that_is_asked_to_end_saves_first_and_goes_on_from_that_step(
    trained: Trained, job: TrainingJob
) -> None:
    """SIGTERM lost what had been learnt since the last checkpoint."""
    stopped = replace(job, out=job.out.with_name("asked"), config=replace(QUICK, save_steps=None, save_minutes=None))

    def end_after_step_4(_: Progress) -> None:
        found = living_ranks()
        for process in found:
            process.suspend()  # else it might be done before it hears
        Timer(1.0, lambda: [process.resume() for process in found]).start()
        signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command line does
    said: list[str] = []
    grace = Grace(30.0)
    try:
        with Trainings(grace=grace, say=said.append) as trainings, pytest.raises(KeyboardInterrupt):
            trainings.train(stopped, end_after_step_4)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert grace.left > 0
    assert said == ["Saving the policy's training, for 22 s at most."]
    assert not stopped.metrics.exists()
    metrics = train(stopped, lambda _: None)
    assert 4 < metrics["resumed_from_step"] < 24
    straight, resumed = weights_of(job.out), weights_of(stopped.out)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


@pytest.mark.slow
def test_ranks_that_cannot_save_hold_up_the_end_no_longer_than_the_grace(cluster: None, job: TrainingJob) -> None:
    """Preemption comes in the midst of a long step, or over a file system that hangs, and then the machine is taken."""
    found: list[psutil.Process] = []

    def end_while_they_hang(_: Progress) -> None:
        found.extend(living_ranks())
        for process in found:
            process.suspend()
        raise KeyboardInterrupt

    grace = Grace(10.0)
    with pytest.raises(KeyboardInterrupt), Trainings(grace=grace) as trainings:
        trainings.train(replace(job, out=job.out.with_name("hanging")), end_while_they_hang)
    assert grace.left > 0
    assert found
    assert psutil.wait_procs(found, timeout=30)[1] == []


@pytest.mark.slow
def test_chance_goes_on_where_it_stood_when_a_training_does(cluster: None, job: TrainingJob, tmp_path: Path) -> None:
    """What dropout leaves out is drawn; a training that starts its draws again at each start learns something else."""
    base = write_policy(tmp_path / "base", seed=0, attention_dropout=0.5)
    straight = replace(job, base=base, out=tmp_path / "straight", config=replace(QUICK, max_steps=16))
    broken = replace(straight, out=tmp_path / "broken")

    def fail(progress: Progress) -> None:
        if progress.done == 12:
            raise OSError("the machine is gone")

    with Trainings(beside=0.0) as trainings:  # the same ranks do both
        trainings.train(straight, lambda _: None)
        with pytest.raises(OSError, match="gone"):
            trainings.train(broken, fail)
    assert train(broken, lambda _: None)["resumed_from_step"] == 8
    one, other = weights_of(straight.out), weights_of(broken.out)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("actor", ["Exchange", "TrainController"])
def test_a_training_whose_part_of_ray_dies_says_how_to_go_on(trained: Trained, job: TrainingJob, actor: str) -> None:
    """A traceback of Ray's came instead."""

    def kill(_: Progress) -> None:
        for process in living(actor):
            process.kill()

    try:
        with pytest.raises(
            TrainingError, match=r"(?s)a part of Ray is gone.*the same command goes on from the last one"
        ):
            train(replace(job, out=job.out.with_name(f"without-{actor}")), kill)
        assert gone(living_ranks()) == []
    finally:
        if actor == "TrainController":  # its ranks' CPUs stay its own as long as its driver lives
            ray.shutdown()
            start_cluster()


def test_a_ppm_learns_its_pairs_and_scores_alike_wherever_it_is_opened(kept: Kept) -> None:
    ppm, metrics = kept.ppm, kept.metrics
    folder, held_out = ppm.out.parent, ppm.validation
    assert held_out is not None
    assert metrics["loss_last"] < 0.8 * metrics["loss_first"]
    assert metrics["pair_accuracy"]["accuracy"] > 0.9
    assert metrics["pair_accuracy"]["by_kind"]["middle"]["pairs"] == metrics["pair_accuracy"]["pairs"] == 30
    assert metrics["pair_accuracy"] == pair_accuracy(ppm.out, held_out, 200)

    from transformers import AutoModelForSequenceClassification

    checkpoints.check_model_folder(ppm.out, "ppm")
    stock = AutoModelForSequenceClassification.from_pretrained(ppm.out, dtype=torch.float32).eval()
    tokenizer = checkpoints.open_tokenizer(ppm.out)
    assert (stock.config.num_labels, stock.config.pad_token_id) == (1, tokenizer.pad_token_id)
    [group] = rows.group_rows([write_rows(folder / "one.parquet", sums_pairs(1, seed=5))], tokenizer, 200)
    assert group.row is not None
    sequences = [group.row["prefix"] + rest for rest in group.row["rests"]]
    with torch.inference_mode():
        together = rewards_of(stock, collate(tokenizer.pad_token_id)([group.row])).tolist()
        alone = [reward(float(stock(input_ids=torch.tensor([ids])).logits)) for ids in sequences]
    assert together == pytest.approx(alone, abs=1e-5)


def test_a_failing_rank_is_reported_with_its_reason(kept: Kept) -> None:
    assert "120 examples are longer than max_tokens=10" in str(kept.failed)


@pytest.mark.slow
def test_ranks_that_were_started_before_their_job_do_it_and_others_are_let_go(trained: Trained, kept: Kept) -> None:
    assert trained.at_work == trained.early
    assert trained.unused == []
    assert kept.at_work[1] - kept.at_work[0]  # those of another form than the third training's
    assert kept.after == []


@pytest.mark.slow
def test_kept_ranks_do_one_training_after_the_other_as_new_ones_would(kept: Kept, job: TrainingJob) -> None:
    """A PPM's small training took less time than its ranks took to start."""
    assert {process.pid for process in kept.between} == kept.at_work[0]
    mine, theirs = (weights_of(folder) for folder in (kept.policy.out, job.out))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.slow
def test_ranks_that_leave_the_others_too_few_cpus_end_with_their_training(trained: Trained) -> None:
    """The search that came next waited for ever for the CPUs of ranks that waited for it to end."""
    assert trained.left == []


def test_what_ranks_keep_lies_with_what_ray_keeps(trained: Trained) -> None:
    """Every start that was killed left a folder of theirs in the temporary folder."""
    assert trained.folders == set()


@pytest.mark.slow
def test_an_untrained_ppm_waits_for_no_cpu_that_waiting_ranks_hold(cluster: None, job: TrainingJob) -> None:
    """A round without pairs hung: its ranks held every CPU while they waited for the next training."""
    place = ray.util.placement_group([{"CPU": 2}])
    ray.get(place.ready(), timeout=30)
    written = replace(job, kind="ppm", out=job.out.with_name("untrained"))
    with ThreadPoolExecutor(1) as thread:
        try:
            assert thread.submit(leave_untrained, written, 60.0).result()["rows"] == 0
        finally:
            ray.util.remove_placement_group(place)
    assert (written.out / "model.safetensors").is_file()
    late = replace(written, out=job.out.with_name("too-late"))
    with pytest.raises(TrainingError, match=r"No untrained PPM was written to .*too-late within 0\.01 s"):
        leave_untrained(late, 0.01)


@pytest.mark.slow
def test_two_ranks_learn_what_one_learns_and_where_one_hangs_or_dies_others_go_on_from_the_last_checkpoint(
    trained: Trained, job: TrainingJob
) -> None:
    """The other ranks waited for one that hung for hours, then the run ended."""
    config = replace(QUICK, ranks=2, micro_batch_size=2, deepspeed="zero2", cpus_per_rank=0.5)
    two, again, killed = (
        replace(job, out=job.out.with_name(name), config=config) for name in ("two", "hung", "lost-a-rank")
    )
    said, stopped = list[str](), list[psutil.Process]()

    def stop_rank_1(progress: Progress) -> None:
        if progress.done == 12 and not stopped:
            ranks = trainings._at_work
            assert ranks is not None
            ranks.silence_seconds = 5.0  # from now on, and no longer than these ranks live
            actor = ray.get(ranks._exchange.actors.remote())[1]
            stopped.append(psutil.Process(ray.get(actor.execute.remote(os.getpid))))
            stopped[0].suspend()

    def kill_rank_1(progress: Progress) -> None:
        if progress.done == 4 and len(stopped) == 1:  # found early: it is done before long
            ranks = trainings._at_work
            assert ranks is not None
            actor = ray.get(ranks._exchange.actors.remote())[1]
            stopped.append(psutil.Process(ray.get(actor.execute.remote(os.getpid))))
        if progress.done == 12 and stopped[1].is_running():
            stopped[1].kill()

    with Trainings(beside=0.0, say=said.append) as trainings:
        losses = [loss for _, loss in trainings.train(two, lambda _: None)["loss_curve"]]
        assert losses == pytest.approx([loss for _, loss in trained.metrics["loss_curve"]], rel=0.02)
        assert not said
        metrics = trainings.train(again, stop_rank_1)
        after_a_death = trainings.train(killed, kill_rank_1)

    told, gone = said
    assert re.search(r"no step finished for \d+ s: .*\brank 0 of 2 stuck after ", told)
    assert "rank 1 of 2 not answering after " in told
    assert psutil.wait_procs(stopped, timeout=0)[1] == []
    assert re.search(r"its ranks are gone \(rank 1: .*\)\. It is started again, from its last checkpoint", gone)
    for numbers, out in ((metrics, again.out), (after_a_death, killed.out)):
        assert numbers["resumed_from_step"] in (8, 16)
        straight, resumed = weights_of(two.out), weights_of(out)
        assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_ranks_that_hang_again_and_again_end_the_training_with_the_way_out(job: TrainingJob, monkeypatch) -> None:
    said: list[str] = []

    def hang(*_: object) -> None:
        raise TrainingStuck("no step finished for 60 s: rank 0 of 1 not answering after step 3")

    monkeypatch.setattr(Trainings, "_go_on", hang)
    with (
        Trainings(silence_seconds=60, say=said.append) as trainings,
        pytest.raises(
            TrainingError,
            match=r"hung or died 4 times.*rank 0 of 1 not.*raise cluster\.training_silence_seconds, now 60",
        ),
    ):
        trainings.train(job, lambda _: None)
    assert len(said) == 3


_NEVER_PLACED = """
import ray
from test_training import start_cluster
from worked_rows import QUICK
from rstar_math.training.launch import Trainings

start_cluster(num_cpus=1)
ray.get(ray.util.placement_group([{"CPU": 1}]).ready())
with Trainings() as trainings:
    trainings.prepare(QUICK)
    trainings._prepared.result()
print("all is done", flush=True)
"""


@pytest.mark.slow
def test_a_program_whose_ranks_never_found_their_places_ends() -> None:
    """It had done everything and hung: the interpreter waited for a thread that waited for them."""
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    ran = subprocess.run(
        [sys.executable, "-c", _NEVER_PLACED],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert (ran.stdout.splitlines()[-1:], ran.returncode) == (["all is done"], 0)


async def test_who_waits_and_who_does_not_answer_is_told_apart(monkeypatch) -> None:
    exchange, clock = Exchange(), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    assert await exchange.standing(60.0) is None
    await exchange.placed([None] * 6)
    clock[0] = 5.0
    assert await exchange.standing(60.0) == (5.0, "ranks 0, 1, 2, 3 and 2 more of 6 still starting")
    for number in range(6):
        await exchange.hear(number, 1, "step 1")
    clock[0] = 90.0
    for number in range(5):
        await exchange.hear(number, 1, "step 1")
    words = "ranks 0, 1, 2, 3 and 1 more of 6 stuck after step 1, rank 5 of 6 not answering after step 1"
    assert await exchange.standing(60.0) == (85.0, words)
    await exchange.hear(2, 2, "a row was encoded")  # one that does something is enough: the others wait for it
    assert (await exchange.standing(60.0) or ("?",))[0] == 0.0
    clock[0] = 200.0
    await exchange.leave_job(None, 6)
    assert (await exchange.standing(60.0) or ("?",))[0] == 0.0


def test_a_rank_whose_node_is_taken_away_ends_its_training() -> None:
    """Ray Train started it again, and it waited for ever for a job that had been given out."""
    # Not above: Ray Train, once imported, reads no more what a training tells it.
    from ray.train.v2._internal.execution.failure_handling import FailureDecision, create_failure_policy
    from ray.train.v2.api.exceptions import WorkerGroupError

    from rstar_math.training.workers import ONE_LIFE

    gone = RayActorError(error_msg="The node was drained", preempted=True)
    policy = create_failure_policy(ONE_LIFE)
    assert policy.make_decision(WorkerGroupError("rank 1 is lost", {1: gone})) is FailureDecision.RAISE


@pytest.mark.parametrize("failure", [None, RuntimeError("no room")], ids=["in peace", "of an error"])
def test_ranks_have_said_their_last_word_before_anybody_hears_that_they_ended(tmp_path, monkeypatch, failure) -> None:
    """The program could end in between, and the word, which found no Ray any more, started another in a process that was
    being taken apart."""

    def fit() -> None:
        if failure is not None:
            raise failure

    ranks, ended_before = object.__new__(Ranks), []
    ranks._ended = Future()
    monkeypatch.setattr("rstar_math.training.workers._session", lambda: tmp_path)
    monkeypatch.setattr(ranks, "_trainer", lambda _: SimpleNamespace(fit=fit))
    monkeypatch.setattr(ranks, "_say_the_end", lambda: ended_before.append(ranks._ended.done()))
    ranks._run()
    assert ended_before == [False]
    assert ranks._ended.exception(timeout=0) is failure


@pytest.mark.parametrize("at_work", [True, False])
def test_who_carries_the_jobs_and_hangs_holds_up_neither_a_training_nor_the_end(
    cluster: None, job: TrainingJob, monkeypatch, at_work: bool
) -> None:
    """The next training waited for it, for ever and without a word, and so did the end of the run."""
    ended = Event()
    monkeypatch.setattr("rstar_math.training.workers.Ranks._run", lambda _: ended.wait(120))
    ranks = Trainings(silence_seconds=2.0)._start(QUICK)
    ray.get(ranks._exchange.actors.remote())
    (carrier,) = living("Exchange")
    carrier.suspend()

    def use() -> None:
        if at_work:
            with pytest.raises(TrainingStuck, match="for 2 s its ranks got no job"):
                ranks.train(job, lambda _: None)
        ranks.end(4.0)

    using = Thread(target=use, daemon=True)
    using.start()
    using.join(30.0)
    ended.set()
    assert not using.is_alive()
    assert psutil.wait_procs([carrier], timeout=30)[1] == []


@pytest.mark.slow
def test_a_training_takes_the_gpus_that_a_search_gives_back(job: TrainingJob) -> None:
    """Where Ray counts a GPU that is none, what has its place on it finds no CUDA, and says so."""
    ray.shutdown()
    start_cluster(num_cpus=4, num_gpus=1)
    said: list[str] = []
    fleet = Fleet(
        compose(["engine.gpus=1", "ppm_engine.gpus=0", "cluster.keep_engines=false"]), ScriptedEngine, ScriptedEngine
    )
    try:
        asyncio.run(fleet.open(Models("no-weights", None)))
        assert not ray.available_resources().get("GPU")
        with Trainings(silence_seconds=3.0, say=said.append) as trainings, ThreadPoolExecutor(1) as thread:
            training = thread.submit(trainings.train, replace(job, out=job.out.with_name("on-a-gpu")), print)
            until = time.monotonic() + 60
            while not said and time.monotonic() < until:
                time.sleep(0.1)
            assert "it waits for room" in said[0]
            assert trainings._at_work is not None
            trainings._at_work.silence_seconds = 120.0
            asyncio.run(fleet.stage_over())
            failed = training.exception(timeout=120)
            assert failed is None or re.search("NCCL|CUDA", str(failed))
    finally:
        asyncio.run(fleet.release())
        leave()


def test_what_a_machine_took_along_is_told_from_an_error_that_would_come_again() -> None:
    from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
    from ray.train.v2.api.exceptions import WorkerGroupError

    from rstar_math.training.failures import reason, were_lost

    gone = WorkerHealthCheckFailedError("no answer", RayActorError(error_msg="The actor died: its node was drained."))
    alone = RuntimeError("[gloo/pair.cc:538] Connection closed by peer [10.0.0.7]:4711")
    own = RuntimeError("CUDA out of memory")
    both = WorkerGroupError("", {0: alone, 1: gone})
    assert were_lost(both)
    assert reason(both) == "rank 1: The actor died: its node was drained."
    assert were_lost(WorkerGroupError("", {0: alone}))
    assert not were_lost(WorkerGroupError("", {0: alone, 1: own}))
    assert not were_lost(WorkerGroupError("", {0: gone, 1: own}))
    assert not were_lost(RayActorError(error_msg="the controller died"))


def test_all_ranks_go_on_from_the_checkpoint_that_the_first_sees(job: TrainingJob, monkeypatch, tmp_path) -> None:
    """Each looked for itself, and a shared file system may show one rank another newest checkpoint than the next."""
    from rstar_math.training import rank

    firsts = tmp_path / "checkpoint-8"
    monkeypatch.setattr(rank, "last_complete", lambda _: pytest.fail("this rank looked for itself"))
    monkeypatch.setattr(rank.ranks, "broadcast_object_list", lambda found, src: found.__setitem__(0, firsts))
    monkeypatch.setattr(rank.ranks, "get_rank", lambda: 1)
    with pytest.raises(TrainingError, match=r"Rank 1 on .* does not see .*checkpoint-8.*all nodes share"):
        rank._going_on_from(job, first=False)
    firsts.mkdir()
    assert rank._going_on_from(job, first=False) == firsts


def test_a_model_is_on_disk_before_its_checkpoints_go(job: TrainingJob, monkeypatch, tmp_path) -> None:
    """A loss of power could take the model after its checkpoints were deleted, and so the whole training."""
    from rstar_math.training import kept

    told: list[str] = []
    done = replace(job, out=tmp_path / "model")
    done.out.mkdir()
    (done.out / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(kept, "sync", lambda path: told.append(path.name))
    monkeypatch.setattr(kept, "drop_all", lambda _: told.append("checkpoints go"))
    kept.finish(done, {"steps": 1})
    assert told.index("model.safetensors") < told.index("model") < told.index("checkpoints go")


def test_an_untrained_ppm_whose_node_is_lost_is_no_traceback(job: TrainingJob, monkeypatch) -> None:
    from rstar_math.training import untrained

    def lost(*_: object, **__: object) -> None:
        raise RayActorError(error_msg="The node was drained")

    monkeypatch.setattr(
        untrained.ray, "remote", lambda _: SimpleNamespace(options=lambda **_: SimpleNamespace(remote=print))
    )
    monkeypatch.setattr(untrained.ray, "get", lost)
    with pytest.raises(TrainingError, match=r"No untrained PPM could be written to .*The node was drained"):
        untrained.leave_untrained(job, 1.0)

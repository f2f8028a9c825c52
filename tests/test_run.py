"""What a run tells its stages, and what a stage's fingerprint is made of."""

import errno
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import huggingface_hub
import pytest
from artefacts import flip_a_bit
from click.testing import CliRunner
from huggingface_hub.errors import LocalEntryNotFoundError

from rstar_math.checkpoints import locate
from rstar_math.cli import launch
from rstar_math.cli.compose import compose
from rstar_math.cli.main import main
from rstar_math.cluster.fleet import Fleet
from rstar_math.config import EvaluationConfig, RunConfig, TrackingConfig
from rstar_math.errors import EngineError, StageError
from rstar_math.evolution import evolve
from rstar_math.evolution.inputs import digest_of
from rstar_math.evolution.places import Place
from rstar_math.evolution.run import Desk, Run, UntilReached
from rstar_math.evolution.store import Store
from rstar_math.mutual.ways import ways
from rstar_math.report.progress import Progress
from rstar_math.search.task import Task
from rstar_math.tracking import Tracker
from rstar_math.training.launch import Trainings


def open_here(tmp_path: Path, config: RunConfig, until: str | None = None) -> Run:
    tmp_path.mkdir(exist_ok=True)
    tracker = Tracker(tmp_path, replace(config.tracking, wandb=False), config.name, {})
    last = Place.parse(until) if until else None
    return Run(config, Store(tmp_path), Fleet(config), Trainings(), Progress(), tracker, last)


def work(desk: Desk, folder: Path, **given: Any) -> dict[str, float]:
    (folder / "done.txt").write_text(" ".join(sorted(given)))
    return {"seed": desk.seed, "words": 2}


def test_a_stages_seed_fits_in_32_bits_and_differs_by_round_and_stage(tmp_path) -> None:
    config = compose([])
    desks = [
        Desk(replace(config, seed=seed), Place.of(number, stage), *[None] * 4)  # type: ignore[arg-type]
        for seed in range(20)
        for number in (1, 2)
        for stage in ("trees", "policy")
    ]
    seeds = [desk.seed for desk in desks]
    assert max(seeds) < 2**32
    assert len(set(seeds)) == len(seeds)


def test_a_knob_is_named_as_a_user_would_turn_it(tmp_path) -> None:
    config = compose([])
    run = open_here(tmp_path, config)
    run.once(2, "policy", work, training=config.plan(2).policy)
    changed = compose(["round.r2.policy.learning_rate=0.5"])
    before = re.escape(str(config.plan(2).policy.learning_rate))
    with pytest.raises(StageError, match=rf"'round\.r2\.policy\.learning_rate' was {before} and is now 0\.5"):
        open_here(tmp_path, changed).once(2, "policy", work, training=changed.plan(2).policy)


@pytest.mark.parametrize(
    ("number", "stage", "overrides", "named"),
    [
        (5, "harvest", ["round.r4.harvest.trajectories=5"], "round.r4.harvest.trajectories"),
        (4, "control", ["round.r4.policy.epochs=7"], "round.r4.policy.epochs"),
        (4, "ppm", ["round.r4.ppm.epochs=7"], "round.r4.ppm.epochs"),
        (4, "scores", ["mutual.rollouts=7"], "mutual.rollouts"),
    ],
)
def test_a_changed_knob_is_named_by_one_that_there_is(number, stage, overrides, named, tmp_path) -> None:
    """The messages said round.r5.…, round.r4.control.… and round.r4.mutual.…, which nobody can turn."""

    def given(config: RunConfig) -> dict[str, Any]:
        plan = config.plan(number)
        knobs = {"harvest": plan.harvest, "control": plan.policy, "ppm": plan.ppm}
        name = {"harvest": "harvest", "scores": "mutual"}.get(stage, "training")
        return {name: knobs.get(stage, config.mutual)}

    before, after = (compose(["rounds=5", "mutual.task=gsm8k", *more]) for more in ([], overrides))
    open_here(tmp_path, before).once(number, stage, work, **given(before))
    with pytest.raises(StageError, match=rf"the knob '{re.escape(named)}' was"):
        open_here(tmp_path, after).once(number, stage, work, **given(after))
    compose([f"{named}=7"])


def test_a_longer_line_of_a_search_over_actions_is_named_by_its_own_knob(tmp_path) -> None:
    def lines(*overrides: str) -> dict[str, Any]:
        (strategy,) = ways(
            compose(["mutual.strategies=[self-consistency@4]", *overrides]).mutual, Task("t"), second=False
        )
        return {"mutual": strategy.plan, "problems": None}

    place = Place.of(4, "scores").part("reasoning")
    open_here(tmp_path, compose([])).alone(place, tmp_path / "trees", work, **lines())
    with pytest.raises(StageError, match=r"the knob 'mutual\.max_line_tokens' was 256 and is now 99"):
        open_here(tmp_path, compose([])).alone(place, tmp_path / "trees", work, **lines("mutual.max_line_tokens=99"))
    open_here(tmp_path, compose([])).alone(place, tmp_path / "trees", work, **lines("mutual.agreement=loose"))


def test_what_costs_little_is_made_anew_with_another_setting_and_not_refused(tmp_path) -> None:
    made = []

    def note(desk, folder, *, evaluation) -> dict[str, float]:
        made.append(evaluation.top)
        (folder / "done.txt").write_text(str(evaluation.top))
        return {}

    place, evaluation = Place.of(4, "scores").part("read"), EvaluationConfig(top=4)
    for knobs in (evaluation, evaluation, replace(evaluation, top=5)):
        folder = open_here(tmp_path, compose([])).anew(place, tmp_path / "scores", note, evaluation=knobs)
    assert made == [4, 5]
    assert (folder / "done.txt").read_text() == "5"
    partial = folder.rename(folder.with_name("scores.partial"))
    (partial / "manifest.json").rename(partial / "begun.json")  # half done with the other setting
    open_here(tmp_path, compose([])).anew(place, tmp_path / "scores", note, evaluation=evaluation)
    assert made == [4, 5, 4]


@pytest.mark.parametrize("damaged", ["model.safetensors", "config.json", "chat_template.jinja", "models.json"])
def test_one_flipped_bit_of_a_base_is_noticed_before_it_is_read_again(tmp_path, damaged) -> None:
    """Of a model that no stage made a sample was known alone, and what differed in it was taken for another model."""
    base, root = tmp_path / "base", tmp_path / "run"
    base.mkdir()
    for name in ("config.json", "chat_template.jinja"):
        (base / name).write_text('{"a": 1}')
    (base / "model.safetensors").write_bytes(bytes(20_000_000))
    open_here(root, compose([])).once(0, "scores", work, policy=base)
    open_here(root, compose([])).once(1, "trees", work, policy=base)
    file = root / "models.json" if damaged == "models.json" else base / damaged
    before = digest_of(base)
    flip_a_bit(file, 0.504)
    assert (digest_of(base) == before) is (damaged in ("model.safetensors", "models.json"))
    with pytest.raises(StageError, match=rf"{damaged} is damaged"):
        open_here(root, compose([])).once(1, "policy", work, policy=base)
    assert not (root / "round-1" / "policy").exists()
    flip_a_bit(file, 0.504)
    open_here(root, compose([])).once(1, "policy", work, policy=base)


def test_a_run_that_goes_on_elsewhere_knows_its_base_there(tmp_path) -> None:
    base, other, root = tmp_path / "base", tmp_path / "other", tmp_path / "run"
    base.mkdir()
    (base / "model.safetensors").write_bytes(bytes(20_000_000))
    open_here(root, compose([])).once(0, "scores", work, policy=base)
    base.rename(other)
    flip_a_bit(other / "model.safetensors", 0.504)
    with pytest.raises(StageError, match=r"other/model\.safetensors is damaged"):
        open_here(root, compose([])).once(1, "trees", work, policy=other)
    flip_a_bit(other / "model.safetensors", 0.504)
    open_here(root, compose([])).once(1, "trees", work, policy=other)
    (other / "vocab.txt").touch()
    with pytest.raises(StageError, match=r"vocab\.txt is new"):
        open_here(root, compose([])).once(1, "policy", work, policy=other)


def test_another_base_is_refused_with_the_knob_that_names_it(tmp_path) -> None:
    open_here(tmp_path, compose([])).once(0, "scores", work, policy="org/one")
    with pytest.raises(
        StageError, match=r"the input 'policy' \(what policy= or base= names, or an earlier stage made\)"
    ):
        open_here(tmp_path, compose([])).once(0, "scores", work, policy="org/another")


def test_what_does_not_change_a_result_does_not_change_its_fingerprint(tmp_path) -> None:
    config = compose([])
    open_here(tmp_path, config).once(2, "trees", work, search=config.plan(2).search)
    moved = compose(["cluster.trees_in_flight=7", "engine.replicas=3"])
    folder = open_here(tmp_path, moved).once(2, "trees", work, search=moved.plan(2).search)
    assert (folder / "done.txt").is_file()


@pytest.mark.parametrize(
    ("stage", "knob"),
    [
        ("trees", "grading.tolerance=0.01"),
        ("problems", "grading.rounded_digits=4"),
        ("trees", "sandbox.wall_seconds=1.0"),
        ("trees", "engine.max_model_tokens=256"),
        ("control-scores", "sandbox.memory_mb=64"),
    ],
)
def test_what_an_answer_is_compared_by_and_a_program_may_use_up_stays_the_same_within_a_stage(
    tmp_path, stage, knob
) -> None:
    """Half of a stage's trees were graded by one rule and half by another, without a word."""
    open_here(tmp_path, compose([])).once(1, stage, work)
    with pytest.raises(StageError, match=rf"'{knob.partition('=')[0]}' was .* and is now {knob.partition('=')[2]}"):
        open_here(tmp_path, compose([knob])).once(1, stage, work)
    assert open_here(tmp_path, compose([knob])).once(1, "harvest", work).is_dir()


def test_stages_of_one_name_and_one_that_is_done_again_are_tracked_apart(tmp_path) -> None:
    """All benchmarks of an evaluation, and a stage done anew, wrote into one wandb run."""
    attempts: list[str] = []

    class Noting(Tracker):
        def stage(self, round: int, stage: str, attempt: str, label: str = "") -> Any:
            attempts.append(attempt)
            return super().stage(round, stage, attempt, label)

    def stop(_desk: Desk, folder: Path, **_: object) -> dict[str, float]:
        (folder / "part").touch()
        raise KeyboardInterrupt

    run = replace(open_here(tmp_path, compose([])), tracker=Noting(tmp_path, TrackingConfig(wandb=False), "x", {}))
    with pytest.raises(KeyboardInterrupt):
        run.alone(Place.of(4, "scores"), tmp_path / "first", stop)
    run.alone(Place.of(4, "scores"), tmp_path / "first", work)
    run.alone(Place.of(4, "scores"), tmp_path / "second", work)
    shutil.rmtree(tmp_path / "first")
    run.alone(Place.of(4, "scores"), tmp_path / "first", work)
    assert attempts[0] == attempts[1]
    assert len(set(attempts)) == 3


def test_a_finished_training_may_move_to_other_machines(tmp_path) -> None:
    config = compose([])
    open_here(tmp_path, config).once(2, "policy", work, training=config.plan(2).policy)
    moved = compose(
        [f"round.r2.policy.{knob}" for knob in ("ranks=8", "deepspeed=zero3", "micro_batch_size=1", "log_steps=3")]
    )
    folder = open_here(tmp_path, moved).once(2, "policy", work, training=moved.plan(2).policy)
    assert (folder / "done.txt").is_file()


def test_a_training_that_is_half_done_keeps_the_form_of_its_checkpoints(tmp_path) -> None:
    def stop_halfway(_desk: Desk, folder: Path, **_: object) -> dict[str, float]:
        (folder / "checkpoint").touch()
        raise KeyboardInterrupt

    config = compose([])
    with pytest.raises(KeyboardInterrupt):
        open_here(tmp_path, config).once(2, "policy", stop_halfway, training=config.plan(2).policy)
    moved = compose(["round.r2.policy.ranks=8"])
    with pytest.raises(StageError, match=r"the knob 'round\.r2\.policy\.ranks' was 2 and is now 8"):
        open_here(tmp_path, moved).once(2, "policy", work, training=moved.plan(2).policy)
    watched = compose(["round.r2.policy.save_steps=5", "round.r2.policy.threads_per_rank=3"])
    assert open_here(tmp_path, watched).once(2, "policy", work, training=watched.plan(2).policy).is_dir()


def test_until_ends_the_run_before_the_stage_after_it(tmp_path) -> None:
    run = open_here(tmp_path, compose([]), until="round-1.harvest")
    run.once(1, "trees", work)
    run.once(1, "harvest", work)
    with pytest.raises(UntilReached):
        run.once(1, "policy", work)


def test_until_a_round_includes_all_of_its_stages(tmp_path) -> None:
    run = open_here(tmp_path, compose([]), until="round-1")
    run.once(1, "control-scores", work)
    with pytest.raises(UntilReached):
        run.once(2, "trees", work)


def test_every_stages_numbers_are_tracked(tmp_path) -> None:
    open_here(tmp_path, compose([])).once(1, "harvest", work)
    assert '"words": 2' in (tmp_path / "metrics.jsonl").read_text()


def test_a_problem_file_with_other_content_is_another_input(tmp_path) -> None:
    file = tmp_path / "problems.jsonl"
    file.write_text('{"question": "1 + 1?", "answer": "2"}\n')
    config = compose([f"problems.path={file}"])
    run = open_here(tmp_path / "run", config)
    run.once(0, "problems", work, problems=config.problems)
    run.once(0, "problems", work, problems=config.problems)
    file.write_text('{"question": "1 + 2?", "answer": "3"}\n')
    with pytest.raises(StageError, match=r"the input 'problems\.path' was"):
        run.once(0, "problems", work, problems=config.problems)


def test_a_refused_start_leaves_the_record_of_what_made_the_results(tmp_path) -> None:
    config = compose([])
    open_here(tmp_path, config).once(2, "policy", work, training=config.plan(2).policy)
    record = (tmp_path / "run.json").read_text()
    changed = compose(["round.r2.policy.learning_rate=0.5", "seed=7"])
    with pytest.raises(StageError):
        open_here(tmp_path, changed).once(2, "policy", work, training=changed.plan(2).policy)
    assert (tmp_path / "run.json").read_text() == record
    assert {"python", "revision", "torch", "rstar-math"} <= set(json.loads(record)["versions"])


def test_a_first_start_that_fails_later_keeps_what_it_made(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(launch.signal, "signal", lambda *_: None)
    root = tmp_path / "run"
    with pytest.raises(EngineError), launch.open_run(compose(["tracking.wandb=false"]), root) as run:
        run.once(0, "problems", work)
        raise EngineError("the engine does not answer")
    assert (root / "round-0" / "problems" / "done.txt").is_file()


@pytest.mark.parametrize(
    "error", [StageError("from=round-9"), OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()]
)
def test_a_first_start_that_ends_before_it_made_something_leaves_nothing(tmp_path, monkeypatch, error) -> None:
    """A disk that was full, or a Ctrl-C, left runs/NAME with a lock in it; a refusal left runs/."""
    monkeypatch.setattr(launch.signal, "signal", lambda *_: None)
    config = compose(["tracking.wandb=false"])
    with pytest.raises(type(error)), launch.open_run(config, tmp_path / "runs" / "new"):
        raise error
    assert not list(tmp_path.iterdir())
    (tmp_path / "runs" / "another").mkdir(parents=True)
    monkeypatch.setattr(launch, "write_json", partial(_fail, error))
    with pytest.raises(type(error)), launch.open_run(config, tmp_path / "runs" / "new"):
        raise AssertionError("it began")
    assert [path.name for path in tmp_path.rglob("*")] == ["runs", "another"]


def _fail(error: BaseException, *_: object) -> None:
    raise error


@pytest.mark.parametrize("command", ["grow", "harvest", "train-policy", "train-ppm", "evaluate", "compare"])
def test_a_copy_is_refused_where_none_is_kept(tmp_path, monkeypatch, command) -> None:
    """These commands took mirror.url without a word, and nothing was copied."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given" / "train").mkdir(parents=True)
    given = {"harvest": ["trees=given"], "train-policy": ["data=given"], "train-ppm": ["data=given"]}
    given["compare"] = given["train-ppm"]
    given |= {name: [*given.get(name, []), "policy=seedling"] for name in ("train-ppm", "evaluate", "compare")}
    done = CliRunner().invoke(main, [command, "out=made", "mirror.url=s3://bucket/x", *given.get(command, [])])
    assert done.exit_code == 2
    assert "only a whole run (`evolve`) has a copy" in done.output
    assert not (tmp_path / "made").exists()


def test_a_stage_by_itself_names_its_knobs_by_the_plan_it_follows(tmp_path) -> None:
    config = compose([])
    run = open_here(tmp_path, config)
    run.alone(Place.of(3, "harvest"), tmp_path / "out", work, harvest=config.plan(3).harvest)
    with pytest.raises(StageError, match=r"'round\.r3\.harvest\.trajectories' was 2 and is now 5"):
        run.alone(
            Place.of(3, "harvest"), tmp_path / "out", work, harvest=replace(config.plan(3).harvest, trajectories=5)
        )


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "done.txt").write_text("changed!"), r"done\.txt is damaged"),
        (lambda folder: (folder / "done.txt").write_text(""), r"done\.txt is damaged"),
        (lambda folder: (folder / "done.txt").unlink(), r"done\.txt is missing"),
        (lambda folder: (folder / "more.txt").write_text("?"), r"more\.txt does not belong there"),
    ],
)
def test_a_stage_whose_files_are_not_as_they_were_is_named_before_it_is_used(tmp_path, damage, said) -> None:
    config = compose([])
    run = open_here(tmp_path, config)
    trees = run.once(1, "trees", work, search=config.plan(1).search)
    damage(trees)
    with pytest.raises(StageError, match=rf"{said}.*from=round-1\.trees"):
        run.once(1, "harvest", work, harvest=config.plan(1).harvest, trees=trees)
    assert not (tmp_path / "round-1" / "harvest").exists()
    run.store.set_aside("round-1.trees")
    again = run.once(1, "trees", work, search=config.plan(1).search)
    assert run.once(1, "harvest", work, harvest=config.plan(1).harvest, trees=again).is_dir()


def test_another_round_of_a_finished_run_does_that_round_alone(tmp_path, monkeypatch) -> None:
    done: list[str] = []

    def stage(desk: Desk, folder: Path, **given: Any) -> dict[str, float]:
        done.append(str(desk.place))
        return work(desk, folder, **given)

    def stages_of(rounds: int) -> list[str]:
        done.clear()
        evolve.evolve(open_here(tmp_path, compose([f"rounds={rounds}"])))
        return list(done)

    for name in ("gather_problems", "grow", "harvest", "train_policy", "train_ppm", "train_control", "score"):
        monkeypatch.setattr(evolve, name, stage)
    monkeypatch.setattr(evolve, "say_if_short", lambda _: None)
    assert len(stages_of(2)) == 2 + 5 + 5 + 2
    before = {file: file.read_text() for file in tmp_path.glob("round-*/*/done.txt")}
    assert stages_of(2) == []
    names = ("trees", "harvest", "policy", "ppm", "scores", "control", "control-scores")
    assert stages_of(3) == [f"round-3/{name}" for name in names]
    assert before.items() <= {file: file.read_text() for file in tmp_path.glob("round-*/*/done.txt")}.items()


@pytest.mark.slow
def test_a_run_that_is_asked_to_end_keeps_its_trees_and_says_how_to_go_on(tmp_path) -> None:
    """Ray had put its own handler of SIGTERM there: the run ended with code 15 and no word."""
    questions = [{"problem": f"What is {n} + 3?", "answer": str(n + 3)} for n in range(400)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    command = [
        sys.executable,
        str(Path(__file__).with_name("scripted_evolve.py")),
        "evolve",
        "problems.path=sums.jsonl",
    ]
    command += ["name=sums", "problems.held_out_count=6", "tracking.wandb=false", "cluster.trees_per_part=8"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        line = next(line for line in run.stdout if "· trees" in line)
        assert "starts" in line
        while not list(tmp_path.glob("runs/sums/round-1/trees.partial/train/part-*")):
            assert run.poll() is None, run.stdout.read()
            time.sleep(0.1)
        too_late = Timer(30, run.kill)
        too_late.start()
        run.terminate()
        said = run.stdout.read()
        assert run.wait() == 130
        too_late.cancel()
    assert "Everything finished is kept. Go on with:" in said
    assert list(tmp_path.glob("runs/sums/round-1/trees.partial/train/part-*"))


#: A start of Ray's in a process that is asked to end meanwhile.
ASKED_TO_END = """
import os, signal, threading, time
from ray._private import services
from rstar_math.cluster.joining import connect_to

def ask():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)

def started(*given, **more):
    try:
        ask()
    except KeyboardInterrupt:  # as Python does with one that is raised in a hook of fork
        print("swallowed", flush=True)
    return truly_started(*given, **more)

signal.signal(signal.SIGTERM, signal.default_int_handler)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "when",
    [
        "threading.Timer(1.0, ask).start()",
        "truly_started, services.start_ray_process = services.start_ray_process, started",
    ],
    ids=["while it starts", "where a fork swallows it"],
)
def test_a_run_that_is_asked_to_end_while_ray_starts_ends_in_order(when: str) -> None:
    """It ended with a code of Ray's, or did not hear it at all."""
    ends = "try:\n    connect_to(None)\n    time.sleep(9)\nexcept KeyboardInterrupt:\n    os._exit(130)\n"
    ended = subprocess.run([sys.executable, "-c", f"{ASKED_TO_END}{when}\n{ends}"], timeout=60, capture_output=True)
    assert ended.returncode == 130, ended.stderr


def test_ranks_stay_beside_what_else_stays_and_end_where_nothing_does() -> None:
    beside = [launch._beside_ranks(compose(["preset=demo", f"cluster={cluster}"])) for cluster in ("laptop", "1gpu")]
    assert beside == [pytest.approx(0.2 + 2 * 0.2), None]
    assert launch._beside_ranks(compose(["cluster=laptop", "cluster.address=auto"])) is None


def test_a_model_that_was_downloaded_before_is_not_asked_for_again(tmp_path, monkeypatch) -> None:
    """Each start asked the hub, waited for it, and went on with whatever revision stood there by then."""
    asked: list[bool] = []

    def snapshot_download(_model: str, *, local_files_only: bool = False, **_: object) -> str:
        asked.append(local_files_only)
        if local_files_only and len(asked) == 1:
            raise LocalEntryNotFoundError("not there, or not whole")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert [locate("org/model"), locate("org/model")] == [tmp_path, tmp_path]
    assert asked == [True, False, True]


def test_finished_scores_that_were_altered_are_refused_before_they_are_pooled(tmp_path) -> None:
    """A flipped bit of an answer's verdict went into the table of an evaluation that was asked for once more."""
    run = open_here(tmp_path, compose([]))
    folder = run.anew(Place.of(1, "scores").part("read"), tmp_path / "scores", work)
    (folder / "done.txt").write_text("altered")
    with pytest.raises(StageError, match=r"done\.txt is damaged.*with .*scores moved away"):
        run.anew(Place.of(1, "scores").part("read"), tmp_path / "scores", work)


def test_a_second_sigterm_does_not_end_what_the_first_one_left_time_for(monkeypatch) -> None:
    """Some send it again after a while: it fell into the checkpoint that was being saved."""
    before, clock = signal.getsignal(signal.SIGTERM), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    try:
        grace = launch._grace(compose(["cluster.shutdown_grace_seconds=30"]))
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        clock[0] = 20.0
        signal.raise_signal(signal.SIGTERM)
        assert grace.left == 10.0
        clock[0] = 40.0
        with pytest.raises(KeyboardInterrupt):  # it is over, and something hangs
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)

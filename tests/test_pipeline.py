"""The whole pipeline, with real engines, real trainings and a real cluster, on a few problems."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rstar_math.cli.compose import compose
from rstar_math.evolution.forecasting import foresee
from rstar_math.search.storage import read_trees
from rstar_math.seedling.mutual import DISCRIMINATOR, GENERATOR, grow_one
from rstar_math.seedling.recipe import Recipe

SMALL = (
    "name=small",
    "rounds=2",
    "problems.count=36",
    "problems.held_out_count=24",
    "problems.validation_count=18",
    "tracking.wandb=false",
    *(f"round.r{n}.search.{knob}" for n in (1, 2) for knob in ("rollouts=4", "candidates=4", "escalate_to=[]")),
    *(f"round.r{n}.{kind}.max_steps=6" for n in (1, 2) for kind in ("policy", "ppm")),
    *(f"round.r{n}.evaluation.{knob}" for n in (1, 2) for knob in ("rollouts=2", "candidates=3")),
    "round.r2.search.annotation=ppm",
)
STAGES = ("trees", "harvest", "policy", "ppm", "scores")


def rstar(*arguments: str, cwd: Path, check: int = 0) -> str:
    """Runs the command as a person would; returns what it printed."""
    done = subprocess.run(command(*arguments), cwd=cwd, capture_output=True, text=True, timeout=400)
    assert done.returncode == check, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def command(*arguments: str) -> Sequence[str]:
    return [sys.executable, "-m", "rstar_math", *arguments]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run of two rounds, in a folder with a space in its name: killed once on the way, then gone on with."""
    where = tmp_path_factory.mktemp("two rounds")
    started = subprocess.Popen(command("evolve", *SMALL), cwd=where, stdout=subprocess.DEVNULL, start_new_session=True)
    trees = where / "runs" / "small" / "round-1" / "trees"
    deadline = time.monotonic() + 240
    while not trees.exists() and started.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    assert trees.exists(), "the first trees did not grow in time"
    printed = rstar("evolve", *SMALL, cwd=where)
    (where / "printed.txt").write_text(printed)
    return where / "runs" / "small"


@pytest.mark.slow
def test_every_stage_of_every_round_is_finished(run) -> None:
    for number in (1, 2):
        for stage in STAGES:
            assert (run / f"round-{number}" / stage / "manifest.json").is_file(), f"round {number}, {stage}"
    assert not list(run.glob("**/*.partial"))


@pytest.mark.slow
def test_what_a_run_showed_predicts_one_like_it(run) -> None:
    made, _ = foresee(compose(SMALL), run)
    for number in (1, 2):
        told = json.loads((run / f"round-{number}" / "trees" / "manifest.json").read_text())["metrics"]
        (trees,) = (stage for stage in made.stages if (stage.round, stage.name) == (number, "trees"))
        assert trees.tokens == pytest.approx(told["tokens"], rel=0.3)
    printed = rstar("plan", *SMALL, f"measured={run}", cwd=run.parent.parent)
    assert "all rounds" in printed


@pytest.mark.slow
def test_after_a_kill_every_problem_has_its_tree_exactly_once(run) -> None:
    for number in (1, 2):
        ids = [tree.problem.id for tree in read_trees(run / f"round-{number}" / "trees" / "train")]
        assert len(ids) == len(set(ids)) == 36


@pytest.mark.slow
def test_only_steps_whose_code_ran_are_in_the_trees_and_correct_ones_in_the_harvest(run) -> None:
    trees = list(read_trees(run / "round-1" / "trees" / "train"))
    assert sum(tree.cost.failed_executions for tree in trees) > 0
    answers = {tree.problem.id: tree.problem.answer for tree in trees}
    rows = pq.read_table(run / "round-1" / "harvest" / "policy.parquet").to_pylist()
    assert rows
    for row in rows:
        assert row["steps"][-2]["output"] == answers[row["problem_id"]]


@pytest.mark.slow
def test_round_two_was_annotated_by_round_ones_ppm(run) -> None:
    first, second = (list(read_trees(run / f"round-{n}" / "trees" / "train")) for n in (1, 2))
    assert {node.prior for tree in first for node in tree.nodes} == {None}
    priors = [node.prior for tree in second for node in tree.nodes if node.prior is not None]
    assert priors
    assert all(-1 <= prior <= 1 for prior in priors)


@pytest.mark.slow
def test_scores_stand_where_they_are_looked_for(run) -> None:
    base = json.loads((run / "round-0" / "scores" / "metrics.json").read_text())
    last = json.loads((run / "round-2" / "scores" / "metrics.json").read_text())
    assert 0 <= base["greedy/pass@1"] <= 1
    assert {"greedy/pass@1", "mcts/pass@1", "mcts/pass@1/low", "mcts/pass@1/level_1"} <= set(last)
    assert last["greedy/pass@1/count"] == 24


@pytest.mark.slow
def test_the_held_out_trees_never_saw_the_ground_truth(run) -> None:
    for tree in read_trees(run / "round-2" / "scores" / "trees" / "mcts"):
        assert {node.verdict for node in tree.nodes} == {None}


@pytest.mark.slow
def test_the_run_ends_with_its_table_and_how_to_go_on(run) -> None:
    printed = (run.parent.parent / "printed.txt").read_text()
    for part in ("base", "round 1", "round 2", "control", "report.md", "rstar_math evolve", "problems.path="):
        assert part in printed
    assert (run / "report.md").is_file()
    assert len((run / "metrics.jsonl").read_text().splitlines()) > 10


@pytest.mark.slow
def test_a_finished_run_started_again_does_nothing_and_loads_no_torch(run) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.glob("round-*/**/*") if path.is_file()}
    again = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rstar_math", "evolve", *SMALL],
        cwd=run.parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "done before" in again.stdout
    loaded = {line.rsplit("|", 1)[-1].strip() for line in again.stderr.splitlines() if line.startswith("import time")}
    assert not loaded & {"torch", "vllm", "deepspeed"}
    assert before == {path: path.stat().st_mtime_ns for path in run.glob("round-*/**/*") if path.is_file()}


@pytest.mark.slow
def test_a_changed_knob_on_a_finished_stage_is_refused_with_both_values(run) -> None:
    printed = rstar("evolve", *SMALL, "round.r1.harvest.trajectories=1", cwd=run.parent.parent, check=1)
    assert "round.r1.harvest.trajectories" in printed
    assert "was 2 and is now 1" in printed
    assert "from=round-1.harvest" in printed


@pytest.mark.slow
def test_until_stops_before_the_next_stage_and_from_redoes_what_follows(run, tmp_path) -> None:
    copy = tmp_path / "runs" / "small"
    shutil.copytree(run, copy)
    rstar("evolve", *SMALL, "from=round-2.harvest", "until=round-2.harvest", cwd=tmp_path)
    assert (copy / "round-2" / "harvest" / "manifest.json").is_file()
    assert not (copy / "round-2" / "policy").exists()
    assert len(list((copy / "round-2").glob("policy.replaced-*"))) == 1


@pytest.mark.slow
def test_an_evaluation_goes_on_with_what_is_new_and_shows_it_all(run, tmp_path) -> None:
    models = (
        f"policy={run}/round-2/policy",
        f"ppm={run}/round-2/ppm",
        f"out={tmp_path}/scores",
        "tracking.wandb=false",
    )
    asked = ("limit=6", "round.r4.evaluation.rollouts=2", "round.r4.evaluation.candidates=2")
    rstar("evaluate", *models, *asked, "strategy=greedy", cwd=tmp_path)
    below, named = tmp_path / "scores/held-out/seed-0", ["greedy", "majority@4", "mcts@2"]
    before = (below / "greedy/trees/manifest.json").read_bytes()
    printed = rstar("evaluate", *models, *asked, f"strategy={','.join(named)}", cwd=tmp_path)
    assert (below / "greedy/trees/manifest.json").read_bytes() == before
    rows = json.loads((tmp_path / "scores/metrics.json").read_text())
    assert [row["strategy"] for row in rows] == named
    assert all(row["problems"] == 6 and row["tokens_a_problem"] > 0 for row in rows)
    assert all(name in printed for name in named)
    assert (tmp_path / "scores/scaling.svg").exists()
    # Read in other ways, by other knobs: the trees are those that are there, and weights are not even loaded.
    kept = {path: path.read_bytes() for path in below.glob("*/*/manifest.json") if path.parent.name != "scores"}
    assert {path.parent.name for path in kept} == {"trees", "worths"}
    others = ["best-of-n@4", "mcts-majority@2", "mcts@2"]
    top = "round.r4.evaluation.top=1"
    printed = rstar("evaluate", *models, *asked, top, f"strategy={','.join(others)}", cwd=tmp_path)
    assert {path: path.read_bytes() for path in kept} == kept
    rows = {row["strategy"]: row for row in json.loads((tmp_path / "scores/metrics.json").read_text())}
    assert set(rows) == set(others)
    assert rows["mcts-majority@2"]["value"] == rows["mcts@2"]["value"]  # of one vote the best is the majority


@pytest.mark.slow
def test_two_models_reason_in_plain_words_from_one_command(tmp_path) -> None:
    tiny = Recipe(batches=40, batch_size=8, swapped_words=0.0, hidden=64, layers=2, heads=2, feed_forward=128)
    for kind, recipe in ((GENERATOR, tiny), (DISCRIMINATOR, replace(tiny, batches=1, layers=1))):
        grow_one(tmp_path / kind.name, kind._replace(problems=400, recipe=recipe), seed=0)
    printed = rstar(
        "evaluate",
        f"policy={tmp_path}/generator",
        f"discriminator={tmp_path}/discriminator",
        f"out={tmp_path}/scores",
        "strategy=few-shot-cot,self-consistency@4,mutual",
        "limit=4",
        "engine.max_model_tokens=512",
        *("mutual.rollouts=4", "mutual.votes=3", "mutual.thoughts=2", "mutual.subquestions=2"),
        *("mutual.max_line_tokens=48", "tracking.wandb=false"),
        cwd=tmp_path,
    )
    rows = json.loads((tmp_path / "scores/metrics.json").read_text())
    named = ["few-shot-cot", "self-consistency@4", "generator-majority", "mutual"]
    assert [row["strategy"] for row in rows] == named
    assert all(name in printed for name in named)
    folder = tmp_path / "scores/held-out/seed-0/generator"
    judged = [json.loads(line) for line in (folder / "judged/judged.jsonl").read_text().splitlines()]
    trees = {tree.problem.id: tree for tree in read_trees(folder / "trees")}
    assert {row["id"] for row in judged} == set(trees)
    for row in judged:
        found = {str(r.leaf) for r in trees[row["id"]].rollouts if trees[row["id"]].nodes[r.leaf].answer is not None}
        assert set(row["completions"]) == found
    assert all(node.verdict is None for tree in trees.values() for node in tree.nodes)


@pytest.mark.slow
def test_solve_answers_with_a_scored_path(run) -> None:
    question = "Ben has 16 stamps. He finds 5. How many are there?"
    printed = rstar("solve", question, "--json", *SMALL, cwd=run.parent.parent)
    solved = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
    assert solved["question"] == question
    assert solved["path"]
    assert all(-1 <= step["score"] <= 1 for step in solved["path"])


@pytest.mark.slow
def test_solve_answers_a_file_of_questions_once(run) -> None:
    where = run.parent.parent
    questions = [
        "Ben has 16 stamps. He finds 5. How many are there?",
        "Tom has 3 apples. He buys 4. How many are there?",
    ]
    (where / "questions.csv").write_text("\n".join(["question", *(f'"{each}"' for each in questions)]))
    asked = ("solve", "questions.csv", "out=answered", *SMALL)
    rstar(*asked, cwd=where)
    rows = [json.loads(line) for line in (where / "answered" / "answers.jsonl").read_text().splitlines()]
    assert [row["question"] for row in rows] == questions
    assert all(row["path"] and -1 <= row["score"] <= 1 for row in rows if row["answer"] is not None)
    assert any(row["answer"] is not None for row in rows)
    metrics = (where / "answered" / "questions" / "seed-0").glob("mcts/scores/metrics.json")
    assert not list(metrics), "a score of what nobody knows"
    again = rstar(*asked, cwd=where)
    assert "mcts  done before" in again
    assert "2 of 2" in again or "1 of 2" in again


def test_bad_problems_are_refused_before_any_engine_starts_and_nothing_is_left(tmp_path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n{"question": "2 + 2?"}\n')
    printed = rstar("evolve", "name=bad", "problems.path=bad.jsonl", cwd=tmp_path, check=2)
    assert "bad.jsonl" in printed
    assert "2" in printed
    assert not (tmp_path / "runs" / "bad").exists()


def test_a_folder_that_is_no_model_is_refused_before_any_engine_starts(tmp_path) -> None:
    (tmp_path / "no model").mkdir()
    printed = rstar("evolve", "name=bad", "base=no model", cwd=tmp_path, check=2)
    assert "no model" in printed
    assert not (tmp_path / "runs" / "bad").exists()


def test_a_refused_start_leaves_a_folder_that_was_there_before(tmp_path) -> None:
    mine = tmp_path / "runs" / "mine" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    rstar("evolve", "name=mine", "problems.path=missing.jsonl", cwd=tmp_path, check=2)
    assert mine.read_text() == "mine"


def test_grade_reads_and_writes_rows(tmp_path) -> None:
    rows = [{"prediction": "1/2", "answer": "0.5"}, {"prediction": "3", "answer": "4"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    verdicts = [json.loads(line)["verdict"] for line in rstar("grade", "rows.jsonl", cwd=tmp_path).splitlines()]
    assert verdicts == ["correct", "wrong"]


def test_grade_takes_the_knobs_of_grading_with_a_file_and_with_standard_input(tmp_path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prediction": "3.1415", "answer": 3.14159}\n')
    for words, given in ((["rows.jsonl"], None), ([], (tmp_path / "rows.jsonl").read_text())):
        graded = subprocess.run(
            command("grade", *words, "grading.tolerance=0.01"),
            input=given,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert json.loads(graded.stdout)["verdict"] == "correct"


def test_run_code_reads_and_writes_rows(tmp_path) -> None:
    rows = [
        {"id": "a", "steps": ["x = 6", "print(x * 7)"]},
        {"id": "b", "steps": ["print(x)"]},
        {"id": "c", "steps": ["while True: ..."]},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    printed = rstar("run-code", "rows.jsonl", "sandbox.cpu_seconds=60", cwd=tmp_path)
    results = {row["id"]: row for row in map(json.loads, printed.splitlines())}
    assert results["a"] == {"id": "a", "status": "ok", "stdout": "42\n", "error": ""}
    assert results["b"]["status"] == "error"
    assert "NameError" in results["b"]["error"]
    assert results["c"]["status"] == "timeout"

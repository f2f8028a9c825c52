"""What the commands do where nothing more is said."""

import json
import shutil
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from artefacts import flip_a_bit
from click.testing import CliRunner
from planting import plant
from test_run import open_here

from rstar_math.cli import alone
from rstar_math.cli import compare as comparing
from rstar_math.cli import evaluate as evaluating
from rstar_math.cli import solve as solving
from rstar_math.cli import solve_file as solving_files
from rstar_math.cli.compose import compose, compose_again
from rstar_math.cli.doctor import _machine
from rstar_math.cli.main import main
from rstar_math.cli.solve import _Asking, choice_of
from rstar_math.cli.speaking import program
from rstar_math.cluster.fleet import Fleet, Models
from rstar_math.cluster.holding import Demand
from rstar_math.config import PolicyConfig, RunConfig
from rstar_math.disk import seal
from rstar_math.errors import ConfigError, StageError
from rstar_math.evolution.fingerprint import Fingerprint
from rstar_math.evolution.store import once
from rstar_math.problems.benchmarks import benchmark_names, compose_benchmark
from rstar_math.records import End, Rollout
from rstar_math.scripted import ExactJudge, ScriptedPolicy
from rstar_math.seedling import MODEL_PATH, SEED


async def test_solving_without_a_ppm_takes_the_most_frequent_answer() -> None:
    drawn = plant("a answer=4\nb answer=5\nc answer=5\nd answer=6")
    nodes = tuple(node._replace(prior=0.0) for node in drawn.nodes)
    tree = replace(drawn, nodes=nodes, rollouts=tuple(Rollout(leaf, End.ANSWER, 0.0) for leaf in range(1, 5)))
    asking = _Asking(RunConfig(), Models("policy"), None, tree.problem)
    unguided = await choice_of(tree, asking.strategy("mcts-majority"), ExactJudge())
    assert unguided is not None
    assert unguided.answer == "5"
    scored = replace(tree, nodes=(*nodes[:4], nodes[4]._replace(prior=0.7)))
    guided = await choice_of(scored, replace(asking, models=Models("policy", "ppm")).strategy("mcts"), ExactJudge())
    assert guided is not None
    assert guided.answer == "6"
    with pytest.raises(ConfigError, match="mcts needs a PPM"):
        asking.strategy("mcts")


@dataclass(frozen=True)
class NotedRun:
    """A run that does no stage but notes which ones are asked for."""

    config: RunConfig
    asked: list[Any]
    label: str = ""
    fleet: Fleet = field(default_factory=lambda: Fleet(RunConfig()))

    def alone(self, place, out, work, **inputs):
        self.asked.append((place, out, inputs, self.config.seed))
        out.mkdir(parents=True, exist_ok=True)
        (out / "answers.jsonl").write_text("")
        for name in ("metrics.json", "scaling.json"):
            (out / name).write_text("[]")
        return out

    anew = alone

    @property
    def progress(self):
        return SimpleNamespace(say=str)


@pytest.fixture
def measure(monkeypatch, tmp_path):
    """Runs the command with what is given; the stages it asked for."""

    def evaluate(*overrides: str, **given: str):
        asked: list[Any] = []

        @contextmanager
        def noted(config, out):
            yield NotedRun(config, asked)

        monkeypatch.setattr(evaluating, "open_run", noted)
        plans = ("round.r4.evaluation.rollouts=5", "round.r2.evaluation.rollouts=3")
        config = compose(["preset=demo", *plans, *overrides])
        evaluating.evaluate(config, {"policy": str(MODEL_PATH), "out": str(tmp_path / "out"), **given})
        return [(place, out.relative_to(tmp_path / "out"), inputs, seed) for place, out, inputs, seed in asked]

    return evaluate


@pytest.mark.parametrize(("given", "planned"), [({}, 4), ({"plan": "r2"}, 2)])
def test_an_evaluation_follows_the_last_rounds_plan_unless_told(given, planned, measure) -> None:
    place, _, inputs, _ = measure(**given)[-1]
    assert (place.round, inputs["evaluation"].rollouts) == (planned, {4: 5, 2: 3}[planned])


def test_every_benchmark_seed_and_search_has_stages_of_its_own_and_what_is_not_drawn_is_searched_once(
    measure, tmp_path
) -> None:
    """Greedy decoding was done again for each seed, with the same outcome."""
    (tmp_path / "gsm8k_test.jsonl").write_text("")
    stages = measure(
        benchmark="gsm8k,held-out", benchmarks=str(tmp_path), strategy="greedy,majority@8", seeds="2", limit="9"
    )
    assert [(str(out), seed) for _, out, _, seed in stages] == [
        (f"{name}/{folder}", seed)
        for name in ("gsm8k", "held-out")
        for folder, seed in (
            ("problems", 0),
            ("seed-0/greedy/trees", 0),
            ("seed-0/greedy/scores", 0),
            ("seed-0/sample@8/trees", 0),
            ("seed-0/sample@8/scores", 0),
            ("seed-1/sample@8/trees", 1),
            ("seed-1/sample@8/scores", 1),
        )
    ]
    problems = stages[0][2]["problems"]
    assert (problems.path, problems.limit) == (str(tmp_path / "gsm8k_test.jsonl"), 9)
    assert stages[7][2]["problems"].path is None


def test_how_trees_are_read_is_no_part_of_what_they_are_known_by(measure, monkeypatch) -> None:
    """The rule of choice, the votes and the interval's resamples stood in the search's fingerprint: another reading of the
    same trees was refused."""
    monkeypatch.setattr(evaluating, "resolve", lambda name, _: name)
    models = {"ppm": "a-ppm", "strategy": "mcts,majority@8"}
    knobs = ("round.r4.evaluation.top=3", "round.r4.evaluation.bootstrap=9")
    first, second = (
        {str(out): inputs for _, out, inputs, _ in measure(*own, **models) if "seed" in str(out)} for own in ((), knobs)
    )
    assert list(first) == [
        f"held-out/seed-0/{name}"
        for name in ("mcts/trees", "mcts/scores", "sample@8/trees", "sample@8/worths", "sample@8/scores")
    ]
    changed = [name for name in first if first[name] != second[name]]
    assert changed == ["held-out/seed-0/mcts/scores", "held-out/seed-0/sample@8/scores"]
    assert [first[f"held-out/seed-0/{name}/trees"]["ppm"] is None for name in ("mcts", "sample@8")] == [False, True]


@pytest.mark.parametrize("knob", ["grading.tolerance=0.01", "round.r4.evaluation.bootstrap=9"])
def test_another_tolerance_or_number_of_resamples_reads_the_trees_that_are_there_anew(knob, measure, tmp_path) -> None:
    """The benchmark's problems, which no tolerance changes, were refused with another one; scores in plain words kept the
    intervals of the resamples before."""
    given = {"strategy": "greedy,self-consistency@4", "benchmark": "held-out"}
    prints = []
    for own in ((), (knob,)):
        run = open_here(tmp_path / "run", compose(["preset=demo", *own]))
        stages = measure(*own, **given)
        prints.append({str(out): run._fingerprint(place, inputs) for place, out, inputs, _ in stages})
    first, second = prints
    changed = [name for name in first if first[name] != second[name] and "self-consistency@4/trees" not in name]
    assert changed == ["held-out/seed-0/greedy/scores", "held-out/seed-0/self-consistency@4/scores"]
    if "bootstrap" in knob:  # answers in plain words are compared while they grow, by another tolerance otherwise
        assert first["held-out/seed-0/self-consistency@4/trees"] == second["held-out/seed-0/self-consistency@4/trees"]


def test_ways_in_plain_words_are_asked_for_beside_the_others_each_with_its_benchmarks_kind_of_question(
    measure, tmp_path
):
    for name in ("strategyqa_dev", "math500"):
        (tmp_path / f"{name}.jsonl").write_text("")
    stages = measure(
        benchmark="strategyqa,math500,held-out",
        benchmarks=str(tmp_path),
        strategy="greedy,self-consistency@4,mutual",
        discriminator=str(MODEL_PATH),
    )
    asked = {str(out): inputs for _, out, inputs, _ in stages if "seed-0" in str(out)}
    assert [name for name in asked if name.startswith("strategyqa")] == [
        f"strategyqa/seed-0/{name}"
        for name in (
            "greedy/trees",
            "greedy/scores",
            "self-consistency@4/trees",
            "self-consistency@4/scores",
            "generator/trees",
            "generator/judged",
            "generator/scores",
        )
    ]
    assert asked["strategyqa/seed-0/greedy/trees"].keys() == {"evaluation", "problems", "policy", "ppm"}
    assert {name: inputs["mutual"].task.name for name, inputs in asked.items() if name.endswith("generator/trees")} == {
        "strategyqa/seed-0/generator/trees": "strategyqa",
        "math500/seed-0/generator/trees": "math",
        "held-out/seed-0/generator/trees": "wordproblems",
    }
    assert asked["held-out/seed-0/generator/scores"]["mutual"].strategies == ("generator-majority", "mutual")
    assert asked["held-out/seed-0/generator/judged"]["discriminator"] == str(MODEL_PATH)
    assert asked["held-out/seed-0/self-consistency@4/scores"]["judged"] is None


def test_the_second_model_may_stand_behind_a_server_of_its_own(measure) -> None:
    server = ("discriminator.url=http://127.0.0.1:8000/v1", "discriminator.model=second", "discriminator.tries=2")
    stages = measure(*server, strategy="mutual", discriminator="endpoint")
    (second,) = (inputs["discriminator"] for _, out, inputs, _ in stages if out.name == "judged")
    assert second == PolicyConfig("endpoint", url="http://127.0.0.1:8000/v1", model="second", tries=2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"benchmark": "gsm9k"}, "benchmark=gsm9k: choose from .*gsm8k"),
        ({"benchmark": "strategyqa"}, r"no strategyqa_dev.jsonl named: benchmarks=FOLDER"),
        ({"benchmark": "gsm8k", "benchmarks": "nowhere"}, "there is no such folder"),
        ({"strategy": "mcts"}, "needs a PPM"),
        ({"strategy": "mutual"}, "discriminator=MODEL"),
        ({"strategy": "self-consistency@x"}, "self-consistency@x: choose from"),
        ({"strategy": "mtual"}, "strategy=mtual: choose from greedy .*mcts-weighted .*few-shot-cot .*mutual"),
        ({"policy": "endpoint"}, r"policy\.url="),
        ({"strategy": "mutual", "discriminator": "endpoint"}, r"discriminator\.url="),
        ({"limit": "0"}, "limit=0"),
        ({"seeds": "-1"}, "seeds=-1"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_starts(given, said, measure) -> None:
    with pytest.raises(ConfigError, match=said):
        measure(**given)


def test_an_evaluation_keeps_its_engines_from_search_to_search(monkeypatch, tmp_path) -> None:
    """Where a run makes room for trainings, an evaluation started an engine anew for every search of every benchmark."""
    seen = []

    @contextmanager
    def noted(config, out):
        seen.append(config.cluster.keep_engines)
        yield NotedRun(config, [])

    monkeypatch.setattr(evaluating, "open_run", noted)
    config = compose(["preset=paper", "cluster=1gpu"])
    evaluating.evaluate(config, {"policy": str(MODEL_PATH), "out": str(tmp_path)})
    assert (config.cluster.keep_engines, seen) == (False, [True])


@pytest.mark.parametrize(
    ("strategy", "engines"), [("greedy,mcts@4", {"policy", "ppm"}), ("greedy,best-of-n@4", set()), ("greedy", set())]
)
def test_an_evaluation_looks_ahead_for_the_engines_that_one_of_its_searches_asks_at_once(
    strategy, engines, monkeypatch, tmp_path
) -> None:
    """What a cluster cannot hold beside each other was refused after the first search, which asks the policy alone; what is
    asked one after the other needs no place at once."""
    run = NotedRun(compose(["preset=demo"]), [])
    monkeypatch.setattr(evaluating, "open_run", lambda *_: nullcontext(run))
    ppm = {"ppm": "runs"} if strategy != "greedy" else {}
    monkeypatch.setattr(evaluating, "resolve", lambda path, _kind="policy": path)
    given = {"policy": str(MODEL_PATH), "out": str(tmp_path), "strategy": strategy, **ppm}
    evaluating.evaluate(run.config, given)
    assert run.fleet.to_come == Demand(frozenset(engines), search=bool(engines))


def test_reward_models_are_compared_on_solutions_drawn_once(monkeypatch, tmp_path) -> None:
    """Each had solutions drawn of its own, so what one was better by was also the luck of the draw."""
    asked: list[Any] = []

    @contextmanager
    def noted(config, out):
        yield NotedRun(config, asked)

    monkeypatch.setattr(comparing, "open_run", noted)
    (tmp_path / "harvest").mkdir()
    comparing.compare(
        compose(["preset=demo"]),
        {"policy": str(MODEL_PATH), "data": str(tmp_path / "harvest"), "out": str(tmp_path / "out")},
    )
    by_stage: dict[str, list[str]] = {}
    for place, out, _, _ in asked:
        by_stage.setdefault(place.stage, []).append(str(out.relative_to(tmp_path / "out")))
    rollouts = compose(["preset=demo"]).plan(4).evaluation.rollouts
    drawn = [out for out in by_stage["answers"] if "sample" in out]
    assert set(drawn) == {f"drawn/held-out/seed-0/sample@{rollouts}/trees"}
    assert by_stage["worths"] == [
        f"{objective}/held-out/seed-0/sample@{rollouts}/worths" for objective in ("orm", "pqm", "pairwise")
    ]
    assert {inputs["trees"] for place, _, inputs, _ in asked if place.stage == "worths"} == {
        tmp_path / "out" / drawn[0]
    }


def test_every_benchmark_can_be_read() -> None:
    for name in benchmark_names():
        compose_benchmark(name)


@pytest.mark.parametrize(("given", "seed"), [([], SEED), (["seed=7"], 7)])
def test_the_seedling_is_made_from_the_shipped_ones_seed_unless_told(given, seed, monkeypatch, tmp_path) -> None:
    made = []
    monkeypatch.setattr(alone, "grow_seedling_alone", lambda out, seed: made.append((out, seed)))
    result = CliRunner().invoke(main, ["seedling", f"out={tmp_path}", *given])
    assert result.exit_code == 0, result.output
    assert made == [(tmp_path, seed)]


def test_the_seedling_refuses_what_it_would_not_look_at(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(alone, "grow_seedling_alone", lambda out, seed: None)
    result = CliRunner().invoke(main, ["seedling", f"out={tmp_path}", "round.r1.policy.epochs=9"])
    assert result.exit_code == 2
    assert "round.r1.policy.epochs=9: seedling takes out=, seed= and variant= alone" in result.output


@pytest.mark.parametrize(
    ("command", "row", "said"),
    [
        ("grade", b'{"prediction": null, "answer": "1"}', "line 2: 'prediction' is text or a number; got null"),
        ("grade", b'{"prediction": "1", "answer": ["1"]}', "line 2: 'answer' is text or a number; got ["),
        ("grade", b'{"prediction": true, "answer": "1"}', "line 2: 'prediction' is text or a number; got true"),
        ("grade", b'{"prediction": "1"}', "line 2: no field answer"),
        ("grade", '{"prediction": "\xe9"}'.encode("latin-1"), "line 2: not in UTF-8"),
        ("run-code", '{"id": "\xe9"}'.encode("latin-1"), "line 2: not in UTF-8"),
        ("run-code", b'{"id": 1, "steps": "print(1)"}', "line 2: 'steps' is a list of code texts; got"),
    ],
)
def test_a_row_that_cannot_be_taken_is_refused_with_its_line(command, row, said, tmp_path) -> None:
    """Null was graded as the word None, a list as its brackets, and other encodings ended in a traceback."""
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\n" + row + b"\n")
    result = CliRunner().invoke(main, [command, str(file)])
    assert result.exit_code == 2
    assert f"{file}, {said}" in result.output


@pytest.mark.parametrize("command", ["grade", "run-code"])
def test_rows_of_a_file_that_is_not_there_are_refused_in_one_message(command, tmp_path) -> None:
    result = CliRunner().invoke(main, [command, str(tmp_path / "none.jsonl")])
    assert (result.exit_code, "none.jsonl: No such file" in result.output) == (2, True)


def test_the_doctor_looks_at_the_disk_of_a_folder_that_is_yet_to_be_made(tmp_path) -> None:
    (disk,) = (found for found in _machine(compose([f"runs={tmp_path}/no/such/runs"])) if found.part == "free disk")
    assert disk.seen.endswith(" GB")


@pytest.mark.parametrize(
    ("started", "on_path", "said"),
    [
        (["python", ".venv/bin/rstar-math", "evolve"], False, ".venv/bin/rstar-math"),
        (["python", ".venv/bin/rstar-math", "evolve"], True, "rstar-math"),
        (["/a b/python", "-m", "rstar_math", "evolve"], False, "'/a b/python' -m rstar_math"),
    ],
)
def test_the_way_to_go_on_names_the_program_as_it_can_be_started(started, on_path, said, monkeypatch, tmp_path) -> None:
    """After `make demo` the program is in .venv/bin alone, and the closing lines said `rstar-math`."""
    script = tmp_path / ".venv/bin/rstar-math"
    script.parent.mkdir(parents=True)
    script.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(script.parent if on_path else tmp_path))
    monkeypatch.setattr(sys, "orig_argv", started)
    monkeypatch.setattr(sys, "argv", [started[1] if "-m" not in started else "/x/__main__.py", "evolve"])
    assert program() == said


@pytest.fixture
def solve(monkeypatch, tmp_path):
    """Solves with a fleet that grows the given tree; the exit code, what was said, and the configuration asked for."""

    def run(tree, *words: str):
        asked: list[RunConfig] = []

        class Grown:
            def grow(self, *_, **__):
                async def grown():
                    yield [tree]

                return grown()

            async def policy(self, *_):
                return ScriptedPolicy(lambda _: [" so. The answer is 5.\n"])

        def opened(config):
            asked.append(config)
            return nullcontext(Grown())

        monkeypatch.setattr(solving, "open_fleet", opened)
        result = CliRunner().invoke(main, ["solve", "1 + 3?", f"runs={tmp_path}", *words])
        return result.exit_code, result.output, asked[0]

    return run


def solved(*answers: str):
    tree = plant("\n".join(f"{letter} answer={answer}" for letter, answer in zip("abc", answers, strict=False)) or "a")
    leaves = range(1, len(answers) + 1)
    nodes = tuple(node._replace(prior=0.5) for node in tree.nodes)
    return replace(tree, nodes=nodes, rollouts=tuple(Rollout(leaf, End.ANSWER, 0.0) for leaf in leaves))


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_question_without_an_answer_is_not_solved(words, solve) -> None:
    """It printed null and ended with 0."""
    code, said, _ = solve(solved(), f"policy={MODEL_PATH}", *words)
    assert code == 1
    assert "No answer: none of 0 rollouts reached one; try more, with round.r4.evaluation.rollouts=" in said
    assert solve(solved("4"), f"policy={MODEL_PATH}", *words)[0] == 0


def test_a_ppm_without_its_policy_is_refused_and_not_passed_over_in_silence(tmp_path) -> None:
    """The run's own PPM answered in its place."""
    for name in ("policy", "ppm"):
        folder = tmp_path / "demo" / "round-1" / name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    result = CliRunner().invoke(main, ["solve", "1 + 3?", f"runs={tmp_path}", "ppm=another"])
    assert result.exit_code == ConfigError("").exit_code
    assert "ppm=another" in result.output
    assert "policy=MODEL" in result.output


@pytest.mark.parametrize("named", [False, True])
def test_a_damaged_model_of_a_run_is_named_before_an_engine_starts_on_it(named, tmp_path, monkeypatch) -> None:
    """Whoever asked one question was answered by whatever weights were there."""
    root = tmp_path / "demo" / "round-1"
    for name in ("policy", "ppm"):
        once(
            root / name,
            Fingerprint({}, {}),
            lambda folder: shutil.copytree(MODEL_PATH, folder, dirs_exist_ok=True) and {},
        )
    opened: list[RunConfig] = []
    monkeypatch.setattr(solving, "open_fleet", opened.append)
    flip_a_bit(root / "policy" / "model.safetensors", 0.9)
    given = [f"policy={root / 'policy'}"] if named else []
    result = CliRunner().invoke(main, ["solve", "1 + 3?", f"runs={tmp_path}", *given])
    assert result.exit_code == 1
    assert "policy/model.safetensors is damaged" in "".join(result.output.split("\n"))
    assert opened == []


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ("majority@2", "with strategy=majority@8"),
        ("majority", "with round.r4.evaluation.rollouts="),
        ("greedy", "with strategy=majority@8 or another"),
        ("generator-majority", "with mutual.rollouts=128"),
        ("self-consistency", "with strategy=self-consistency@128"),
    ],
)
def test_where_no_answer_was_found_the_knob_that_helps_is_named(strategy, said, solve) -> None:
    assert said in solve(solved(), f"policy={MODEL_PATH}", f"strategy={strategy}")[1]


def test_of_two_answers_the_one_that_the_second_model_comes_to_solves_a_question(solve) -> None:
    two = ("strategy=mutual", "mutual.task=gsm8k", f"discriminator={MODEL_PATH}")
    code, said, _ = solve(solved("4", "5"), f"policy={MODEL_PATH}", *two, "--json")
    assert (code, json.loads(said)["answer"]) == (0, "5")
    code, said, _ = solve(solved("4", "5"), f"policy={MODEL_PATH}", "strategy=generator-majority", "--json")
    assert (code, json.loads(said)["answer"]) == (0, "4")


def test_a_question_is_solved_by_the_knobs_of_the_run_that_made_the_policy(solve, tmp_path) -> None:
    """It went by the demo's: steps of 32 tokens in a context of 512."""
    policy = tmp_path / "other" / "round-2" / "policy"
    policy.parent.mkdir(parents=True)
    policy.symlink_to(MODEL_PATH)
    kept = compose(["preset=paper", "cluster=laptop", "round.r4.evaluation.candidates=3"])
    seal(tmp_path / "other" / "run.json", {"config": asdict(kept), "versions": {}})
    _, _, config = solve(solved("4"), f"policy={policy}", "round.r4.evaluation.rollouts=5")
    evaluation = config.plan(4).evaluation
    assert (evaluation.candidates, evaluation.rollouts, evaluation.max_step_tokens) == (3, 5, 512)
    assert config.engine.max_model_tokens == 4096


@pytest.fixture
def solve_all(monkeypatch, tmp_path):
    """Solves a file of three questions, of which two find an answer; the outcome, and the stages that were asked for."""
    rows = [{"problem": f"{n} + {n}?", "id": n, "answer": ["no", "answer"]} for n in (1, 2, 3)]
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    class Answered(NotedRun):
        def alone(self, place, out, work, **inputs):
            super().alone(place, out, work, **inputs)
            if out.name == "problems":
                work(SimpleNamespace(progress=self.progress), out, **inputs)
            elif out.name == "scores":
                found = [("2", "4", 0.5), ("3", None, None), ("1", "2", -0.5)]
                shared = {"strategy": self.name, "path": ["a", "b"]}
                other = {"id": "1", "answer": "9", "score": 0.0, "strategy": "another", "path": []}
                rows = [dict(zip(("id", "answer", "score"), row, strict=True)) | shared for row in found] + [other]
                (out / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            return out

        anew = alone

    def run(*words: str, name: str):
        asked: list[Any] = []
        answered = type("Named", (Answered,), {"name": name})
        monkeypatch.setattr(solving_files, "open_run", lambda config, out: nullcontext(answered(config, asked)))
        monkeypatch.setattr(solving, "resolve", lambda path, _kind="policy": path)
        result = CliRunner().invoke(main, ["solve", str(file), f"policy={MODEL_PATH}", *words])
        return result, [
            (place.stage, str(out.relative_to(tmp_path / "out")), inputs) for place, out, inputs, _ in asked
        ]

    return run


def test_a_file_of_questions_is_answered_in_its_order_without_any_ground_truth(solve_all, tmp_path) -> None:
    """Each question had to be asked by itself, with engines that started anew."""
    result, stages = solve_all("ppm=runs", f"out={tmp_path / 'out'}", name="mcts")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()]
    assert [(row["id"], row["question"], row["answer"], row["score"]) for row in rows] == [
        ("1", "1 + 1?", "2", -0.5),
        ("2", "2 + 2?", "4", 0.5),
        ("3", "3 + 3?", None, None),
    ]
    assert rows[0]["path"] == ["a", "b"]
    assert [out for _, out, _ in stages] == [
        "questions/problems",
        "questions/seed-0/mcts/trees",
        "questions/seed-0/mcts/scores",
    ]
    assert (stages[1][2]["ppm"], stages[0][2]["problems"].path) == (Path("runs"), str(tmp_path / "mine.jsonl"))


def test_a_file_of_questions_has_no_scores_where_no_ppm_was_asked(solve_all, tmp_path) -> None:
    result, stages = solve_all(f"out={tmp_path / 'out'}", name="majority")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()]
    assert [row["score"] for row in rows] == [None] * 3
    assert stages[1][2]["ppm"] is None
    two = ("strategy=mutual", f"discriminator={MODEL_PATH}", f"out={tmp_path / 'out'}")
    result, stages = solve_all(*two, name="mutual")
    assert result.exit_code == 0, result.output
    assert [stage for stage, _, _ in stages] == ["benchmark", "reasoning", "judged", "read"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mine.jsonl"], "solve mine.jsonl needs out=PATH"),
        (["mine.jsonl", "--json", "out=x"], "--json is for one question"),
        (["nine.jsonl", "out=x"], "there is no file nine.jsonl"),
        (["mine.jsonl", "out=x", "strategy=mcts"], "mcts needs a PPM"),
        (["mine.jsonl", "out=x", "strategy=mutual"], "discriminator=MODEL"),
        (["1 + 1? " * 99, "out=x"], "there is no file 1 + 1?"),
        (["answers.jsonl", "out=."], "would be written over it"),
    ],
)
def test_a_file_that_cannot_be_solved_is_refused_before_anything_starts(words, said, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "answers"):
        (tmp_path / f"{name}.jsonl").write_text('{"question": "1 + 1?"}\n')
    result = CliRunner().invoke(main, ["solve", *words, f"policy={MODEL_PATH}"])
    assert result.exit_code == 2
    assert said in result.output
    assert not (tmp_path / "x").exists()


def test_a_runs_knobs_take_groups_and_maps_on_top_and_make_room_for_a_preset(tmp_path) -> None:
    file = tmp_path / "run.json"
    seal(file, {"config": asdict(compose(["preset=paper", "engine.extra.a=1"])), "versions": {}})
    assert compose_again(file) == compose(["preset=paper", "engine.extra.a=1"])
    moved = compose_again(file, ["cluster=1gpu", "engine.extra.b=2"])
    assert (moved.engine.gpus, moved.engine.extra, moved.name) == (0.6, {"a": 1, "b": 2}, "paper")
    assert compose_again(file, ["preset=demo"]) == compose(["preset=demo"])
    with pytest.raises(ConfigError, match=r"did you mean round\.r4\.evaluation\.rollouts"):
        compose_again(file, ["round.r4.evaluation.rolouts=5"])
    seal(file, {"config": {"nmae": "x"}})
    with pytest.raises(ConfigError, match=r"run\.json holds no configuration of a run \(nmae.*preset=NAME"):
        compose_again(file)


@pytest.mark.parametrize("harm", ["a flipped bit", "cut short", "of no checksum"])
def test_a_damaged_record_of_a_run_is_refused_and_no_question_solved_by_other_knobs(tmp_path, harm) -> None:
    """A flipped bit of a number in it was another setting."""
    file = tmp_path / "run.json"
    seal(file, {"config": asdict(compose([])), "versions": {"python": "3.12"}})
    assert compose_again(file) == compose([])
    written = file.read_text()
    harmed = {
        "a flipped bit": written.replace('"rounds": 2', '"rounds": 3').replace('"rounds": 4', '"rounds": 5'),
        "cut short": written[:-40],
        "of no checksum": json.dumps({"config": asdict(compose([])), "versions": {}}),
    }
    assert harmed[harm] != written
    file.write_text(harmed[harm])
    with pytest.raises(StageError, match=r"run\.json (is damaged|cannot be read).*preset=NAME"):
        compose_again(file)


def test_a_comparison_whose_trainings_find_no_place_beside_its_engines_is_refused_at_once(
    monkeypatch, tmp_path
) -> None:
    """The second training waited for ever for the place of engines that stay."""
    run = NotedRun(compose(["preset=demo"]), [])
    monkeypatch.setattr(comparing, "open_run", lambda *_: nullcontext(run))
    (tmp_path / "harvest").mkdir()
    given = {"policy": str(MODEL_PATH), "data": str(tmp_path / "harvest"), "out": str(tmp_path / "out")}
    comparing.compare(run.config, given)
    assert run.fleet.to_come == Demand(frozenset({"policy", "ppm"}), True, ((4, "ppm"),))

    def refuse() -> None:
        raise ConfigError("no place")

    desk = SimpleNamespace(fleet=SimpleNamespace(look_ahead=refuse))
    with pytest.raises(ConfigError, match="no place"):
        comparing._train(desk, tmp_path)  # type: ignore[arg-type]

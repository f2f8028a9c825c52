"""The commands.

Each takes `key=value` overrides of the configuration (`rstar-math plan --full` shows what they resolve to). The exit code is
0 only when the work was done.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rstar_math.cli.benches import bench
from rstar_math.cli.compose import as_yaml, compose
from rstar_math.cli.speaking import OVERRIDES, needed, program, spoken, take
from rstar_math.errors import ConfigError

#: What a command that reads rows is given; rows.open_rows tells the file from the overrides.
_ROWS = click.argument("words", nargs=-1, metavar="[FILE] [KEY=VALUE]...")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="rstar-math")
def main() -> None:
    """Self-evolving System-2 math reasoning for small language models (rStar-Math)."""


@main.command()
@OVERRIDES
@spoken
def evolve(overrides: tuple[str, ...]) -> None:
    """Run all rounds of self-evolution, or go on with a run that was stopped.

    \b
    from=round-3[.STAGE]   do this stage and all later ones again (what they replace is kept)
    until=round-2[.STAGE]  stop after this stage
    problems.path=FILE     your own problems (JSONL, JSON, CSV, Parquet);  base=MODEL  your own model
    name=NAME              the run's folder below runs/
    mirror.url=s3://…      a copy on an object store, from which any machine goes on
    """
    from rstar_math.cli.launch import open_run
    from rstar_math.evolution.evolve import evolve as run_all
    from rstar_math.evolution.summary import show_summary

    start, rest = take(overrides, "from", "until")
    config = compose(rest)
    root = Path(config.runs) / config.name
    with open_run(config, root, until=start.get("until"), mirror=config.mirror) as run:
        run_all(run, start.get("from"))
        run.store.forget_start(run.last)
    cluster = "1gpu" if shutil.which("nvidia-smi") else "laptop"
    own = f"preset=paper cluster={cluster} name=mine base=MODEL_FOLDER problems.path=PROBLEMS.jsonl"
    show_summary(config, root, f"{program()} {shlex.join(['evolve', *rest])}", f"{program()} evolve {own}")


@main.command()
@click.option("--full", is_flag=True, help="Print every resolved knob, in YAML, instead of the plan and what it takes.")
@OVERRIDES
@spoken
def plan(full: bool, overrides: tuple[str, ...]) -> None:
    """Print the resolved plan of all rounds and what it will take; nothing is started.

    measured=runs/NAME predicts by the habits and speeds of that run, else forecast.* holds.
    """
    from rstar_math.evolution.feasible import check_plan
    from rstar_math.evolution.forecasting import foresee
    from rstar_math.report.forecast import show_forecast
    from rstar_math.report.plan import show_plan

    taken, rest = take(overrides, "measured")
    config = compose(rest)
    if full:
        click.echo(as_yaml(config), nl=False)
        return
    check_plan(config)
    show_plan(config)
    try:
        made, shown = foresee(config, Path(taken["measured"]) if "measured" in taken else None)
    except ConfigError as error:  # the plan itself stands: what is missing is only what to predict by
        click.echo(str(error))
    else:
        show_forecast(made, shown)


@main.command()
@OVERRIDES
@spoken
def grow(overrides: tuple[str, ...]) -> None:
    """Grow trees: out=FOLDER [plan=r1] [policy=MODEL] [ppm=MODEL] [problems.path=FILE]."""
    from rstar_math.cli.alone import grow_alone

    grow_alone(*_alone(overrides, "grow", ("out",), ("plan", "ppm")))


@main.command()
@OVERRIDES
@spoken
def harvest(overrides: tuple[str, ...]) -> None:
    """Choose training data from trees: trees=FOLDER out=FOLDER [plan=r1]."""
    from rstar_math.cli.alone import harvest_alone

    harvest_alone(*_alone(overrides, "harvest", ("trees", "out"), ("plan",)))


@main.command("train-policy")
@OVERRIDES
@spoken
def train_policy(overrides: tuple[str, ...]) -> None:
    """Fine-tune the base on trajectories: data=HARVEST|FILE out=FOLDER [base=MODEL] [plan=r1]."""
    from rstar_math.cli.alone import train_policy_alone

    train_policy_alone(*_alone(overrides, "train-policy", ("data", "out"), ("plan",)))


@main.command("train-ppm")
@OVERRIDES
@spoken
def train_ppm(overrides: tuple[str, ...]) -> None:
    """Train a PPM on preference pairs, from a policy: policy=MODEL data=HARVEST|FILE out=FOLDER [plan=r1]."""
    from rstar_math.cli.alone import train_ppm_alone

    train_ppm_alone(*_alone(overrides, "train-ppm", ("policy", "data", "out"), ("plan",)))


@main.command()
@OVERRIDES
@spoken
def evaluate(overrides: tuple[str, ...]) -> None:
    """Score ways of answering on benchmarks: policy=MODEL out=FOLDER [ppm=MODEL] [strategy=…] [benchmark=…].

    \b
    strategy=greedy,majority@8,best-of-n@8,weighted-majority@8,beam@4,mcts@16   (greedy, and mcts where there is a PPM)
    strategy=mcts-majority@16,mcts-weighted@16   other readings of the same trees, which are not grown again
    strategy=zero-shot-cot,few-shot-cot,self-consistency@32,generator-majority,mutual   in plain words (rStar), any model
    discriminator=MODEL  mutual.task=gsm8k   the second model of mutual; its kind of question (a folder of conf/mutual)
    policy=endpoint, discriminator=endpoint   served elsewhere: with policy.url= policy.model=, discriminator.url= …
    benchmark=gsm8k,math500,…   files of conf/benchmark, or your own problems.path=FILE; none: the embedded held-out set
    benchmarks=FOLDER           their files, for benchmarks that should not come from the hub
    limit=N  seeds=N  plan=r4   the first N problems; N seeds; the round whose evaluation.* holds
    """
    from rstar_math.cli.evaluate import evaluate

    evaluate(
        *_alone(
            overrides,
            "evaluate",
            ("policy", "out"),
            ("plan", "ppm", "strategy", "discriminator", "benchmark", "benchmarks", "limit", "seeds"),
        )
    )


@main.command()
@OVERRIDES
@spoken
def compare(overrides: tuple[str, ...]) -> None:
    """Train ORM, PQM and PPM on one harvest and compare them: policy=MODEL data=HARVEST out=FOLDER [benchmark=…].

    benchmark=, benchmarks=, limit=, seeds= and plan= as for evaluate.
    """
    from rstar_math.cli.compare import compare

    may = ("plan", "benchmark", "benchmarks", "limit", "seeds")
    compare(*_alone(overrides, "compare", ("policy", "data", "out"), may))


@main.command()
@click.argument("question", metavar="QUESTION|FILE")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the readable path.")
@OVERRIDES
@spoken
def solve(question: str, as_json: bool, overrides: tuple[str, ...]) -> None:
    """Answer one QUESTION: [policy=MODEL [ppm=MODEL]] [strategy=mcts|majority@16|mutual|...].

    Default: System 2 (mcts) with the models of the run's last round; without a PPM the most frequent answer of the same
    search. mutual needs discriminator=MODEL; mutual.task says what kind of question it is.

    Or all questions of a FILE (JSONL, JSON, CSV, Parquet; no answers are needed): out=FOLDER takes answers.jsonl. The same
    command goes on where it was stopped. Without a PPM: the most frequent of drawn answers (majority).

    Knobs are those of the run that made the policy, with overrides on top; preset=NAME takes that preset's instead.
    """
    taken, rest = take(overrides, "policy", "ppm", "strategy", "discriminator", "out")
    out = taken.pop("out", None)
    if _is_file(question):
        if as_json:
            raise ConfigError(f"--json is for one question; the answers to {question} are written to out=FOLDER")
        (out,) = needed({"out": out} if out else {}, f"solve {question}", "out")
        from rstar_math.cli.solve_file import solve_file

        answered = solve_file(Path(question), Path(out), rest, taken)
    elif out:
        raise ConfigError(f"out={out} takes the answers to a file of questions; there is no file {question[:80]}")
    else:
        from rstar_math.cli.solve import solve_one

        answered = solve_one(question, rest, taken, as_json=as_json)
    if not answered:
        sys.exit(1)


@main.command()
@_ROWS
@spoken
def grade(words: tuple[str, ...]) -> None:
    """Grade answers: JSONL {prediction, answer} in (a FILE or standard input), JSONL {verdict, reason} out.

    grading.* says how answers are compared, such as grading.tolerance=0.01.
    """
    from rstar_math.cli.rows import grade_rows, open_rows

    file, overrides = open_rows(words)
    with file:
        grade_rows(file, compose(overrides).grading)


@main.command("run-code")
@_ROWS
@spoken
def run_code(words: tuple[str, ...]) -> None:
    """Run programs in the sandbox: JSONL {id, steps: [code, ...]} in, JSONL {id, status, stdout, error} out."""
    from rstar_math.cli.rows import open_rows, run_rows

    file, overrides = open_rows(words)
    with file:
        run_rows(file, compose(overrides).sandbox)


@main.command()
@OVERRIDES
@spoken
def seedling(overrides: tuple[str, ...]) -> None:
    """Make the embedded base model anew: out=FOLDER [seed=2, the shipped one's] [variant=mutual].

    variant=mutual makes two models that reason in plain words instead, OUT/generator and OUT/discriminator (rStar).
    """
    from rstar_math.cli.alone import grow_mutual_alone, grow_seedling_alone
    from rstar_math.seedling import SEED

    taken, rest = take(overrides, "out", "variant", "seed")
    (out,) = needed(taken, "seedling", "out")
    if rest:
        raise ConfigError(
            f"{rest[0]}: seedling takes out=, seed= and variant= alone; how it is made stands in its recipe"
        )
    kinds = {"seedling": grow_seedling_alone, "mutual": grow_mutual_alone}
    variant = taken.get("variant", "seedling")
    if variant not in kinds:
        raise ConfigError(f"variant={variant}: choose from {', '.join(kinds)}")
    kinds[variant](Path(out), compose([f"seed={taken.get('seed', SEED)}"]).seed)


@main.command()
@OVERRIDES
@spoken
def doctor(overrides: tuple[str, ...]) -> None:
    """Say what this machine has, and what each part falls back to; with cluster.address=… what every node has.

    runs=FOLDER is the folder that all nodes should share.
    """
    from rstar_math.cli.doctor import examine

    if not examine(compose(overrides)):
        sys.exit(1)


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except OSError:  # a question may be too long for a name
        return False


def _alone(
    overrides: Sequence[str], command: str, must: Sequence[str], may: Sequence[str]
) -> tuple[Any, dict[str, str]]:
    """The configuration and the inputs of a stage that is done by itself."""
    taken, rest = take(overrides, *must, *may)
    needed(taken, command, *must)
    return compose(rest), taken


main.add_command(bench)

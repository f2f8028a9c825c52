"""How is one stage done by itself?

Each function does one stage with explicit inputs into `out`, once: started again it goes on or returns at once. The stages
are those of a whole run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rstar_math.cli.launch import open_run
from rstar_math.config import RoundConfig, RunConfig
from rstar_math.errors import ConfigError
from rstar_math.evolution import stages
from rstar_math.evolution.models import resolve
from rstar_math.report.progress import Progress

Given = Mapping[str, str]


def grow_alone(config: RunConfig, given: Given) -> None:
    """Trees of all problems into OUT/trees; the problems it settled on stand in OUT/problems."""
    out, plan = Path(given["out"]), _plan(config, given)
    with open_run(config, out) as run:
        problems = run.alone("problems", out / "problems", stages.gather_problems, problems=config.problems)
        ppm = Path(resolve(given["ppm"], "ppm")) if "ppm" in given else None
        run.alone(
            "trees", out / "trees", stages.grow, search=plan.search, problems=problems, policy=run.bootstrap, ppm=ppm
        )


def harvest_alone(config: RunConfig, given: Given) -> None:
    """Policy examples and pairs into OUT/harvest."""
    out, trees = Path(given["out"]), _folder(given, "trees")
    trees = trees / "trees" if (trees / "trees").is_dir() else trees
    if not (trees / "train").is_dir():
        raise ConfigError(f"trees={trees}: there is no train/ folder of trees below it; name what `grow` wrote to")
    with open_run(config, out) as run:
        run.alone("harvest", out / "harvest", stages.harvest, harvest=_plan(config, given).harvest, trees=trees)


def train_policy_alone(config: RunConfig, given: Given) -> None:
    """A policy into OUT/policy."""
    out = Path(given["out"])
    with open_run(config, out) as run:
        training = _plan(config, given).policy
        crop = _crop(given)
        run.alone("policy", out / "policy", stages.train_policy, training=training, base=run.base, crop=crop)


def train_ppm_alone(config: RunConfig, given: Given) -> None:
    """A PPM into OUT/ppm."""
    out = Path(given["out"])
    with open_run(config, out) as run:
        training, policy = _plan(config, given).ppm, resolve(given["policy"])
        run.alone("ppm", out / "ppm", stages.train_ppm, training=training, policy=policy, crop=_crop(given))


def evaluate_alone(config: RunConfig, given: Given) -> None:
    """Scores of all given problems (the embedded held-out set by default) into OUT/scores."""
    out = Path(given["out"])
    with open_run(config, out) as run:
        problems = run.alone("problems", out / "problems", stages.gather_benchmark, problems=config.problems)
        ppm = Path(resolve(given["ppm"], "ppm")) if "ppm" in given else None
        policy, evaluation = resolve(given["policy"]), _plan(config, given).evaluation
        scores = run.alone(
            "scores", out / "scores", stages.score, evaluation=evaluation, problems=problems, policy=policy, ppm=ppm
        )
        run.progress.say((scores / "metrics.json").read_text())


def grow_seedling_alone(out: Path, seed: int) -> None:
    """The embedded base model, made anew."""
    from rstar_math.seedling.recipe import grow_seedling

    with Progress() as progress, progress.stage(0, 0, "seedling", None, "batches") as bar:
        metrics = grow_seedling(out, seed=seed, progress=lambda done, total, loss: bar.reach(done, total, loss=loss))
        bar.finish(f"{out}: {metrics}")


def _plan(config: RunConfig, given: Given) -> RoundConfig:
    name = given.get("plan", "r1")
    if name not in config.round:
        raise ConfigError(f"plan={name}: choose one of {', '.join(config.round)}")
    return config.round[name]


def _folder(given: Given, name: str) -> Path:
    path = Path(given[name])
    if not path.is_dir():
        raise ConfigError(f"{name}={path}: there is no such folder")
    return path


def _crop(given: Given) -> Path:
    path = Path(given["data"])
    if not path.exists():
        raise ConfigError(f"data={path}: there is no such file or folder; name a harvest's folder, or a file of rows")
    return path / "harvest" if (path / "harvest").is_dir() else path

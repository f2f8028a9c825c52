"""How is one stage done by itself?

Each function does one stage with explicit inputs into `out`, once: started again it goes on or returns at once. The stages
are those of a whole run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from rstar_math.checkpoints import Kind
from rstar_math.cli.launch import open_run
from rstar_math.config import Objective, RunConfig
from rstar_math.errors import ConfigError
from rstar_math.evolution import stages
from rstar_math.evolution.models import examples_for, resolve
from rstar_math.evolution.places import Place
from rstar_math.report.progress import Bar, Progress
from rstar_math.training.reading import check_rows

Given = Mapping[str, str]


def grow_alone(config: RunConfig, given: Given) -> None:
    """Trees of all problems into OUT/trees; the problems it settled on stand in OUT/problems."""
    out, number = Path(given["out"]), round_of(config, given)
    with open_run(config, out) as run:
        problems = run.alone(
            Place.of(0, "problems"), out / "problems", stages.gather_problems, problems=config.problems
        )
        ppm = Path(resolve(given["ppm"], "ppm")) if "ppm" in given else None
        shown = examples_for(run.bootstrap, config.policy)
        place, search = Place.of(number, "trees"), replace(config.plan(number).search, few_shot=shown)
        run.alone(place, out / "trees", stages.grow, search=search, problems=problems, policy=run.bootstrap, ppm=ppm)


def harvest_alone(config: RunConfig, given: Given) -> None:
    """Policy examples and pairs into OUT/harvest."""
    out, trees, number = Path(given["out"]), _folder(given, "trees"), round_of(config, given)
    trees = trees / "trees" if (trees / "trees").is_dir() else trees
    if not (trees / "train").is_dir():
        raise ConfigError(f"trees={trees}: there is no train/ folder of trees below it; name what `grow` wrote to")
    with open_run(config, out) as run:
        knobs = config.plan(number).harvest
        run.alone(Place.of(number, "harvest"), out / "harvest", stages.harvest, harvest=knobs, trees=trees)


def train_policy_alone(config: RunConfig, given: Given) -> None:
    """A policy into OUT/policy."""
    out, number = Path(given["out"]), round_of(config, given)
    crop, training = _fit(crop_of(given), "policy"), config.plan(number).policy
    with open_run(config, out) as run:
        place = Place.of(number, "policy")
        run.alone(place, out / "policy", stages.train_policy, training=training, base=run.base, crop=crop)


def train_ppm_alone(config: RunConfig, given: Given) -> None:
    """A PPM into OUT/ppm."""
    out, number = Path(given["out"]), round_of(config, given)
    policy, training = resolve(given["policy"]), config.plan(number).ppm
    crop = _fit(crop_of(given), "ppm", training.objective)
    with open_run(config, out) as run:
        place = Place.of(number, "ppm")
        run.alone(place, out / "ppm", stages.train_ppm, training=training, policy=policy, crop=crop)


def grow_seedling_alone(out: Path, seed: int) -> None:
    """The embedded base model, made anew."""
    from rstar_math.seedling.recipe import grow_seedling

    with Progress() as progress, progress.stage(0, 0, "seedling", None, "batches") as bar:
        metrics = grow_seedling(out, seed=seed, progress=_shown_by(bar))
        bar.finish(f"{out}: {metrics}")


def grow_mutual_alone(out: Path, seed: int) -> None:
    """The two models of the embedded mutual reasoning, one after the other."""
    from rstar_math.seedling.mutual import DISCRIMINATOR, GENERATOR, grow_one

    for kind in (GENERATOR, DISCRIMINATOR):
        with Progress() as progress, progress.stage(0, 0, kind.name, None, "batches") as bar:
            metrics = grow_one(out / kind.name, kind, seed=seed, progress=_shown_by(bar))
            bar.finish(f"{out / kind.name}: {metrics}")


def _shown_by(bar: Bar) -> Callable[[int, int, float], None]:
    return lambda done, total, loss: bar.reach(done, total, loss=loss)


def round_of(config: RunConfig, given: Given, default: str = "r1") -> int:
    """The number of the round whose plan the stage follows (`plan=r3`: 3)."""
    name = given.get("plan", default)
    if name not in config.round:
        raise ConfigError(f"plan={name}: choose one of {', '.join(config.round)}")
    return int(name.removeprefix("r"))


def _folder(given: Given, name: str) -> Path:
    path = Path(given[name])
    if not path.is_dir():
        raise ConfigError(f"{name}={path}: there is no such folder")
    return path


def _fit(crop: Path, kind: Kind, objective: Objective = "pairwise") -> Path:
    """The same; a file of rows, which is somebody's own, is read through before anything is started or made."""
    if crop.is_file():
        check_rows(crop, kind, objective)
    return crop


def crop_of(given: Given) -> Path:
    """The training data that `data=` names: a harvest's folder, or a file of rows.

    Raises:
        ConfigError: there is none.
    """
    path = Path(given["data"])
    if not path.exists():
        raise ConfigError(f"data={path}: there is no such file or folder; name a harvest's folder, or a file of rows")
    return path / "harvest" if (path / "harvest").is_dir() else path

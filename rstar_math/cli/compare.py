"""Which reward model is worth most?

An ORM, a PQM and a PPM from the same policy and harvest, by the same trainer; then each of them as what ranks solutions that
are drawn once for all (best-of-n) and, but for the ORM, which knows whole solutions alone, as what guides the search (paper
§4.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rstar_math.cli.alone import crop_of, round_of
from rstar_math.cli.evaluate import Measuring, Row, benchmarks_of, count_of, measure, pooled
from rstar_math.cli.launch import open_run
from rstar_math.cluster.holding import Demand
from rstar_math.config import Objective, RunConfig
from rstar_math.disk import write_json
from rstar_math.evaluation.strategies import all_readings, strategies
from rstar_math.evolution import stages
from rstar_math.evolution.models import resolve
from rstar_math.evolution.places import Place
from rstar_math.evolution.run import Desk
from rstar_math.report.evaluation import show_evaluation, write_evaluation

#: What each is asked to do; an ORM has learnt nothing of a step.
_USES: Mapping[Objective, tuple[str, ...]] = {
    "orm": ("majority", "best-of-n", "weighted-majority"),
    "pqm": ("best-of-n", "weighted-majority", "beam", "mcts"),
    "pairwise": ("best-of-n", "weighted-majority", "beam", "mcts"),
}


def compare(config: RunConfig, given: Mapping[str, str]) -> None:
    """Models into OUT/OBJECTIVE/ppm, their scores beside them, one table into OUT/metrics.json and report.md."""
    out, crop, number = Path(given["out"]), crop_of(given), round_of(config, given, default="r4")
    policy, plan = resolve(given["policy"]), config.plan(number)
    benchmarks, seeds = benchmarks_of(config, given), count_of(given, "seeds")
    rows: list[Row] = []
    with open_run(config, out) as run:
        run.fleet.to_come = Demand(frozenset({"policy", "ppm"}), True, ((number, "ppm"),))
        for objective, names in _USES.items():
            training = replace(plan.ppm, objective=objective)
            place, folder = Place.of(number, "ppm"), out / objective / "ppm"
            labelled = replace(run, label=f"{objective}:")
            trained = labelled.alone(place, folder, _train, training=training, policy=policy, crop=crop)
            wanted = strategies(names, plan.evaluation, guided=True)
            ways, label = all_readings(wanted, plan.evaluation), f"{objective} "
            asked = Measuring(
                out / objective, policy, trained, number, plan.evaluation, benchmarks, ways, seeds, label, out / "drawn"
            )
            measured = pooled(asked, measure(run, asked), config.seed, wanted)
            rows += [row | {"strategy": _named(row["strategy"], objective)} for row in measured]
        write_json(out / "metrics.json", rows)
        write_evaluation(out / "report.md", rows)
    show_evaluation(rows)


def _train(desk: Desk, folder: Path, **given: Any) -> stages.Metrics:
    """One of the three, after a look at whether there is room for all that is to come."""
    desk.fleet.look_ahead()
    return stages.train_ppm(desk, folder, **given)


def _named(strategy: str, objective: Objective) -> str:
    """A majority asks no reward model."""
    return strategy if strategy.startswith("majority") else f"{strategy}, {objective}"

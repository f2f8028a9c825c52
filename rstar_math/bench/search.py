"""Does search run at the engine's own speed?

Four measurements in one report: what the search code costs (`owncost`), what waiting for each other would cost (`barrier`),
how busy the engine is (`saturation`), and how many problems a driver can feed (`scale`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from rstar_math.bench.barrier import barrier_cost, read_trace
from rstar_math.bench.machine import machine
from rstar_math.bench.owncost import own_cost
from rstar_math.bench.saturation import Saturation, saturation
from rstar_math.bench.scale import Scale, scale
from rstar_math.config import ForecastConfig, RunConfig, SearchConfig
from rstar_math.forecast.work import search_work

#: Problems of the paper's rounds 2 and 3, their plan, and the days of each on 15 nodes of 4 A100 (paper §3.4, appendix A).
_PAPER_PROBLEMS, _PAPER_DAYS = 747_000, 3.0
_PAPER_PLAN = SearchConfig(rollouts=16, candidates=8, escalate_to=(32,))
#: As `rstar-math plan` assumes them, but every candidate leaves a node: solutions of so many steps can have no more.
_HABITS = ForecastConfig(kept=1.0)


@dataclass(frozen=True)
class Report:
    """machine: where it was measured. own_cost: nodes -> µs a node. barrier: (problems, seconds apart, seconds in lock-step)
    of the recorded trace."""

    machine: dict[str, str]
    own_cost: dict[int, float]
    barrier: list[tuple[int, float, float]]
    saturation: Saturation
    scale: list[Scale]

    def ratios(self) -> dict[str, float]:
        """What the design promises, as ratios."""
        sizes = sorted(self.own_cost)
        shares = {f"of the processor time: {who}": spent for who, spent in self.saturation.spent.items()}
        total = sum(shares.values())
        return {
            f"own cost a node, {sizes[-1]:,} nodes / {sizes[0]:,} nodes": self.own_cost[sizes[-1]]
            / self.own_cost[sizes[0]],
            **{f"lock-step / apart, {count} problems": together / apart for count, apart, together in self.barrier},
            "tokens a second, search / one batch": self.saturation.search / self.saturation.batch,
            **{name: spent / total for name, spent in sorted(shares.items(), key=lambda item: -item[1])},
        }

    def paper_round(self) -> dict[str, float]:
        """What round 2 of the paper asks of a driver, at most, and what it takes at the pace of the best row of `scale`.

        The trees of `scale` are far smaller than the paper's, so problems a second tell nothing of its problems; nodes do.
        Steps are shorter there too, and so are their bytes.
        """
        best = max(self.scale, key=lambda row: row.nodes_a_second)
        nodes = search_work(_PAPER_PLAN, _HABITS, 1 - _HABITS.solved[1], _PAPER_PROBLEMS).nodes
        needed = nodes / (_PAPER_DAYS * 86_400)
        return {
            "nodes a problem": nodes / _PAPER_PROBLEMS,
            f"nodes a second, needed for {_PAPER_PROBLEMS:,} problems in {_PAPER_DAYS:g} days": needed,
            "nodes a second, most here": best.nodes_a_second,
            "nodes a second, most here / needed": best.nodes_a_second / needed,
            f"days for {_PAPER_PROBLEMS:,} problems here": nodes / best.nodes_a_second / 86_400,
            "gigabytes on disk, of steps as short as here": nodes * best.bytes_a_node / 1e9,
        }

    def as_json(self) -> str:
        """The report as one JSON object."""
        return json.dumps(asdict(self) | {"ratios": self.ratios(), "paper_round": self.paper_round()}, indent=2)


def measure(config: RunConfig, model: str, *, quick: bool, say: Callable[[str], None]) -> Report:
    """Measures everything: over an hour, less than a minute if `quick`. `say` hears what is being measured.

    Raises:
        EngineError, SandboxError: an engine or the sandbox does not start.
    """
    say("what the search code costs a tree node …")
    costs = own_cost((100, 1_000, 10_000))
    say("what waiting for each other costs …")
    times = read_trace()
    barriers = [(count, *barrier_cost(count, times)) for count in ((16, 256) if quick else (16, 256, 1024))]
    say("how busy search keeps the engine …")
    busy = saturation(config, model, 32 if quick else 400)
    plan = [(1, 200), (2, 200)] if quick else [(workers, 100_000) for workers in (1, 2, 4, 8, 16, 32)]
    rows = []
    for workers, problems in plan:
        say(f"{problems:,} problems through {workers} simulated workers …")
        rows.append(scale(config, workers, problems))
        say(f"  {rows[-1].problems_a_second:.0f} a second, driver {rows[-1].megabytes[-1]:.0f} MB")
    return Report(machine(), costs, barriers, busy, rows)

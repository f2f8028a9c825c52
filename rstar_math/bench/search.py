"""Does search run at the engine's own speed?

Four measurements in one report: what the search code costs (`owncost`), what waiting for each other would cost (`barrier`),
how busy the engine is (`saturation`), and how many problems a driver can feed (`scale`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from rstar_math.bench.barrier import barrier_cost, read_trace
from rstar_math.bench.owncost import own_cost
from rstar_math.bench.saturation import Saturation, saturation
from rstar_math.bench.scale import Scale, scale
from rstar_math.config import RunConfig

#: Problems of the paper's later rounds, and A100 days of a round (paper §3.4, appendix A: 15 nodes of 4, 3 to 7 days).
_PAPER_PROBLEMS, _PAPER_DAYS = 747_000, 3.0


@dataclass(frozen=True)
class Report:
    """own_cost: nodes -> µs a node. barrier: (problems, seconds apart, seconds in lock-step) of the recorded trace."""

    own_cost: dict[int, float]
    barrier: list[tuple[int, float, float]]
    saturation: Saturation
    scale: list[Scale]

    def ratios(self) -> dict[str, float]:
        """What the design promises, as ratios."""
        sizes = sorted(self.own_cost)
        shares = {f"of the processor time: {who}": spent for who, spent in self.saturation.spent.items()}
        total = sum(shares.values())
        fastest = max(row.problems_a_second for row in self.scale)
        needed = _PAPER_PROBLEMS / (_PAPER_DAYS * 86_400)
        return {
            f"own cost a node, {sizes[-1]:,} nodes / {sizes[0]:,} nodes": self.own_cost[sizes[-1]]
            / self.own_cost[sizes[0]],
            **{f"lock-step / apart, {count} problems": together / apart for count, apart, together in self.barrier},
            "tokens a second, search / one batch": self.saturation.search / self.saturation.batch,
            **{name: spent / total for name, spent in sorted(shares.items(), key=lambda item: -item[1])},
            f"problems a second, fastest here / {_PAPER_PROBLEMS:,} in {_PAPER_DAYS:g} days": fastest / needed,
        }

    def as_json(self) -> str:
        """The report as one JSON object."""
        return json.dumps(asdict(self) | {"ratios": self.ratios()}, indent=2)


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
    return Report(costs, barriers, busy, rows)

"""How does accuracy grow with the trajectories searched?

scaling.json of finished evaluations -> one plot: a panel a benchmark, a line a search and rule of choice.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def plot_scaling(path: Path, folders: Mapping[str, Sequence[Path]]) -> bool:
    """Draws what the folders of each benchmark hold, averaged over seeds; False where nothing has several trajectories."""
    panels = {name: lines for name, own in folders.items() if (lines := _lines(own))}
    if not panels:
        path.unlink(missing_ok=True)  # of an earlier command, that asked for more
        return False
    from matplotlib.figure import Figure  # half a second, for those who plot

    figure = Figure(figsize=(5 * len(panels), 4), layout="constrained")
    for axes, (name, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for (search, rule), points in lines.items():
            counts = sorted(points)
            means = [100 * sum(points[count]) / len(points[count]) for count in counts]
            axes.plot(counts, means, marker="o", linestyle=":" if rule == "oracle" else "-", label=f"{search}, {rule}")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set(title=name, xlabel="trajectories", ylabel="accuracy in percent")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(path)
    return True


def _lines(folders: Sequence[Path]) -> dict[tuple[str, str], dict[int, list[float]]]:
    """(search, rule) -> trajectories -> its accuracy in every seed; lines of more than one point."""
    lines: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for folder in folders:
        rows: list[dict[str, Any]] = json.loads((folder / "scaling.json").read_text())
        for row in rows:
            lines[row["search"], row["rule"]][row["trajectories"]].append(row["value"])
    return {key: points for key, points in lines.items() if len(points) > 1}

"""run directory -> the closing table.

Reads manifests alone, so it also serves a run that was finished long ago.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rstar_math.config import RunConfig
from rstar_math.evolution.places import ORDER
from rstar_math.evolution.store import MANIFEST, read_manifest
from rstar_math.report.console import open_console
from rstar_math.report.levels import show_levels
from rstar_math.report.table import closing, show_table, write_report


def show_summary(config: RunConfig, root: Path, resume: str, own: str) -> None:
    """Prints the tables of all rounds there are and the three closing lines; writes them to `report.md`.

    `resume`, `own`: command lines: this run again, one's own model and problems.
    """
    rows = [_row("base", _stages(root, 0))]
    rows += [_row(f"round {number}", _stages(root, number)) for number in range(1, config.rounds + 1)]
    last = _stages(root, config.rounds)
    if "control-scores" in last:
        rows.append(_row("control", {"scores": last["control-scores"], "policy": last["control"]}))
    lines = closing(root, resume, own)
    show_table(rows)
    show_levels(rows)
    for line in lines:
        open_console().print(line, soft_wrap=True)
    write_report(root, config.name, rows, lines)


def _stages(root: Path, number: int) -> dict[str, Mapping[str, Any]]:
    """The manifests of a round's finished stages, by name."""
    folders = {stage: root / f"round-{number}" / stage for stage in ORDER}
    return {stage: read_manifest(folder) for stage, folder in folders.items() if (folder / MANIFEST).is_file()}


def _row(name: str, stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    scores = stages.get("scores", {}).get("metrics", {})
    crop = stages.get("harvest", {}).get("metrics", {})
    levels = {key.removeprefix("coverage/level_"): value for key, value in crop.items() if key.startswith("coverage/")}
    system2 = _system2(scores)
    own = {stage: manifest for stage, manifest in stages.items() if not stage.startswith("control")}
    return {
        "name": name,
        "greedy": _accuracy(scores, "greedy"),
        "system2": _accuracy(scores, system2),
        "levels": {"greedy": _by_level(scores, "greedy"), "system2": _by_level(scores, system2)},
        "coverage": {"all": crop["coverage"], **levels} if crop else None,
        "pair_accuracy": (stages.get("ppm", {}).get("metrics", {}).get("pair_accuracy") or {}).get("accuracy"),
        "seconds": sum(manifest["seconds"] for manifest in own.values()) or None,
    }


def _system2(scores: Mapping[str, float]) -> str:
    """The strategy that stands for System 2: a PPM-guided search of whatever length, read as in the paper where it was."""
    names = [key.removesuffix("/pass@1") for key in scores if key.startswith("mcts") and key.endswith("/pass@1")]
    return min(names, key=lambda name: name.split("@"), default="mcts")


def _by_level(scores: Mapping[str, float], strategy: str) -> dict[str, dict[str, float] | None]:
    start = f"{strategy}/pass@1/level_"
    counted = [key for key in scores if key.startswith(start) and key.endswith("/count")]
    names = [key.removeprefix(start).removesuffix("/count") for key in counted]
    return {name: _accuracy(scores, strategy, f"/level_{name}") for name in names}


def _accuracy(scores: Mapping[str, float], strategy: str, part: str = "") -> dict[str, float] | None:
    key = f"{strategy}/pass@1{part}"
    if key not in scores:
        return None
    return {"value": scores[key], **{name: scores[f"{key}/{name}"] for name in ("low", "high", "count")}}

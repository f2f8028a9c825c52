"""run directory -> the closing table.

Reads manifests alone, so it also serves a run that was finished long ago.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rstar_math.config import RunConfig
from rstar_math.evolution.store import MANIFEST, ORDER, read_manifest
from rstar_math.report.console import open_console
from rstar_math.report.table import closing, show_table, write_report


def show_summary(config: RunConfig, root: Path, resume: str) -> None:
    """Prints the table of all rounds there are and the three closing lines; writes both to `report.md`."""
    rows = [_row("base", _stages(root, 0))]
    rows += [_row(f"round {number}", _stages(root, number)) for number in range(1, config.rounds + 1)]
    last = _stages(root, config.rounds)
    if "control-scores" in last:
        rows.append(_row("control", {"scores": last["control-scores"], "policy": last["control"]}))
    own = "rstar-math evolve preset=paper cluster=1gpu name=mine base=MODEL_FOLDER problems.path=PROBLEMS.jsonl"
    lines = closing(root, resume, own)
    show_table(rows)
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
    own = {stage: manifest for stage, manifest in stages.items() if not stage.startswith("control")}
    return {
        "name": name,
        "greedy": _accuracy(scores, "greedy"),
        "system2": _accuracy(scores, "mcts"),
        "coverage": {"all": crop["coverage"], **levels} if crop else None,
        "pair_accuracy": (stages.get("ppm", {}).get("metrics", {}).get("pair_accuracy") or {}).get("accuracy"),
        "seconds": sum(manifest["seconds"] for manifest in own.values()) or None,
    }


def _accuracy(scores: Mapping[str, float], strategy: str) -> dict[str, float] | None:
    key = f"{strategy}/pass@1"
    if key not in scores:
        return None
    return {"value": scores[key], **{name: scores[f"{key}/{name}"] for name in ("low", "high", "count")}}

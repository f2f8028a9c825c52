"""Who watches?

Every tracked number goes to `metrics.jsonl` in the run directory, one JSON object a line, and to Weights & Biases:
offline without a key, online with one. It does not choose what is worth tracking, and nothing reads its numbers back to
decide anything: a tracker that fails says so once, in words, and the run goes on.

wandb sees one group a run, one job type and one wandb run a stage. A stage that is continued after a stop goes on under
the same id, so `wandb sync` (or the server, when online) joins the two parts; one that is done again gets another id.
wandb is imported at the first stage.
"""

from __future__ import annotations

import json
import logging
import math
import netrc
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from rstar_math.config import TrackingConfig
from rstar_math.lines import drop_torn_line

_T = TypeVar("_T")
_LOG = logging.getLogger(__name__)
_METRICS, _WANDB = "metrics.jsonl", "wandb"
_WANDB_SERVER = "https://api.wandb.ai"
#: An unreachable server may hold up the run this long at a stage's start and at its end, not for wandb's hours; one that was
#: asked to end has half a minute for everything.
_START_SECONDS, _END_SECONDS = 30.0, 8.0


class Tracker:
    """Keeps the numbers of one run.

    Args:
        run_dir: the run directory; `metrics.jsonl` and `wandb/` are written in it.
        run_name: what wandb's group is named after.
        resolved_config: the whole resolved configuration, shown beside every wandb run.
    """

    def __init__(
        self, run_dir: Path, config: TrackingConfig, run_name: str, resolved_config: Mapping[str, Any]
    ) -> None:
        self._dir, self._config = run_dir, config
        self._name, self._resolved = run_name, dict(resolved_config)
        self._metrics = run_dir / _METRICS
        self._failed: set[str] = set()
        self._attempt(_METRICS, self._repair)

    @contextmanager
    def stage(self, round: int, stage: str, attempt: str, label: str = "") -> Iterator[StageLog]:
        """Opens the log of one stage; a stage left by an exception is marked as failed in wandb. `attempt` tells it from
        others of its round and name, `label` says what it is done for, where that is not the round itself."""
        run = None
        if self._config.wandb:
            name = " ".join(filter(None, (self._name, label, f"round {round}", stage)))
            run = self._attempt(_WANDB, lambda: self._open_wandb(name, f"r{round}-{stage}-{attempt}", stage))
        exit_code = 1
        try:
            yield StageLog(self, {"round": round, "stage": stage} | ({"label": label} if label else {}), run)
            exit_code = 0
        finally:
            if run is not None and _WANDB not in self._failed:
                self._attempt(_WANDB, lambda: run.finish(exit_code=exit_code))

    def _write(self, run: Any, event: dict[str, Any], numbers: Mapping[str, float]) -> None:
        self._attempt(_METRICS, lambda: self._append(dict(**event, **{key: _plain(x) for key, x in numbers.items()})))
        if run is not None and _WANDB not in self._failed:
            step = {} if event["step"] is None else {"step": event["step"]}
            self._attempt(_WANDB, lambda: run.log({**numbers, **step}))

    def _repair(self) -> None:
        self._dir.mkdir(parents=True, exist_ok=True)
        drop_torn_line(self._metrics)

    def _append(self, event: dict[str, Any]) -> None:
        if _METRICS in self._failed:  # a full disk tears a line as a kill does
            self._repair()
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, allow_nan=False) + "\n")

    def _open_wandb(self, name: str, key: str, stage: str) -> Any:
        """A new or continued wandb run; `key` tells it from the group's others. Its files stay in `run_dir/wandb`."""
        if _WANDB in self._failed:
            return None
        mode: Any = os.environ.get("WANDB_MODE") or ("online" if _has_key() else "offline")
        if mode != "online":  # an air-gapped run calls nobody, not even with reports on wandb's own crashes
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        token = self._token()
        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,  # wandb would upload the uncommitted changes of whatever repository it stands in;
            disable_code=True,  # run.json holds the revision and the versions
            x_save_requirements=False,
            init_timeout=_START_SECONDS,
            finish_timeout=_END_SECONDS,
            finish_timeout_raises=True,
        )
        wandb.setup(wandb.Settings(silent=True))  # the login that init makes listens to these only
        run = wandb.init(
            project=self._config.project,
            entity=self._config.entity,
            dir=self._dir,
            id=f"{token}-{key}",
            name=name,
            group=f"{self._name}-{token}",
            job_type=stage,
            config=self._resolved,
            mode=mode,
            resume="allow",
            reinit="create_new",
            settings=settings,
        )
        # Our own steps are the x axis: wandb's would drop every number that a continued stage logs again.
        run.define_metric("step", hidden=True)
        run.define_metric("*", step_metric="step")
        return run

    def _token(self) -> str:
        """Tells this run directory from any other run of the same name, on any machine, in the same wandb project."""
        path = self._dir / _WANDB / "group"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            unfinished = path.with_suffix(".unfinished")
            unfinished.write_text(secrets.token_hex(4), encoding="utf-8")
            unfinished.replace(path)
        return path.read_text(encoding="utf-8").strip()

    def _attempt(self, watcher: str, call: Callable[[], _T]) -> _T | None:
        """What `call` returns; None if it failed, which is said the first time and never stops the run."""
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - a wall by design: whatever a tracker does, the run is worth more
            if watcher not in self._failed:
                self._failed.add(watcher)
                _LOG.warning("%s", _complaint(watcher, self._metrics, error))
            return None


class StageLog:
    """The log of one stage, given by `Tracker.stage`."""

    def __init__(self, tracker: Tracker, place: Mapping[str, Any], run: Any) -> None:
        self._tracker, self._place, self._run = tracker, place, run

    def log(self, step: int | None = None, **numbers: float) -> None:
        """Keeps `numbers` as they stand now. `step` counts the stage's own unit (problems, optimiser steps), if any.

        Never raises. A number that is not finite is null in metrics.jsonl; `time`, `round`, `stage` (with its `label`, if
        it has one) and `step` are written beside the numbers.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        event = {"time": now, **self._place, "step": step}
        self._tracker._write(self._run, event, numbers)


def _plain(number: float) -> float | None:
    """`number` as JSON can hold it; numpy's and torch's scalars become Python's own."""
    value = number if isinstance(number, int) else float(number)
    return value if math.isfinite(value) else None


def _has_key() -> bool:
    """Whether wandb finds a key: in WANDB_API_KEY, or in netrc under its server's name."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    server = urlsplit(os.environ.get("WANDB_BASE_URL") or _WANDB_SERVER).netloc
    # `hosts` and not `authenticators`, which would answer with the file's default entry
    return path.is_file() and server in netrc.netrc(path).hosts


def _complaint(watcher: str, metrics: Path, error: Exception) -> str:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if watcher == _METRICS:
        return f"Numbers cannot be written to {metrics} ({reason}). The run goes on; free that path to keep them."
    return (
        f"wandb gave up ({reason}). The run goes on without it and every number still goes to {metrics}. "
        "Set tracking.wandb=false to leave it out, or WANDB_MODE=offline to upload later."
    )

"""overrides -> the typed configuration of a run.

Hydra's compose API reads the groups in `conf/`; pydantic fills `rstar_math.config`. Every mistake becomes one `ConfigError`
that names the knob and the way out. No command is run here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from rstar_math.config import CONF, RunConfig
from rstar_math.disk import unseal
from rstar_math.errors import ConfigError

#: Where what a run left is damaged.
_WAY_OUT = "Put it back, or take a preset's with preset=NAME"


def compose(overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration that `conf/config.yaml` and the overrides resolve to.

    Raises:
        ConfigError: an unknown key or group, an override that cannot be read, a value of the wrong kind, or knobs that
            contradict each other.
    """
    ConfigStore.instance().store("defaults", asdict(RunConfig()))
    return _composed("config", overrides, new=())


def compose_again(file: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration that a run left in `file` (its run.json), with overrides on top. `preset=` stands for a whole
    configuration: with one, the run's is left out.

    Raises:
        ConfigError: as above, or the file holds none that can be read today.
        StageError: the file is damaged.
    """
    if any(override.startswith("preset=") for override in overrides):
        return compose(overrides)
    try:
        kept = TypeAdapter(RunConfig).validate_python(unseal(file, _WAY_OUT)["config"])
    except (ValidationError, KeyError) as error:
        why = _list_faults(error) if isinstance(error, ValidationError) else str(error)
        raise ConfigError(f"{file} holds no configuration of a run ({why}); take a preset's with preset=NAME") from None
    ConfigStore.instance().store("again", asdict(kept))
    return _composed("again", overrides, new=_groups())  # what a run left names no group


def _composed(start: str, overrides: Sequence[str], *, new: Collection[str]) -> RunConfig:
    """`start` with the overrides. `new`: keys that hydra takes as additions alone."""
    overrides = [_name_the_path(override) for override in overrides]
    written = [_as_addition(override, new) for override in overrides]
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            composed = OmegaConf.to_container(hydra_compose(start, written), resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(str(error), overrides)) from None
    try:
        return TypeAdapter(RunConfig).validate_python(composed)
    except ValidationError as error:
        raise ConfigError(_list_faults(error)) from None


def as_yaml(config: RunConfig) -> str:
    """Every knob with the value that it resolved to."""
    return OmegaConf.to_yaml(OmegaConf.create(asdict(config)))


def options(group: str) -> list[str]:
    """The names that a group may take."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def _groups() -> list[str]:
    return [path.name for path in CONF.iterdir() if path.is_dir()]


def _name_the_path(override: str) -> str:
    """`policy=FOLDER` means `policy.path=FOLDER`, unless FOLDER is one of the group's own names."""
    key, _, value = override.partition("=")
    return f"policy.path={value}" if key == "policy" and value not in options("policy") else override


def _as_addition(override: str, new: Collection[str]) -> str:
    """Hydra refuses a key that is not there yet unless it is an addition: so is every key below a map of the user's own."""
    key = override.partition("=")[0]
    if key in new:
        return f"+{override}"
    return f"++{override}" if any(f"{key}.".startswith(f"{free}.") for free in _free_maps()) else override


def _free_maps() -> list[str]:
    """The knobs that are maps with keys of the user's choice, such as `problems.columns`."""
    return [name for name, value in _leaves(asdict(RunConfig())) if value == {}]


def _explain(reason: str, overrides: Sequence[str]) -> str:
    """What is wrong with the overrides, and the nearest knob that exists."""
    known, free, groups = sorted(name for name, _ in _leaves(asdict(RunConfig()))), _free_maps(), _groups()
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        if key in groups and override.partition("=")[2] not in options(key):
            return f"{override}: conf/{key} has no such file; choose one of: {', '.join(options(key))}"
        if key.startswith(tuple(f"{name}." for name in free)):
            continue
        if key not in known and key not in groups and not any(name.startswith(f"{key}.") for name in known):
            near = get_close_matches(key, [*known, *groups], n=3, cutoff=0.5)
            way_out = (
                f"; did you mean {' or '.join(near)}?" if near else "; `rstar-math plan --full` prints all of them"
            )
            return f"{override}: there is no knob '{key}'{way_out}"
    return f"the overrides cannot be read: {reason.splitlines()[0]} (write key=value; quote values with spaces)"


def _list_faults(error: ValidationError) -> str:
    faults = []
    for fault in error.errors():
        knob = ".".join(str(part) for part in fault["loc"])
        got = "" if isinstance(fault["input"], Mapping) or not knob else f"={fault['input']!r}"
        faults.append(f"{knob}{got}: {fault['msg'].removeprefix('Value error, ')}")
    return "\n".join(faults)


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value

"""overrides -> the typed configuration of a run.

Hydra's compose API reads the groups in `conf/`; pydantic fills `rstar_math.config`. Every mistake becomes one `ConfigError`
that names the knob and the way out. No command is run here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from rstar_math.config import CONF, RunConfig
from rstar_math.errors import ConfigError


def compose(overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration that `conf/config.yaml` and the overrides resolve to.

    Raises:
        ConfigError: an unknown key or group, an override that cannot be read, a value of the wrong kind, or knobs that
            contradict each other.
    """
    overrides = [_name_the_path(override) for override in overrides]
    ConfigStore.instance().store("defaults", asdict(RunConfig()))
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            composed = OmegaConf.to_container(hydra_compose("config", overrides), resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(str(error), overrides)) from None
    try:
        return TypeAdapter(RunConfig).validate_python(composed)
    except ValidationError as error:
        raise ConfigError(_list_faults(error)) from None


def options(group: str) -> list[str]:
    """The names that a group may take."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def _name_the_path(override: str) -> str:
    """`policy=FOLDER` means `policy.path=FOLDER`, unless FOLDER is one of the group's own names."""
    key, _, value = override.partition("=")
    return f"policy.path={value}" if key == "policy" and value not in options("policy") else override


def _explain(reason: str, overrides: Sequence[str]) -> str:
    """What is wrong with the overrides, and the nearest knob that exists."""
    known = sorted(_leaves(asdict(RunConfig())))
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        groups = [path.name for path in CONF.iterdir() if path.is_dir()]
        if key in groups and override.partition("=")[2] not in options(key):
            return f"{override}: conf/{key} has no such file; choose one of: {', '.join(options(key))}"
        if key not in known and key not in groups and not any(name.startswith(f"{key}.") for name in known):
            near = get_close_matches(key, [*known, *groups], n=3, cutoff=0.5)
            way_out = f"; did you mean {' or '.join(near)}?" if near else "; `rstar-math plan` prints all of them"
            return f"{override}: there is no knob '{key}'{way_out}"
    return f"the overrides cannot be read: {reason.splitlines()[0]} (write key=value; quote values with spaces)"


def _list_faults(error: ValidationError) -> str:
    faults = []
    for fault in error.errors():
        knob = ".".join(str(part) for part in fault["loc"])
        got = "" if isinstance(fault["input"], Mapping) or not knob else f"={fault['input']!r}"
        faults.append(f"{knob}{got}: {fault['msg'].removeprefix('Value error, ')}")
    return "\n".join(faults)


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"

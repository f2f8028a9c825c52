"""What does a model's name stand for?

`seedling`, a folder, or a Hugging Face name -> a folder that was found to hold such a model, before anything is started; or
`endpoint` -> the server that the configuration describes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from rstar_math.checkpoints import Kind, check_model_folder, locate
from rstar_math.config import PolicyConfig
from rstar_math.engines.few_shot import few_shot
from rstar_math.errors import ConfigError
from rstar_math.evolution.store import MANIFEST
from rstar_math.seedling import MODEL_PATH


def resolve(model: str, kind: Kind = "policy") -> str:
    """The folder of the model.

    Raises:
        ConfigError: there is none, or it is one of another kind.
        InputError: it is damaged.
    """
    path = MODEL_PATH if model == "seedling" else locate(model)
    check_model_folder(path, kind)
    return str(path)


def model_or_server(name: str, given: str, server: PolicyConfig) -> str | PolicyConfig:
    """A model's folder, or the server that `NAME=endpoint NAME.url=... NAME.model=...` describes.

    Raises:
        ConfigError, InputError: as `resolve`; or the server has no address or model.
    """
    if given != "endpoint":
        return resolve(given)
    try:
        return replace(server, kind="endpoint")
    except ValidationError:
        raise ConfigError(f"{name}=endpoint needs {name}.url=http://HOST:PORT/v1 and {name}.model=NAME") from None


def examples_for(model: str | Path | PolicyConfig, asked: PolicyConfig) -> str:
    """What stands before a problem that this model is to solve in steps of code: nothing where it knows the text format.

    Raises:
        ConfigError: `policy.few_shot` names no examples.
    """
    return "" if asked.few_shot is None or _knows_the_format(model) else few_shot(asked.few_shot)


def _knows_the_format(model: str | Path | PolicyConfig) -> bool:
    """Whether it was trained in it, by us: the embedded model, and what a training has made."""
    return not isinstance(model, PolicyConfig) and (Path(model) == MODEL_PATH or (Path(model) / MANIFEST).is_file())

"""What does a model's name stand for?

`seedling`, a folder, or a Hugging Face name -> a folder that was found to hold such a model, before anything is started; or
`endpoint` -> the server that the configuration describes.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError

from rstar_math.checkpoints import Kind, check_model_folder, locate
from rstar_math.config import PolicyConfig
from rstar_math.errors import ConfigError
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


def with_examples(policy: str | PolicyConfig) -> str | PolicyConfig:
    """The same for steps of code: a server's model has never seen the text format, and is shown examples of it."""
    return policy if isinstance(policy, str) else replace(policy, few_shot=policy.few_shot or "bootstrap")

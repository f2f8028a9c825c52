"""What does a model's name stand for?

`seedling`, a folder, or a Hugging Face name -> a folder that was found to hold such a model, before anything is started.
"""

from __future__ import annotations

from rstar_math.checkpoints import Kind, check_model_folder, locate
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

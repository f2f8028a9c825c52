"""How is a model on disk checked, opened and saved?

A model is a Hugging Face folder: config, weights (bfloat16 safetensors where this project wrote them), tokenizer and a
model card. A policy is a causal language model; a PPM is a stock sequence classifier with one label whose output is the
raw score (`rstar_math.reward` turns it into a reward). Checking reads no weights and imports neither torch nor
transformers, so it can stand before anything expensive. It knows nothing of training or of engines.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rstar_math.errors import ConfigError, InputError

if TYPE_CHECKING:
    import torch

Kind = Literal["policy", "ppm"]
#: How the architecture's name in config.json ends.
_ARCHITECTURES: dict[Kind, str] = {"policy": "ForCausalLM", "ppm": "ForSequenceClassification"}
_WEIGHTS, _SHARDS, _CONFIG, _CARD = "model.safetensors", "model.safetensors.index.json", "config.json", "README.md"
#: A large file is known by so many blocks of so many bytes: all of it up to 8 MB, 0.05 s for any size.
_SAMPLED_BLOCKS, _BLOCK_BYTES = 128, 65_536
#: A tokenizer is stored as one of these.
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")


def locate(model: str) -> Path:
    """The folder of `model`: the path itself if it is a folder, else the Hugging Face model of that name, downloaded.

    Raises:
        ConfigError: it is neither a folder nor a model that can be downloaded from here.
    """
    if Path(model).is_dir():
        return Path(model)
    if Path(model).is_absolute():
        raise ConfigError(
            f"{model}: there is no such folder on {socket.gethostname()}. On a cluster models belong on a disk that all "
            "nodes see: base=FOLDER there, or HF_HOME there for those that are downloaded."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

    others = ["*.bin", "*.pth", "*.gguf", "original/*"]
    with suppress(HFValidationError, LocalEntryNotFoundError):  # a run stays with the revision that it began with
        return Path(snapshot_download(model, ignore_patterns=others, local_files_only=True))
    try:
        return Path(snapshot_download(model, ignore_patterns=others))
    except (HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError) as error:
        raise ConfigError(
            f"No model {model!r}: there is no such folder here, and Hugging Face has none that can be read from this "
            "machine. Give the path of a model folder, or a public model's name (set HF_TOKEN for a gated one)."
        ) from error


def check_model_folder(path: Path, kind: Kind) -> None:
    """Whether `path` holds a whole model of that kind, before anything is started with it.

    Raises:
        ConfigError: there is no such folder, or it holds a model of another kind.
        InputError: a file is missing or damaged; the message names it.
    """
    if not path.is_dir():
        raise ConfigError(f"No {kind} in {path}: the folder does not exist. Check the path, or train the {kind} first.")
    config = _read_json(path / _CONFIG, kind)
    architectures = [str(name) for name in config.get("architectures") or ()]
    if not any(name.endswith(_ARCHITECTURES[kind]) for name in architectures):
        raise ConfigError(
            f"{path} is no {kind}: {_CONFIG} names {', '.join(architectures) or 'no architecture'}, expected one that "
            f"ends with {_ARCHITECTURES[kind]}. Point to another folder."
        )
    if kind == "ppm" and (len(config.get("id2label") or {}) != 1 or config.get("pad_token_id") is None):
        raise ConfigError(
            f"{path} is no ppm: {_CONFIG} must name one label and a pad_token_id, it has id2label="
            f"{config.get('id2label')}, pad_token_id={config.get('pad_token_id')}. Point to a PPM trained here."
        )
    _check_weights(path, kind)
    if not any((path / name).is_file() for name in _TOKENIZERS):
        raise InputError(
            f"The {kind} in {path} has no tokenizer (looked for {', '.join(_TOKENIZERS)}). Copy the base model's there."
        )


def _check_weights(path: Path, kind: Kind) -> None:
    from safetensors import SafetensorError, safe_open

    index = path / _SHARDS
    for name in _shards(index, kind) if index.is_file() else [_WEIGHTS]:
        if not (path / name).is_file():
            raise InputError(f"The {kind} in {path} lacks {name}. Copy the folder again, or train the {kind} again.")
        try:
            safe_open(path / name, framework="numpy")
        except SafetensorError as error:
            raise InputError(
                f"The {kind} in {path} is damaged: {name} is no whole safetensors file ({error}). Copy it again."
            ) from error


def _shards(index: Path, kind: Kind) -> list[str]:
    """The files that the weights of a model are spread over."""
    shards = _read_json(index, kind).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise InputError(f"{index} has no weight_map of names of files. Copy the model folder again.")
    return sorted(set(shards.values()))


def _read_json(file: Path, kind: Kind) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"The {kind} in {file.parent} lacks {file.name}: it is no model folder.") from error
    except ValueError as error:  # no JSON, or not in UTF-8
        raise InputError(f"{file} is no JSON ({error}). Copy the model folder again.") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} holds no JSON object. Copy the model folder again.")
    return content


def parameters_of(path: Path) -> int:
    """How many parameters a model folder holds; of the weights only the headers are read.

    Raises:
        InputError: a file is missing or damaged.
    """
    from safetensors import safe_open

    _check_weights(path, "policy")
    parameters = 0
    for file in sorted(path.glob("*.safetensors")):
        with safe_open(file, framework="numpy") as weights:
            parameters += sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return parameters


def shape_of(path: Path) -> dict[str, int]:
    """How large a model is: `parameters`, `layers`, `hidden`, `kv_width` (numbers a token leaves in the cache of a layer) and
    `vocabulary`.

    Raises:
        ConfigError: its config.json has other names for them.
        InputError: a file is missing or damaged.
    """
    config = _read_json(path / _CONFIG, "policy")
    try:
        heads, hidden = config["num_attention_heads"], config["hidden_size"]
        return {
            "parameters": parameters_of(path),
            "layers": config["num_hidden_layers"],
            "hidden": hidden,
            "kv_width": 2 * (config.get("head_dim") or hidden // heads) * (config.get("num_key_value_heads") or heads),
            "vocabulary": config["vocab_size"],
        }
    except KeyError as error:
        raise ConfigError(
            f"{path / _CONFIG} names no {error}; say how large the model is with forecast.model"
        ) from None


def sample(file: Path) -> str:
    """SHA-256 of a file's first bytes and of blocks spread evenly over the rest: other weights differ everywhere."""
    size, sha = file.stat().st_size, hashlib.sha256()
    with file.open("rb") as opened:
        for block in range(_SAMPLED_BLOCKS):
            opened.seek(max(block * _BLOCK_BYTES, size * block // _SAMPLED_BLOCKS))
            sha.update(opened.read(_BLOCK_BYTES))
    return sha.hexdigest()


def open_tokenizer(path: Path) -> Any:
    """The folder's tokenizer; where it names no padding token, its end-of-text token pads.

    Raises:
        InputError: it has no end-of-text token, so no policy could be taught to stop.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    if tokenizer.eos_token_id is None:
        raise InputError(f"The tokenizer in {path} has no eos_token. Set one in its tokenizer_config.json.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def open_policy(path: Path, dtype: torch.dtype) -> Any:
    """The causal language model of a policy folder (or of a base model's)."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(path, dtype=dtype)


def open_ppm(path: Path, dtype: torch.dtype, pad_token: int) -> Any:
    """The sequence classifier of a PPM folder; of a policy's folder, with a fresh linear output instead of its head.

    The fresh weights are normal with mean 0 and the model's own initialiser's deviation, drawn from torch's generator.
    """
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(path, dtype=dtype, num_labels=1, pad_token_id=pad_token)


def save(folder: Path, model: Any, weights: dict[str, torch.Tensor], tokenizer: Any, card: str) -> None:
    """Write a model folder: `weights` as bfloat16 safetensors, with the model's config, tokenizer and card.

    Args:
        weights: the whole state of `model`, whose own parameters may be sharded over ranks.
        card: the text of the folder's README.md.
    """
    import torch

    model.save_pretrained(folder, state_dict={name: tensor.to(torch.bfloat16) for name, tensor in weights.items()})
    config = copy.deepcopy(model.config)
    config.dtype = torch.bfloat16
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / _CARD).write_text(card)

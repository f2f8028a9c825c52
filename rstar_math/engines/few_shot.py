"""Which worked examples stand before the problem?

A name or a path -> the few-shot prompt of the bootstrap model, which has never seen the text format (paper §3.4). It asks no
model.
"""

from __future__ import annotations

from pathlib import Path

from rstar_math.config import CONF
from rstar_math.errors import ConfigError

_PROMPTS = CONF / "prompts"


def few_shot(name: str) -> str:
    """The prompt of that name in conf/prompts, or in the file at that path.

    Raises:
        ConfigError: there is neither.
    """
    files = [Path(name), _PROMPTS / f"{name}.txt"]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        known = sorted(file.stem for file in _PROMPTS.glob("*.txt"))
        raise ConfigError(f"policy.few_shot={name}: no such file; give a path, or one of: {', '.join(known)}.")
    return found.read_text(encoding="utf-8")

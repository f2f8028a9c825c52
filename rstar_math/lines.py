"""rows -> a file of JSON lines that grows, and back.

A kill may cut the last line short: it is taken off, so that the next one is written behind a whole one. What a row means is
not known here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rstar_math.errors import StageError


def read_lines(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of the file's whole lines; none where there is no file.

    Raises:
        StageError: a whole line is damaged.
    """
    if not file.is_file():
        return
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        file.write_bytes(whole)
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise StageError(
                f"line {number} of {file} is damaged ({error}); delete that line and start again: what it stood for is "
                "done anew"
            ) from error


def line_of(row: Mapping[str, Any]) -> str:
    """A row as a line of such a file."""
    return json.dumps(row, ensure_ascii=False) + "\n"

"""rows -> a file of JSON lines that grows, and back.

A kill may cut the last line short: it is taken off, so that the next one is written behind a whole one. What a row means is
not known here.
"""

from __future__ import annotations

import json
import os
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
    drop_torn_line(file)
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise StageError(
                f"line {number} of {file} is damaged ({error}); delete that line and start again: what it stood for is "
                "done anew"
            ) from error


def drop_torn_line(path: Path) -> None:
    """Cuts off what follows the last line break of `path`: the line that a kill tore. A missing file stays missing."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):  # what is finished may stand where nobody may write
        os.truncate(path, whole)


def line_of(row: Mapping[str, Any]) -> str:
    """A row as a line of such a file."""
    return json.dumps(row, ensure_ascii=False) + "\n"

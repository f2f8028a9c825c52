"""rows -> a file of JSON lines that grows, and back.

Each line ends with a checksum of its row. A kill may cut the last line short: it is taken off, so that the next one is
written behind a whole one. What a row means is not known here.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rstar_math.errors import StageError

#: The name of a line's checksum, which stands last.
_CRC = "crc32"


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
            yield _row_of(line)
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
    return _json({**row, _CRC: _checksum(row)}) + "\n"


def _row_of(line: bytes) -> dict[str, Any]:
    row = json.loads(line)
    if not isinstance(row, dict) or row.pop(_CRC, None) != _checksum(row):
        raise ValueError("its checksum is not that of its row")
    return row


def _checksum(row: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(_json(row).encode()):08x}"


def _json(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)

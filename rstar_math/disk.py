"""Which bytes does a file hold, and would they outlive a kill, a flipped bit and a loss of power?

Files -> checksums; JSON -> files that are whole, and say so. What stands in them is not known here.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rstar_math.errors import StageError

#: What some network file systems say of a request that they do not know.
_UNKNOWN_REQUEST = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
#: A file of so many bytes is large; its digest, and when that was worked out.
_LARGE_BYTES, _READ_AGAIN_SECONDS = 64 << 20, 3600.0
_digests: dict[tuple[int, ...], tuple[str, float]] = {}
#: The checksum of a sealed file within itself, a name of the outermost object.
_SEAL, _SEALED = "sha256", re.compile(r'^ "sha256": "([^"]{64})",?$', re.MULTILINE)


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes. A large file that the file system says nobody has written to meanwhile is read again once an
    hour: an evaluation of many searches would spend more time on its models' bytes than on its searches."""
    state = path.stat()
    own = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    found, since = _digests.get(own, ("", -_READ_AGAIN_SECONDS))
    if not found or time.monotonic() - since >= _READ_AGAIN_SECONDS:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if state.st_size >= _LARGE_BYTES:
            _digests[own] = found, time.monotonic()
    return found


def digest_on_disk(path: Path) -> str:
    """SHA-256 of a file's bytes, which no loss of power takes back then: a manifest must not outlive what it speaks of."""
    found = digest(path)
    sync(path)
    return found


def sync(path: Path) -> None:
    """Has a file's bytes, or a folder's names, on disk, where the file system knows of such a request."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _UNKNOWN_REQUEST:
            raise
    finally:
        os.close(number)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file whole or not at all, on disk before it takes its name."""
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w") as file:
        file.write(_json(value))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def seal(path: Path, content: Mapping[str, Any]) -> None:
    """Writes it as JSON with a checksum of its own text, in which the checksum's place is empty."""
    unsealed = _json({**content, _SEAL: ""})
    write_json(path, {**content, _SEAL: hashlib.sha256(unsealed.encode()).hexdigest()})


def unseal(path: Path, way_out: str) -> dict[str, Any]:
    """What `seal` wrote.

    Raises:
        StageError: it is missing or damaged; the message ends with the way out.
    """
    try:
        text = path.read_text()
        written: dict[str, Any] = json.loads(text)
    except (OSError, ValueError) as error:
        raise StageError(f"{path} cannot be read ({error}). {way_out}") from error
    seal = _SEALED.search(text)
    if seal is None or hashlib.sha256((text[: seal.start(1)] + text[seal.end(1) :]).encode()).hexdigest() != seal[1]:
        raise StageError(f"{path} is damaged: its checksum is not that of its text. {way_out}")
    return written


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True)

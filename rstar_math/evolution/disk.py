"""Which bytes does a file hold, and would they outlive a loss of power?"""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

#: What some network file systems say of a request that they do not know.
_UNKNOWN_REQUEST = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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

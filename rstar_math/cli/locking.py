"""A file -> held by this process alone, on all hosts that see it.

The lock ends with its process, however that ends. Whose file it is, and who is kept out, is not known here.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from rstar_math.errors import StageError

#: What a file system says that takes no locks.
_LOCKS_NOTHING = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Holds the lock of `file`, which is made if it is missing. There is no second best where the file system takes none: a
    file that merely stands there outlives a killed process.

    Raises:
        filelock.Timeout: another process holds it.
        StageError: the file system takes no locks.
    """
    lock = FileLock(file, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in _LOCKS_NOTHING:
            raise
        raise StageError(
            f"{file} cannot be locked ({error.strerror}), so two starts could write in {file.parent} at once. Put runs= on a "
            "file system that takes locks between hosts (NFS without nolock and local_lock, Lustre with flock)"
        ) from error
    try:
        yield
    finally:
        lock.release()

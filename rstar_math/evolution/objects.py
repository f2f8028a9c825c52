"""Where do copies of files stand?

An object store, by its address: `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, whatever pyarrow opens. Names are relative to that
address. An object is there whole or not at all. Nothing here knows what the files are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pyarrow import ArrowException
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

from rstar_math.errors import ConfigError, StoreError

_BLOCK_BYTES = 8 << 20
#: Google's library would ask a store that does not answer again and again for a quarter of an hour.
_PATIENCE_SECONDS = 30


class Objects:
    """All objects below one address. Every method raises StoreError where the store does not answer, or refuses.

    Attributes:
        tick: called between the blocks of a large file.
    """

    def __init__(self, url: str) -> None:
        """Raises ConfigError where no store can be opened by that address."""
        try:
            self._store, self._top = FileSystem.from_uri(_not_for_ever(url))
        except (ArrowException, OSError, ValueError) as error:
            raise ConfigError(
                f"{url} opens no object store ({error}). Write s3://BUCKET/PATH or gs://BUCKET/PATH; keys, region and "
                "endpoint are read from the environment, as the store's own tools do (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, "
                "GOOGLE_APPLICATION_CREDENTIALS, …)"
            ) from None
        if isinstance(self._store, LocalFileSystem):
            raise ConfigError(
                f"{url} is no object store but a folder. Let the run itself stand there: runs=FOLDER on a shared file system"
            )
        self.tick: Callable[[], None] = lambda: None

    def sizes(self) -> dict[str, int]:
        """Bytes of every object, by name."""
        with _asked("the list of objects"):
            found = self._store.get_file_info(FileSelector(self._top, recursive=True, allow_not_found=True))
        return {info.path[len(self._top) + 1 :]: info.size for info in found if info.type == FileType.File}

    def seconds_between(self, first: str, second: str) -> float:
        """From the writing of one object to that of another, by the store's own clock; 0 where one is not there."""
        with _asked(first):
            found = self._store.get_file_info([self._path(first), self._path(second)])
        before, after = (info.mtime_ns for info in found)
        return (after - before) / 1e9 if before and after else 0.0

    def read(self, name: str) -> bytes | None:
        """An object's content; None where there is none of that name."""
        with _asked(name):
            try:
                with self._store.open_input_stream(self._path(name)) as source:
                    return bytes(source.read())
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Makes an object, or another one of a name."""
        with _asked(name), self._store.open_output_stream(self._path(name)) as target:
            target.write(content)

    def put(self, name: str, path: Path) -> bool:
        """Copies a file to the store; False where it is gone by now."""
        try:
            source = path.open("rb")
        except FileNotFoundError:
            return False
        with source, _asked(name):
            try:
                with self._store.open_output_stream(self._path(name)) as target:
                    while block := source.read(_BLOCK_BYTES):
                        target.write(block)
                        self.tick()
            except BaseException:  # the stream has made an object of what it had
                self.delete(name)
                raise
        return True

    def get(self, name: str, path: Path) -> None:
        """Copies an object to a file, which is whole once it has its name."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + ".unfinished")
        with unfinished.open("wb") as target:
            for block in self._blocks(name):
                target.write(block)
                self.tick()
            target.flush()
            os.fsync(target.fileno())
        unfinished.replace(path)

    def copy(self, name: str, new: str) -> bool:
        """Another object of the same content, made by the store itself; False where it cannot."""
        try:
            self._store.copy_file(self._path(name), self._path(new))
        except (ArrowException, OSError):
            return False
        return True

    def delete(self, name: str) -> None:
        """Deletes an object, which need not be there."""
        with _asked(name):
            try:
                self._store.delete_file(self._path(name))
            except FileNotFoundError:
                return

    def _blocks(self, name: str) -> Iterator[bytes]:
        with _asked(name):
            source = self._store.open_input_stream(self._path(name))
        with source:
            while True:
                with _asked(name):
                    block = source.read(_BLOCK_BYTES)
                if not block:
                    return
                yield block

    def _path(self, name: str) -> str:
        return f"{self._top}/{name}"


@contextmanager
def _asked(name: str) -> Iterator[None]:
    try:
        yield
    except (ArrowException, OSError) as error:
        raise StoreError(f"{name}: {error}") from error


def _not_for_ever(url: str) -> str:
    """The address, with a limit to Google's patience where it states none; Amazon's library has one of its own."""
    if not url.startswith(("gs://", "gcs://")) or "retry_limit_seconds=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}retry_limit_seconds={_PATIENCE_SECONDS}"

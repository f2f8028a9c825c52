"""Where do copies of files stand?

An object store, by its address: `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, whatever pyarrow opens. Names are relative to that
address. An object is there whole or not at all. Nothing here knows what the files are.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pyarrow import ArrowException
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

from rstar_math.errors import ConfigError

_BLOCK_BYTES = 8 << 20


class Objects:
    """All objects below one address. Every method raises OSError where the store does not answer, or refuses."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError where no store can be opened by that address."""
        try:
            self._store, self._top = FileSystem.from_uri(url)
        except (ArrowException, OSError, ValueError) as error:
            raise ConfigError(
                f"{url} opens no object store ({error}). Write s3://BUCKET/PATH or gs://BUCKET/PATH; keys, region and "
                "endpoint are read from the environment, as the store's own tools do (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, …)"
            ) from None
        if isinstance(self._store, LocalFileSystem):
            raise ConfigError(
                f"{url} is no object store but a folder. Let the run itself stand there: runs=FOLDER on a shared file system"
            )

    def sizes(self) -> dict[str, int]:
        """Bytes of every object, by name."""
        found = self._store.get_file_info(FileSelector(self._top, recursive=True, allow_not_found=True))
        return {info.path[len(self._top) + 1 :]: info.size for info in found if info.type == FileType.File}

    def seconds_between(self, first: str, second: str) -> float:
        """From the writing of one object to that of another, by the store's own clock; 0 where one is not there."""
        before, after = (info.mtime_ns for info in self._store.get_file_info([self._path(first), self._path(second)]))
        return (after - before) / 1e9 if before and after else 0.0

    def read(self, name: str) -> bytes | None:
        """An object's content; None where there is none of that name."""
        try:
            with self._store.open_input_stream(self._path(name)) as source:
                return bytes(source.read())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Makes an object, or another one of a name."""
        with self._store.open_output_stream(self._path(name)) as target:
            target.write(content)

    def put(self, name: str, path: Path) -> None:
        """Copies a file to the store; one that is gone by now is left out."""
        try:
            source = path.open("rb")
        except FileNotFoundError:
            return
        with source, self._store.open_output_stream(self._path(name)) as target:
            shutil.copyfileobj(source, target, _BLOCK_BYTES)

    def get(self, name: str, path: Path) -> None:
        """Copies an object to a file, which is whole once it has its name."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + ".unfinished")
        with self._store.open_input_stream(self._path(name)) as source, unfinished.open("wb") as target:
            shutil.copyfileobj(source, target, _BLOCK_BYTES)
        unfinished.replace(path)

    def copy(self, name: str, new: str) -> None:
        """Another object of the same content, made by the store itself."""
        self._store.copy_file(self._path(name), self._path(new))

    def delete(self, name: str) -> None:
        """Deletes an object, which need not be there."""
        try:
            self._store.delete_file(self._path(name))
        except FileNotFoundError:
            return

    def _path(self, name: str) -> str:
        return f"{self._top}/{name}"

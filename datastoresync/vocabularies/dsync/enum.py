"""Flags, statuses and the names of actions, as diffsync has them."""

from __future__ import annotations

import enum
from functools import lru_cache

from datastoresync.diffing.flags import Flags


class DiffSyncModelFlags(enum.Flag):
    """Flags of a model, as ``model_flags`` of its class or of one object."""

    NONE = 0
    IGNORE = 0b1
    """Neither compare nor change it, or models below it."""
    SKIP_CHILDREN_ON_DELETE = 0b10
    """Delete it without deleting its children one by one."""
    SKIP_UNMATCHED_SRC = 0b100
    """Do not create it if only the source has it."""
    SKIP_UNMATCHED_DST = 0b1000
    """Do not delete it if only the destination has it."""
    NATURAL_DELETION_ORDER = 0b10000
    """Delete its children before it, and not after it."""
    SKIP_UNMATCHED_BOTH = SKIP_UNMATCHED_SRC | SKIP_UNMATCHED_DST


class DiffSyncFlags(enum.Flag):
    """Flags of one comparison or one sync."""

    NONE = 0
    CONTINUE_ON_FAILURE = 0b1
    """Continue after a failed creation, update or deletion; ``diff.report`` has the failures."""
    SKIP_UNMATCHED_SRC = 0b10
    """Create nothing."""
    SKIP_UNMATCHED_DST = 0b100
    """Delete nothing."""
    SKIP_UNMATCHED_BOTH = SKIP_UNMATCHED_SRC | SKIP_UNMATCHED_DST
    LOG_UNCHANGED_RECORDS = 0b1000
    """Log each unchanged model of a sync, too."""


class DiffSyncStatus(enum.Enum):
    """The status of a model's last creation, update or deletion."""

    UNKNOWN = "unknown"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


class DiffSyncActions:
    """The names of the actions on a model; None for no change."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    SKIP = "skip"
    NO_CHANGE = None


@lru_cache(maxsize=64)
def flags_of_model(flags: DiffSyncModelFlags) -> Flags | None:
    """Return the native flags of a model; None leaves a choice to the run."""
    if not flags:
        return None
    return Flags(
        ignore=True if DiffSyncModelFlags.IGNORE in flags else None,
        never_create=True if DiffSyncModelFlags.SKIP_UNMATCHED_SRC in flags else None,
        never_delete=True if DiffSyncModelFlags.SKIP_UNMATCHED_DST in flags else None,
        leave_children=True if DiffSyncModelFlags.SKIP_CHILDREN_ON_DELETE in flags else None,
    )

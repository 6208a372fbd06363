"""The lock of a template's destination, which keeps a second run out."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from datastoresync.diffing.diff import Diff
from datastoresync.masking import masked
from datastoresync.syncers.files.locks import machine_lock


def destination_lock(owner: type, diff: Diff, destination: Any) -> AbstractContextManager[None]:
    """Keep other runs on this machine out of a destination, as long as this one lives.

    Args:
        owner: The class of the template, or of the tree whose objects have methods.
        diff: The diff that is applied.
        destination: What the template calls its destination; empty, or no text, to name it by the class and the tree.

    Raises:
        LockedError: when entered, if another run is at work there.
    """
    if isinstance(destination, str) and destination:
        return machine_lock(masked(destination), "destination", destination)
    trees = sorted({one.right.tree or one.right.name for one in diff.branch_diffs})
    name = f"{', '.join(trees) or 'its destination'} through {owner.__name__}"
    return machine_lock(
        name, "template", _program() if owner.__module__ == "__main__" else owner.__module__, owner.__qualname__, *trees
    )


def _program() -> str:
    """Return what tells one script from another, whose classes may be called the same."""
    return str(Path(getattr(sys.modules["__main__"], "__file__", None) or ".").resolve())

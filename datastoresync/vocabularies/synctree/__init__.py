"""The words of synctree: a mirrored tree made of two lists of names, and a template behind ``|``."""

from datastoresync.vocabularies.synctree.tree import (
    Action,
    Actions,
    DefaultReporter,
    DefaultTemplate,
    Subbranch,
    SyncBranch,
    SyncTree,
    dropped_action,
    successful_result,
    unsuccessful_result,
)

__all__ = [
    "Action",
    "Actions",
    "DefaultReporter",
    "DefaultTemplate",
    "Subbranch",
    "SyncBranch",
    "SyncTree",
    "dropped_action",
    "successful_result",
    "unsuccessful_result",
]

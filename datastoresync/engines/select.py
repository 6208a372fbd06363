"""Selection of the engine for the rows of a branch: whether they stay where they are, and which relation opens them.

To add an engine, write a folder whose ``__init__`` has a `SourceEngine` called ``ENGINE``, and name it in `ENGINES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datastoresync.conversion.schema import Schema
from datastoresync.engines import duckdb, postgresql, spark
from datastoresync.engines.relation import BranchDescription, CannotPushDown, SourceEngine
from datastoresync.errors import DeclarationError

if TYPE_CHECKING:
    from datastoresync.engines.table import TableObjects

ENGINES: tuple[SourceEngine, ...] = (duckdb.ENGINE, postgresql.ENGINE, spark.ENGINE)
"""The registered engines: of those that take a source, the first one has it."""

_AUTO, _MEMORY = "auto", "memory"


def engine_of(source: Any) -> SourceEngine | None:
    """Return the engine that takes a source, without importing its library; None if there is none."""
    return next((engine for engine in ENGINES if engine.takes(source)), None)


def options_of(engine: Any) -> Any:
    """Return the options of an engine, given what stands for it; None for its usual ones.

    Args:
        engine: A name, or options.

    Raises:
        DeclarationError: if there is no such engine.
    """
    if any(known.options is not None and isinstance(engine, known.options) for known in ENGINES):
        return engine
    names = [_AUTO, _MEMORY, *(known.asked for known in ENGINES)]
    if engine not in names:
        examples = [known.example for known in ENGINES if known.example]
        message = f"engine is one of {', '.join(map(repr, names))}, or {', or '.join(examples)} (got {engine!r})"
        raise DeclarationError(message)
    return None


def open_table(source: Any, branch: BranchDescription) -> TableObjects | None:
    """Return the objects of a source that stays a table; None if it is too small for that.

    Args:
        source: What an importer reads.
        branch: The branch that is imported.

    Raises:
        CannotPushDown: with the reason why it must become objects.
    """
    from datastoresync.engines.engine import TableEngine  # most imports are small, and need none
    from datastoresync.engines.table import TableObjects

    options = options_of(branch.engine)
    check_schema(branch.schema)
    if branch.forms_of():
        raise CannotPushDown("a _key, which gives keys their one form, is Python")
    engine = engine_of(source)
    if engine is None:
        raise CannotPushDown("its rows come from Python")
    relation = engine.relation(source, branch, options, automatic=branch.engine == _AUTO)
    return None if relation is None else TableObjects(relation, branch, TableEngine(options))


def check_schema(schema: Schema) -> None:
    """Raise `CannotPushDown` if the class of the objects can only be filled in Python."""
    if schema.through_init:
        raise CannotPushDown(f"{schema.cls.__name__} makes its objects by code of its own")
    if schema.memberships:
        raise CannotPushDown(f"{', '.join(sorted(schema.memberships))} of {schema.cls.__name__} is a membership")

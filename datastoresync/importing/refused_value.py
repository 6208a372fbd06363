"""What is said of a value that cannot be had: the column as its source calls it, and what to write to go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from datastoresync.conversion.converters import Converter
from datastoresync.conversion.value_format import Spelling, ValueFormat
from datastoresync.importing.importer import Importer
from datastoresync.masking import MASK
from datastoresync.syncers.table_layout import Table


def named_column(name: str, table: Table, value_format: ValueFormat) -> str:
    """Return an attribute as messages name it: by its column, too, if that is called otherwise.

    Args:
        name: The attribute.
        table: The table that it is read from.
        value_format: The options of that table, which may rename columns as well.
    """
    chosen: Any = getattr(value_format, "columns", None) or ()
    pairs = chosen.items() if isinstance(chosen, Mapping) else [one for one in chosen if not isinstance(one, str)]
    column = table.column(name)
    column = dict(pairs).get(column, column)
    return name if column == name else f"column {column!r} ({name})"


@attrs.frozen(eq=False)
class ValueAdvice:
    """Words for the values of one import.

    Args:
        importer: What reads it, bound to its branch.
        value_format: How the source writes values.
    """

    importer: Importer
    value_format: ValueFormat

    @property
    def _spelling(self) -> Spelling:
        """Where the branch is declared: classes that the command line makes are nobody's own."""
        found: Spelling = getattr(getattr(self.importer, "syncer", None), "spelling", self.value_format.spelling)
        made = self.importer.description.schema.cls.__module__.startswith("datastoresync.app")
        return "toml" if found == "toml" else "option" if made else "python"

    def place(self, name: str) -> str:
        """Return an attribute as a message names it: by its column, too, if that is called otherwise."""
        if self.importer.description is None or self.importer.overrides("prepare"):
            return name
        return named_column(name, self.importer.description.table, self.value_format)

    def refusal(self, name: str, converter: Converter, value: Any, error: Exception) -> str:
        """Return the message about a value that a declared type refuses.

        Args:
            name: The attribute.
            converter: Its type.
            value: The value.
            error: What the converter raised.
        """
        schema = self.importer.description.schema
        declared = converter.describe
        if value is None or value == "":
            key = name in schema.identifiers
            wider = f"{declared} | None"
            written = f'write {name} = "{wider}" in types' if self._spelling == "toml" else f"declare `{name}: {wider}`"
            ways = ["" if key else f"{written} if it may be missing", self.skips(name)]
            said = f"it is empty (declared: {declared})"
            return "; ".join(filter(None, (f"{self.place(name)}: {said}", ", or ".join(filter(None, ways)))))
        said = MASK if name in getattr(schema.cls, "_sensitive", ()) else str(error)
        return f"{self.place(name)}: {said} (declared: {declared}){self.value_format.advice(converter, value)}"

    def skips(self, name: str) -> str:
        """Return what leaves out rows in which an attribute is empty; nothing of those of a destination."""
        tree, _, branch = self.importer.description.name.rpartition(".")
        if self._spelling != "python" and tree == "destination":
            return ""
        if self._spelling == "toml":
            return f'write skip_empty = "{name}" in [branches.{branch}], which leaves such rows out'
        if self._spelling == "option":
            return f'skip_empty = "{name}" in a configuration, as datastoresync init writes it, leaves such rows out'
        hook = f"def keep(self, row): return row[{name!r}] not in (None, '')"
        return f"write `{hook}` in its importer, which leaves such rows out"

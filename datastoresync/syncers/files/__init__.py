"""Files as stores. A format is a module of this folder and one line in `FORMATS`."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import attrs


@attrs.frozen(eq=False, repr=False)
class Format:
    """A format of files, as it is known before the module that reads and writes it is imported.

    Args:
        name: What its URLs begin with; the class calls it ``format``.
        suffixes: What its files end in, in lower case; the first is that of new files. The class declares the same.
        location: The module, relative to this package or absolute, and the class: ``.csv:CSVSyncer``.
    """

    name: str
    suffixes: tuple[str, ...]
    location: str

    @property
    def module(self) -> str:
        """The module, as in ``location``."""
        return self.location.partition(":")[0]

    @property
    def class_name(self) -> str:
        """The name of its class, which `datastoresync.syncers` offers."""
        return self.location.partition(":")[2]

    def load(self) -> Any:
        """Import its module and return its class."""
        return getattr(import_module(self.module, __name__), self.class_name)


FORMATS: Final = (
    Format("csv", (".csv",), ".csv:CSVSyncer"),
    Format("tsv", (".tsv",), ".csv:TSVSyncer"),
    Format("json", (".json",), ".json:JSONSyncer"),
    Format("jsonl", (".jsonl", ".ndjson"), ".json:JSONLinesSyncer"),
    Format("xlsx", (".xlsx",), ".excel:ExcelSyncer"),
    Format("parquet", (".parquet",), ".parquet:ParquetSyncer"),
)
"""All formats: their schemes, their suffixes and the classes that load on first use come from here."""

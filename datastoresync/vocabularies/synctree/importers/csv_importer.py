"""Importers of CSV files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from datastoresync.errors import DataWarning, DeclarationError
from datastoresync.importing import importer as native
from datastoresync.vocabularies.synctree.importers.default_importer import DefaultImporter


class CSVImporter(DefaultImporter):
    r"""Reads a CSV file.

    Its settings are ``path``, in which ``{branch}`` and ``{subbranch}`` are filled in; ``delimiter`` (``","``); and,
    for a file without a header, ``<subbranch>_columns``, the names of its columns: ``""`` for one to leave unread.
    The file is read as strictly as a native `datastoresync.CSVImporter` does.
    """

    def get_path(self) -> Path:
        """Return the path of the file.

        Raises:
            DeclarationError: if there is no setting ``path``.
        """
        path = str(self.required_setting("path"))
        for name, value in (("{branch}", self._branch), ("{subbranch}", self._subbranch)):
            path = path.replace(name, str(value))
        return Path(path).expanduser()

    def reader(self) -> Any:
        """Return the records of the file."""
        return self.read_files([self.get_path()])

    def read_files(self, paths: Sequence[Path]) -> Any:
        """Return the records of several files of the same columns."""
        columns = self.get_setting(f"{self._subbranch}_columns")
        columns = re.split(r"[,\s]+", columns.strip()) if isinstance(columns, str) else columns
        delimiter = str(self.get_setting("delimiter", ",")).replace("\\t", "\t")
        header = True if columns is None else tuple(columns)
        return native.CSVImporter([str(path) for path in paths], delimiter=delimiter, header=header).bound().read()


class TranslatedCSVImporter(CSVImporter):
    """Reads several CSV files into one subbranch: the path of each is that of ``path`` with a word replaced.

    ``translate`` has the words with what replaces them, one or several: ``{"students": ("juniors", "seniors")}``.
    ``klass`` is the importer of each file, with its hooks; its settings are those of this one, too.
    """

    translate: ClassVar[Mapping[str, str | Sequence[str]]] = {}
    klass: ClassVar[type[CSVImporter]] = CSVImporter

    def reader(self) -> Any:
        """Return the records of all files, in the order of ``translate``.

        Raises:
            DeclarationError: if a word is not in the path.
        """
        importers = [self._importer(path) for path in self._paths()]
        processed = any(DefaultImporter.overrides(one, "keep") for one in importers)
        if self.klass.reader is CSVImporter.reader and not processed:
            return importers[0].read_files([one.get_path() for one in importers])
        return ProcessedFiles(importers)

    def _paths(self) -> list[str]:
        path = str(self.required_setting("path"))
        pairs = [
            (word, one)
            for word, given in self.translate.items()
            for one in ([given] if isinstance(given, str) else given)
        ]
        for word, _ in pairs or [("", "")]:
            if not word or word not in path:
                message = f"{type(self).__name__}.translate replaces {word!r}, which is not in the path {path!r}"
                raise DeclarationError(message)
        return [path.replace(word, one) for word, one in pairs]

    def _importer(self, path: str) -> CSVImporter:
        importer = self.klass(self._tree, self._branch, self._subbranch)
        for name, value in {**self._settings, "path": path}.items():
            importer.update_setting(name, value)
        return importer


class ProcessedFiles(Iterable[Any]):
    """The rows of several files, each after the hooks of an importer of its own.

    ``empty_parts`` names the files that had no rows, by which a run is refused that would delete what was in them.

    Args:
        importers: The importer of each file.
    """

    def __init__(self, importers: Sequence[CSVImporter]) -> None:
        self.importers = importers
        self.empty_parts: list[str] = []

    def __iter__(self) -> Iterator[Any]:
        for importer in self.importers:
            count = 0
            for count, row in enumerate(DefaultImporter.rows(importer), 1):  # noqa: B007 - counted for what follows
                made = importer.kwargs_preprocessor(row)
                if made is not None:
                    yield made
            if not count:
                self.empty_parts.append(importer.get_path().name)
                message = f"{importer.get_path()}: the file has no rows"
                warnings.warn(message, DataWarning, stacklevel=2)

"""Files with bars between the columns, by a dataclass of pydantic 1 with its hook."""

import csv
import pathlib
from typing import Any, Dict, List

from pydantic import validator
from pydantic.dataclasses import dataclass

from . import spelling


@dataclass
class Delimited:
    """A folder of files."""

    directory: pathlib.Path
    delimiter: str = "|"
    null: str = "-"
    name: str = "delimited"

    @validator("delimiter")
    def of_one_character(cls, given):
        """Refuse what csv cannot write."""
        if len(given) != 1:
            raise ValueError("a delimiter is one character")
        return given

    def __post_init_post_parse__(self):
        self.directory = self.directory / "tables"
        self.directory.mkdir(exist_ok=True)

    def _file(self, directive: str) -> pathlib.Path:
        return self.directory / spelling.file_name(directive)

    def load(self, directive: str) -> List[Dict[str, Any]]:
        """Return the rows of a file."""
        with self._file(directive).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter=self.delimiter))
        return [{name: None if value == self.null else value for name, value in row.items()} for row in rows]

    def dump(self, directive: str, *, data: List[Dict[str, Any]]) -> None:
        """Write a file; it goes through the data twice, and takes its header from the first row."""
        if not data:
            self._file(directive).write_text("")
            return
        header = data[0].keys()
        assert all(row.keys() == header for row in data), "all rows have the same columns"
        with self._file(directive).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, header, delimiter=self.delimiter)
            writer.writeheader()
            writer.writerows({name: self.null if row[name] is None else row[name] for name in header} for row in data)

"""Files of JSON lines, by a model of pydantic 2 with the hooks of its base."""

from __future__ import annotations

import json
import pathlib
from typing import TYPE_CHECKING, Any, Literal, Optional

import pydantic
from cs_tools.sync.base import Syncer

if TYPE_CHECKING:
    from cs_tools.sync.types import TableRows


class Lines(Syncer):
    """A folder of files."""

    __manifest_path__ = pathlib.Path(__file__).parent / "MANIFEST.json"
    __syncer_name__ = "lines"

    directory: pydantic.DirectoryPath
    save_strategy: Literal["APPEND", "OVERWRITE"] = "OVERWRITE"
    date: Optional[pydantic.AwareDatetime] = None

    @pydantic.field_validator("save_strategy", mode="before")
    @classmethod
    def upper(cls, given: Any) -> Any:
        """Take small letters, too."""
        return str(given).upper()

    def model_post_init(self, __context: Any) -> None:
        self._made = ["model_post_init"]

    def __finalize__(self) -> None:
        super().__finalize__()
        self._made.append("__finalize__")
        self.suffix = ".jsonl"

    def __repr__(self):
        return f"<Lines to {self.directory}>"

    def load(self, filename: str) -> TableRows:
        """Return the rows of a file."""
        text = (self.directory / f"{filename}{self.suffix}").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def dump(self, filename: str, *, data: TableRows) -> None:
        """Write a file; it looks at the first row, and goes through the data twice."""
        columns = list(data[0]) if data else []
        text = "".join(json.dumps({name: row[name] for name in columns}) + "\n" for row in data)
        mode = "a" if self.save_strategy == "APPEND" else "w"
        with (self.directory / f"{filename}{self.suffix}").open(mode, encoding="utf-8") as file:
            file.write(text)
        assert sum(1 for _ in data) == text.count("\n")

"""Tables as compressed JSON lines: users.jsonl.gz in a folder is the table users."""

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass
class ArchiveSyncer:
    """Keeps what JSON can; sets and tuples become lists, and keys of dictionaries text. Dates and bytes are refused."""

    path: str
    name: str = "archive"
    streams = True  # data may be any iterable, which is read once

    def load(self, identifier: str) -> list[dict[str, object]]:
        """Return the records of a table."""
        return [*map(json.loads, gzip.decompress(Path(self.path, f"{identifier}.jsonl.gz").read_bytes()).splitlines())]

    def dump(self, identifier: str, *, data: Iterable[Mapping[str, object]]) -> None:
        """Replace the records of a table; a crash leaves the old ones or the new, never half of them."""
        if not identifier or Path(identifier).name != identifier:
            raise ValueError(f"{identifier!r} is no name of a file")
        beside = Path(self.path, f"{identifier}.new")
        with gzip.open(beside, "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(dict(each), default=lambda it: sorted(set.union(it))) + "\n" for each in data)
        beside.replace(beside.with_suffix(".jsonl.gz"))

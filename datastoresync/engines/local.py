"""Rows in files that the embedded engine reads: what all of them have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from datastoresync.engines.comparison import differing
from datastoresync.engines.conversion import form, surely
from datastoresync.engines.relation import Compared, Page, Unfaithful, Work
from datastoresync.engines.session import DuckDB
from datastoresync.syncers.records import Columns

__all__ = ["CHUNK", "LocalRelation"]

CHUNK = 8192
"""Rows that are handed on at a time."""
_BLANKS = "' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(28) || chr(29) || chr(30) || chr(31)"
_KEYS = 5000
"""Keys that are looked for at a time."""


class LocalRelation:
    """Rows in files. Subclasses say how SQL reads them.

    Args:
        duckdb: How the engine runs.
        columns: The attributes.
        kinds: What each column holds: ``text``, ``int``, ``date`` and the like; see `conversion`.
        layout: The class of the objects, whose converters are the meaning of the values.
    """

    engine = "duckdb"
    place = "duckdb"

    def __init__(self, duckdb: DuckDB, columns: Sequence[str], kinds: Sequence[str], layout: Any) -> None:
        self.duckdb = duckdb
        self.columns = tuple(columns)
        self.kinds = dict(zip(columns, kinds, strict=True))
        self.layout = layout
        self.count = 0
        self.ascii = True
        missing = [name for name in layout.identifiers if name not in self.kinds]
        if missing:
            raise Unfaithful("a column of the idnumber is missing")

    # What subclasses say.

    def scan(self) -> str:
        """Return a subquery that gives the columns under the names of `raw`."""
        raise NotImplementedError

    def whole(self) -> tuple[Any, str] | None:
        """Return a query for the rows as they are written, in one column, and what must be equal on both sides.

        None if rows must be compared column by column.
        """
        return None

    def unwritten(self, rows: Sequence[str]) -> Columns:
        """Return the columns of rows of `whole`."""
        raise NotImplementedError

    def unchanged(self) -> None:
        """Raise `SyncerError` if the files are not those that were imported."""

    def close(self) -> None:
        """Let go of the files."""

    # SQL.

    def raw(self, name: str) -> str:
        """Return what a column is called in SQL."""
        return f"c{self.columns.index(name)}"

    def converter(self, name: str) -> Any:
        """Return the converter of an attribute; None for an open class."""
        fields = self.layout.fields
        return None if fields is None else fields[name].converter

    def keys(self, table: str = "") -> list[str]:
        """Return the expressions that the idnumber is made of, as they sort.

        Raises:
            Unfaithful: if SQL sorts or finds them in another way.
        """
        found = []
        for name in self.layout.identifiers:
            kind = self.kinds[name]
            made = form(kind, self.converter(name), table + self.raw(name))
            if made is None or made.family not in ("text", "number", "date"):
                raise Unfaithful("the idnumber is of a type that SQL sorts in another way")
            declared = "" if self.converter(name) is None else self.converter(name).describe
            found.append(f"CAST({table}{self.raw(name)} AS BIGINT)" if declared == "int" else made.sql)
        return found

    def key(self, table: str = "") -> str:
        """Return the idnumber as one expression."""
        return _row(self.keys(table))

    # What is in it.

    def check(self, connection: Any) -> None:
        """Look through all rows once; set `count`.

        Raises:
            Unfaithful: for anything that the in-memory engine might refuse, warn of, or unite.
        """
        # Keys that differ in more than case differ; so one count tells of those that are twice, and of look-alikes.
        folded = [f"lower({key})" if text else key for key, text in zip(self.keys(), self._texts(), strict=True)]
        none = [f"{self.raw(name)} IS NULL" for name in self.layout.identifiers]
        none += [f"{key} = ''" for key, text in zip(self.keys(), self._texts(), strict=True) if text]
        blank = [f"contains({key}, ' ')" for key, text in zip(self.keys(), self._texts(), strict=True) if text]
        wanted = [
            "count(*)",
            f"count(DISTINCT {_row(folded)})",
            f"count(*) FILTER ({' OR '.join(none)})",
            f"bool_or({' OR '.join(blank) or 'false'})",
        ]
        asked: list[str] = []
        for name in self.columns:
            sure = surely(self.kinds[name], self.converter(name), self.raw(name))
            if sure is None:
                asked.append(name)
            elif sure != "true":
                wanted.append(f"count(*) FILTER (NOT {sure} IS TRUE)")
                asked.append(f"?{len(wanted) - 1}:{name}")
        query = f"SELECT {', '.join(wanted)} FROM {self.scan()}"  # noqa: S608 - names are ours
        found = connection.execute(query).fetchone()
        self.count, distinct, none, blank = found[:4]
        if none:
            raise Unfaithful("some rows have no idnumber")
        if not self.count:
            raise Unfaithful("there are no rows")
        if distinct != self.count or blank or not self.ascii:
            self._check_keys(connection)
        for one in asked:
            place, _, name = one.rpartition(":")
            if not place:
                self._ask(connection, name, "true")
            elif found[int(place[1:])]:
                sure = surely(self.kinds[name], self.converter(name), self.raw(name))
                self._ask(connection, name, f"NOT {sure} IS TRUE")
                raise Unfaithful(f"{name} has values that only its converter understands")

    def _ask(self, connection: Any, name: str, condition: str) -> None:
        """Let the converter look at each distinct value."""
        converter = self.converter(name)
        query = f"SELECT DISTINCT {self.raw(name)} FROM {self.scan()} WHERE {condition}"  # noqa: S608 - names are ours
        cursor = connection.execute(query)
        while rows := cursor.fetchmany(CHUNK):
            try:
                converter.column([row[0] for row in rows])
            except (ValueError, TypeError) as error:
                raise Unfaithful(f"{name} has a value that is refused") from error

    def _texts(self) -> list[bool]:
        """Say which parts of the idnumber are texts."""
        return [self.kinds[name] == "text" and not key.startswith("CAST") for name, key in zip(self.layout.identifiers, self.keys(), strict=True)]

    def _check_keys(self, connection: Any) -> None:
        """Count the keys as they are, and those that a person would take for one, which the in-memory engine warns of."""
        texts = list(zip(self.keys(), self._texts(), strict=True))
        folded = [f"lower(trim({key}, {_BLANKS}))" if text else key for key, text in texts]
        other = [f"strlen({key}) <> length({key})" for key, text in texts if text]
        query = (
            f"SELECT count(DISTINCT {self.key()}), count(DISTINCT {_row(folded)}), "  # noqa: S608 - names are ours
            f"bool_or({' OR '.join(other) or 'false'}) FROM {self.scan()}"
        )
        distinct, unlike, other = connection.execute(query).fetchone()
        if distinct != self.count:
            raise Unfaithful("several rows have one idnumber")
        if unlike != self.count or other:
            raise Unfaithful("some idnumbers may look alike")

    # The protocol.

    def rows(self, page: Page | None = None) -> Iterator[Columns]:
        """Yield chunks of columns; see `Relation`."""
        query, parameters = f"SELECT {self._all()} FROM {self.scan()}", []  # noqa: S608 - names are ours
        if page is not None:
            conditions = []
            for symbol, key in ((">=", page.start), (">", page.after), ("<", page.stop)):
                if key is not None:
                    marks, values = self._bound(key)
                    conditions.append(f"{self.key()} {symbol} {marks}")
                    parameters += values
            if conditions:
                query += f" WHERE {' AND '.join(conditions)}"
            direction = " DESC" if page.backwards else ""
            query += f" ORDER BY {', '.join(key + direction for key in self.keys())}"
            if page.limit is not None:
                query += f" LIMIT {page.limit}"
        yield from self._answered(query, parameters)

    def find(self, keys: Collection[Any]) -> Iterator[Columns]:
        """Yield chunks with the rows of these keys."""
        yield from self._matching(self._all(), keys)

    def present(self, keys: Collection[Any]) -> set[Any]:
        """Return which of these keys there are."""
        found: set[Any] = set()
        for columns in self._matching(", ".join(self.keys()), keys):
            found.update(columns[0] if len(self.layout.identifiers) == 1 else zip(*columns, strict=True))
        return found

    def differing(self, other: Any, work: Work) -> Compared:
        """Compare with other rows that the embedded engine reads."""
        return differing(self, other, work)

    def _all(self) -> str:
        return ", ".join(map(self.raw, self.columns))

    def _matching(self, what: str, keys: Collection[Any]) -> Iterator[Columns]:
        wanted = [key for key in keys if self._like(key)]
        for start in range(0, len(wanted), _KEYS):
            marks, parameters = [], []
            for key in wanted[start : start + _KEYS]:
                mark, values = self._bound(key)
                marks.append(mark)
                parameters += values
            query = f"SELECT {what} FROM {self.scan()} WHERE {self.key()} IN ({', '.join(marks)})"  # noqa: S608 - names are ours
            yield from self._answered(query, parameters)

    def _like(self, key: Any) -> bool:
        """Say whether a key can be one of these at all: of another type, it is not, and SQL would convert it."""
        parts = key if len(self.layout.identifiers) > 1 else (key,)
        if not isinstance(parts, tuple) or len(parts) != len(self.layout.identifiers):
            return False
        return all(self._part_like(name, part) for name, part in zip(self.layout.identifiers, parts, strict=True))

    def _part_like(self, name: str, part: Any) -> bool:
        made = form(self.kinds[name], self.converter(name), "")
        family = "" if made is None else made.family
        if family == "text":
            return isinstance(part, str)
        if family == "number":
            return isinstance(part, int) and -(2**63) <= part < 2**63
        return type(part).__name__ == family

    def _bound(self, key: Any) -> tuple[str, list[Any]]:
        """Return what stands for a key in a query, and the values behind it."""
        if len(self.layout.identifiers) == 1:
            return "?", [key]
        return f"row({', '.join('?' for _ in key)})", list(key)

    def _answered(self, query: str, parameters: Sequence[Any]) -> Iterator[Columns]:
        self.unchanged()
        with ExitStack() as stack:
            connection = stack.enter_context(self.duckdb.connected())
            cursor = connection.execute(query, parameters)
            yield from self.fetched(cursor)

    @property
    def sample(self) -> dict[str, Any]:
        """A value of each column that has one among the first rows."""
        first = next(self._answered(f"SELECT {self._all()} FROM {self.scan()} LIMIT 100", ()))  # noqa: S608 - names are ours
        values = (next((value for value in column if value is not None), None) for column in first)
        return dict(zip(self.columns, values, strict=True))

    def fetched(self, cursor: Any) -> Iterator[Columns]:
        """Yield what a query gives, in chunks of columns of Python's values."""
        while rows := cursor.fetchmany(CHUNK):
            yield list(zip(*rows, strict=True))


def _row(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"row({', '.join(parts)})"

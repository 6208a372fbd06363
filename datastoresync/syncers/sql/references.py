"""References over the database's own ids: which columns have them, where they lead, and how they are read.

Outside, such a column has the idnumbers of the rows that it refers to; inside, their ids. It is read through a join,
and written by a look-up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import sqlalchemy as sa

from datastoresync.errors import SyncerError

if TYPE_CHECKING:
    from datastoresync.syncers.changes import Link, Ref, Table

_FOLLOWED = "followed"
Location = tuple[str | None, str]
"""The schema of a table, None for the default one, and its name."""


AnyTable = Any
"""A table as `catalog` describes it, which is above."""


class AnyCatalogue(Protocol):
    """What this needs of a catalogue."""

    @property
    def default_schema(self) -> str | None:
        """The schema of names without one."""
        ...

    @property
    def folds_names(self) -> bool:
        """Whether names are the same in capitals and small letters."""
        ...

    def find(self, name: str) -> AnyTable:
        """Return a table."""
        ...

    def locate(self, name: str) -> Location | None:
        """Return where a table is, or None."""
        ...

    def foreign_keys(self, location: Location) -> Sequence[Reference]:
        """Return the foreign keys of a table."""
        ...

    def is_made(self, location: Location, name: str) -> bool:
        """Say whether the database makes the values of a column."""
        ...


@attrs.frozen(eq=False)
class JoinStep:
    """What leads from an id to the row that has it, and to what stands for it there.

    Args:
        stored: The table of the row.
        to: The column with the id.
        key: The column with the idnumber, or with an id that another step leads on from.
    """

    stored: AnyTable
    to: sa.Column[Any]
    key: sa.Column[Any]


@attrs.frozen(eq=False)
class Followed:
    """Where the ids of a column lead.

    Args:
        steps: The steps from the column to the idnumber.
    """

    steps: tuple[JoinStep, ...]

    @property
    def stored(self) -> AnyTable:
        """The table with the idnumbers."""
        return self.steps[-1].stored

    @property
    def key(self) -> sa.Column[Any]:
        """The column with the idnumbers."""
        return self.steps[-1].key

    def lookup(self, among: Any) -> sa.Select[Any]:
        """Return a query for the idnumbers and their ids.

        Args:
            among: Makes the condition that a column has one of the idnumbers.
        """
        first, *rest = self.steps
        table = first.stored.table.alias()
        source: sa.FromClause = table
        ids, value = table.columns[first.to.name], table.columns[first.key.name]
        for step in rest:
            table = step.stored.table.alias()
            source = source.join(table, table.columns[step.to.name] == value)
            value = table.columns[step.key.name]
        return sa.select(value, ids).select_from(source).where(among(value))


def followed_of(column: sa.Column[Any]) -> Followed | None:
    """Return where the ids of a column lead; None if it has no ids."""
    found: Followed | None = column.info.get(_FOLLOWED)
    return found


def meaning_of(stored: AnyTable, column: sa.Column[Any]) -> tuple[AnyTable, sa.Column[Any]]:
    """Return the table and the column whose values a column has outside: its own, or the idnumbers it leads to."""
    followed = followed_of(column)
    return (stored, column) if followed is None else (followed.stored, followed.key)


class Joins:
    """What to select from, so that columns with ids come as idnumbers.

    Args:
        table: The table that the columns are of.
    """

    def __init__(self, table: sa.Table) -> None:
        self.source: sa.FromClause = table
        self._table = table
        self._found: dict[tuple[str, Followed], sa.ColumnElement[Any]] = {}

    def column(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """Return what to select in the place of a column, which may be of the same table as another object."""
        followed = followed_of(column)
        value: sa.ColumnElement[Any] = self._table.columns[column.name]
        if followed is None:
            return value
        if (column.name, followed) not in self._found:
            for step in followed.steps:
                table = step.stored.table.alias()
                self.source = self.source.outerjoin(table, table.columns[step.to.name] == value)
                value = table.columns[step.key.name]
            self._found[column.name, followed] = value
        return self._found[column.name, followed]


@attrs.frozen
class Reference:
    """A foreign key.

    Args:
        columns: Its columns.
        schema: The schema of the table that it leads to; None for the default one.
        table: That table.
        to: The columns there.
    """

    columns: tuple[str, ...]
    schema: str | None
    table: str
    to: tuple[str, ...]

    def pairs(self) -> dict[str, str]:
        """Return the columns that it leads to, by its own."""
        return dict(zip(self.columns, self.to, strict=True))


class References:
    """Finds out which columns of a branch's tables have ids.

    Args:
        catalogue: Where to look.
        table: The table of the branch.
        key: The columns of its idnumber.
    """

    def __init__(self, catalogue: AnyCatalogue, table: Table, key: Sequence[str]) -> None:
        self._catalogue = catalogue
        self._table = table
        self._keys = {**table.keys, table.name: tuple(key)}
        self.refused: dict[str, str] = {}
        """Why columns of the branch's table cannot be read or written."""

    def of_table(self, stored: AnyTable) -> AnyTable:
        """Return the branch's table with what its columns lead to."""
        refs = self._table.refs
        meant = {self._table.column(attribute): other for attribute, other in self._table.references.items()}
        found: dict[str, Followed] = {}
        for name in dict.fromkeys((*refs, *meant, *self._referring(stored))):
            try:
                steps = self._steps(_location(stored), name, refs.get(name), meant.get(name))
            except SyncerError as error:
                self.refused[name] = str(error)
                continue
            if steps:
                found[name] = Followed(steps)
        return _with_followed(stored, found)

    def _referring(self, stored: AnyTable) -> Iterator[str]:
        for foreign_key in self._catalogue.foreign_keys(_location(stored)):
            yield from foreign_key.columns

    def of_link(
        self, attribute: str, link: Link, stored: AnyTable, owners: AnyTable
    ) -> tuple[AnyTable, tuple[sa.Column[Any], ...], sa.Column[Any]]:
        """Return a link table with what its columns lead to, the columns of the owner, and that of the member.

        Args:
            attribute: The attribute.
            link: What was declared.
            stored: The link table.
            owners: The branch's table, with what its columns lead to.

        Raises:
            SyncerError: A column is not there, or cannot be followed.
        """
        refs = link.refs
        found: dict[str, Followed] = {}
        member = self._table.references.get(attribute)
        own_key = self._keys[self._table.name]
        width = len(link.owners)
        for position, name in enumerate(link.columns):
            stored.column(name)
            is_owner = position < width
            meant = (self._table.name if width == 1 else None) if is_owner else member
            steps = self._steps(_location(stored), name, refs.get(name), meant, linked=True)
            if steps:
                found[name] = Followed(steps)
            if is_owner and width == len(own_key):
                self._check_owner(link, name, steps, meaning_of(owners, owners.column(own_key[position])))
        changed = _with_followed(stored, found)
        *owner_columns, member_column = (changed.column(name) for name in link.columns)
        return changed, tuple(owner_columns), member_column

    def _check_owner(
        self, link: Link, name: str, steps: Sequence[JoinStep], key: tuple[AnyTable, sa.Column[Any]]
    ) -> None:
        """Raise `SyncerError` if the owner of a link leads to something that is not the branch's key."""
        if steps and (steps[-1].stored.full_name, steps[-1].key.name) != (key[0].full_name, key[1].name):
            last = steps[-1]
            message = (
                f"the owner in link table {link.table!r}, column {name!r}, leads to {last.key.name!r} of table "
                f"{last.stored.name!r}, which is not the key of table {self._table.name!r}: name the right column, or "
                f"declare where it leads: Ref({self._table.name!r}, column={name!r}, to=…)"
            )
            raise SyncerError(message)

    def _steps(
        self,
        location: Location,
        name: str,
        ref: Ref | None = None,
        meant: str | None = None,
        *,
        linked: bool = False,
        before: tuple[tuple[Location, str], ...] = (),
    ) -> tuple[JoinStep, ...]:
        """Return the steps from a column to idnumbers; none if it has no ids.

        Args:
            location: Its table.
            name: The column.
            ref: What was declared about it.
            meant: The table that it is said to refer to, without saying how.
            linked: Whether it is an owner or a member.
            before: The columns that led here.

        Raises:
            SyncerError: It cannot be followed.
        """
        if (location, name) in before:  # a key that refers to itself in the end is its own idnumber
            return ()
        before = (*before, (location, name))
        if ref is not None:
            return self._declared(ref, before)
        outside = []
        keys = [key for key in self._catalogue.foreign_keys(location) if name in key.columns]
        for foreign_key in sorted(keys, key=lambda key: len(key.columns)):
            other, to = (foreign_key.schema, foreign_key.table), foreign_key.pairs()[name]
            idnumber = self._key_of(other)
            if idnumber is None:
                outside.append((foreign_key, other, to))
            elif _in(to, idnumber):
                return self._steps(other, to, before=before)
            elif len(foreign_key.columns) > 1 or len(idnumber) != 1:
                raise SyncerError(_not_to_follow(location, name, foreign_key, idnumber))
            else:
                return self._step(other, to, idnumber[0], before)
        for foreign_key, other, to in outside:
            if steps := self._steps(other, to, before=before):
                return steps
            if linked and self._catalogue.is_made(other, to):
                raise SyncerError(_unknown(location, name, foreign_key))
        if not keys and meant is not None:
            self._check_kind(location, name, meant)
        return ()

    def _declared(self, ref: Ref, before: tuple[tuple[Location, str], ...]) -> tuple[JoinStep, ...]:
        stored = self._catalogue.find(ref.table)
        other = _location(stored)
        to = ref.to or (stored.primary_key[0] if len(stored.primary_key) == 1 else "")
        if not to:
            message = f"table {ref.table!r} has no primary key of one column: say which one has the ids, Ref(…, to=…)"
            raise SyncerError(message)
        idnumber = (ref.key,) if ref.key else self._key_of(other)
        if idnumber is None or len(idnumber) != 1:
            trouble = "is not in the tree" if idnumber is None else f"has {len(idnumber)} columns as its key"
            message = f"table {ref.table!r} {trouble}: say which column has the idnumbers, Ref({ref.table!r}, …, key=…)"
            raise SyncerError(message)
        if ref.key and _in(to, idnumber):
            return ()
        return self._step(other, to, idnumber[0], before)

    def _step(
        self, other: Location, to: str, key: str, before: tuple[tuple[Location, str], ...]
    ) -> tuple[JoinStep, ...]:
        further = self._steps(other, key, before=before)
        if _in(to, (key,)):
            return further
        stored = self._catalogue.find(".".join(filter(None, other)))
        return (JoinStep(stored, _column(stored, to), _column(stored, key)), *further)

    def _key_of(self, location: Location) -> tuple[str, ...] | None:
        """Return the columns of the idnumber in a table; None if it is in no table of the tree."""
        schema, name = location
        plain = str.casefold if self._catalogue.folds_names else str
        whole = plain(f"{schema or self._catalogue.default_schema}.{name}")
        for table, columns in self._keys.items():
            if whole in (plain(table), plain(f"{self._catalogue.default_schema}.{table}")):
                return columns
        return None

    def _check_kind(self, location: Location, name: str, other: str) -> None:
        """Raise `SyncerError` if a column without a foreign key has numbers, where the idnumbers are texts."""
        if self._catalogue.locate(other) is None or self._catalogue.locate(".".join(filter(None, location))) is None:
            return
        stored, here = self._catalogue.find(other), self._catalogue.find(".".join(filter(None, location)))
        key = self._key_of(_location(stored))
        if key is None or len(key) != 1 or len(stored.primary_key) != 1 or _in(key[0], stored.primary_key):
            return
        kinds = (here.column(name).type, stored.column(stored.primary_key[0]).type)
        if all(isinstance(kind, sa.Integer) for kind in kinds) and isinstance(stored.column(key[0]).type, sa.String):
            message = (
                f"column {name!r} of table {location[1]!r} has numbers, and the idnumbers of table {other!r}, "
                f"{key[0]!r}, are texts, so it seems to have ids of the database's own: declare them with "
                f"Ref({other!r}, column={name!r}), or else Ref({other!r}, column={name!r}, to={key[0]!r})"
            )
            raise SyncerError(message)


def _location(stored: AnyTable) -> Location:
    return stored.table.schema, stored.table.name


def _in(name: str, columns: Sequence[str]) -> bool:
    return name.casefold() in map(str.casefold, columns)


def _column(stored: AnyTable, name: str) -> sa.Column[Any]:
    """Return a column, as a foreign key names it: some databases take its letters as they come."""
    found: sa.Column[Any] = stored.column(next((own for own in stored.encoders if _in(own, (name,))), name))
    return found


def _with_followed(stored: AnyTable, followed: Mapping[str, Followed]) -> AnyTable:
    """Return a table that knows where the ids of its columns lead."""
    if not followed:
        return stored
    table = stored.table.to_metadata(sa.MetaData())
    for name, found in followed.items():
        stored.column(name)
        table.columns[name].info[_FOLLOWED] = found
    return attrs.evolve(stored, table=table)


def _not_to_follow(location: Location, name: str, foreign_key: Reference, idnumber: Sequence[str]) -> str:
    to = foreign_key.pairs()[name]
    several = "together with other columns" if len(foreign_key.columns) > 1 else f"by {to!r}"
    return (
        f"column {name!r} of table {location[1]!r} refers to table {foreign_key.table!r} {several}, and not by its "
        f"idnumber, {', '.join(idnumber)}, so it cannot be followed: say where it leads with "
        f"Ref({foreign_key.table!r}, column={name!r}, to={to!r}, key=…); key={to!r} takes the ids themselves"
    )


def _unknown(location: Location, name: str, foreign_key: Reference) -> str:
    table, to = foreign_key.table, foreign_key.pairs()[name]
    return (
        f"column {name!r} of link table {location[1]!r} has ids that the database gives to rows of table {table!r}, "
        f"which is in no branch of the tree, so nothing says what their idnumbers are: say it with "
        f"Ref({table!r}, column={name!r}, key=…) in the Link; key={to!r} takes the ids themselves"
    )

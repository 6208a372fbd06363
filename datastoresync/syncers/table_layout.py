"""Where a store keeps objects: a table, the columns of attributes, and the tables of members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from datastoresync.errors import DeclarationError


@attrs.frozen
class Ref:
    """A column with the database's own ids of another table's rows, which are read and written as their idnumbers.

    It stands where the name of a column may: in ``Table(columns=…)``, and for the owner or the member of a `Link`. A
    foreign key to the table of another branch says the same, and needs none.

    Args:
        table: The name of the other table.
        column: The column with the ids. In ``Table(columns=…)`` it may be left out if it is called like the attribute.
        to: The column of the other table that has these ids; its primary key if it is left out.
        key: The column of the other table with the idnumbers; if it is left out, the one of the branch that it is for.
            Where it is the same as ``to``, the ids themselves are read and written.

    >>> users = Table("users", columns={"manager": Ref("users", column="manager_id")})
    >>> users.column("manager")
    'manager_id'
    """

    table: str
    column: str = attrs.field(default="", kw_only=True)
    to: str = attrs.field(default="", kw_only=True)
    key: str = attrs.field(default="", kw_only=True)


def _has_column(link: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, Ref) and not one.column:
            message = (
                f"the {attribute.name} of link table {link.table!r} is a Ref without a column: write "
                f"Ref({one.table!r}, column=…), with the column of {link.table!r}"
            )
            raise DeclarationError(message)


@attrs.frozen
class Link:
    """A membership attribute that a store keeps in a table of its own, a row a member.

    Args:
        table: The name of the table, with its schema if it has one: ``"public.group_members"``.
        owner: The column with the idnumber of the owner, or a `Ref`; several columns for a composite one.
        member: The column with the member, or a `Ref`.
    """

    table: str
    owner: str | Ref | tuple[str | Ref, ...] = attrs.field(validator=_has_column)
    member: str | Ref = attrs.field(validator=_has_column)

    @property
    def owners(self) -> tuple[str, ...]:
        """The columns of the owner, always as a tuple."""
        owners = self.owner if isinstance(self.owner, tuple) else (self.owner,)
        return tuple(_name(owner) for owner in owners)

    @property
    def member_column(self) -> str:
        """The column of the member."""
        return _name(self.member)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the owner, and that of the member."""
        return (*self.owners, self.member_column)

    @property
    def refs(self) -> dict[str, Ref]:
        """The columns that are given as `Ref`."""
        owners = self.owner if isinstance(self.owner, tuple) else (self.owner,)
        return {one.column: one for one in (*owners, self.member) if isinstance(one, Ref)}


def _name(column: str | Ref) -> str:
    return column.column if isinstance(column, Ref) else column


@attrs.frozen
class Table:
    """The table in which a store keeps the objects of a branch.

    Args:
        name: The name of the table, with its schema if it has one: ``"public.users"``.
        columns: The columns of attributes that have another name there: ``{"idnumber": "icao"}``; or a `Ref`.
        links: The link tables of memberships, by attribute.
        keys: The columns of the idnumbers in the tables of the tree, by table, which the tree fills in: where foreign
            keys lead to.
        references: The tables that attributes refer to, which the tree fills in.
        texts: The attributes that are declared as text, which the branch fills in: whatever their columns are, the
            database is asked for the text that it prints.
    """

    name: str
    columns: Mapping[str, str | Ref] = attrs.field(factory=dict)
    links: Mapping[str, Link] = attrs.field(factory=dict)
    keys: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, repr=False, eq=False, kw_only=True)
    references: Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False, kw_only=True)
    texts: frozenset[str] = attrs.field(default=frozenset(), repr=False, eq=False, kw_only=True)

    def column(self, attribute: str) -> str:
        """Return the column that holds an attribute."""
        return _name(self.columns.get(attribute, attribute)) or attribute

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes that have another name, or a `Ref`, by column."""
        return {self.column(attribute): attribute for attribute in self.columns}

    @property
    def refs(self) -> dict[str, Ref]:
        """The columns that are given as `Ref`."""
        return {self.column(attribute): one for attribute, one in self.columns.items() if isinstance(one, Ref)}

    def check_unreferenced(self, store: str) -> None:
        """Refuse a `Ref` in a store that looks nothing up.

        Raises:
            DeclarationError: There is one.
        """
        refs = [self.refs, *(link.refs for link in self.links.values())]
        if column := next((column for found in refs for column in found), None):
            message = f"{store} looks nothing up in another table, so column {column!r} cannot be a Ref: give its name"
            raise DeclarationError(message)

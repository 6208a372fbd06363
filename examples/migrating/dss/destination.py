"""The destination: an application's database, and what the changes mean in it."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from datastoresync.vocabularies.dss import Action, Base, DataStoreTree, DefaultImporter


def query(database: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Execute a statement, and return the rows that it gives."""
    with closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(statement, values).fetchall()


class DestinationBranch(Base):
    """Each class below that is derived from this one is a branch, and the model of its objects."""


class ReadUsers(DefaultImporter):
    """Reads the accounts."""

    def reader(self) -> Iterator[dict[str, Any]]:
        """Yield an account a row."""
        for idnumber, name, email in query(self.tree.database, "select idnumber, name, email from users"):
            yield {"idnumber": idnumber, "name": name, "email": email}


class ReadGroups(DefaultImporter):
    """Reads the groups."""

    def reader(self) -> Iterator[dict[str, Any]]:
        """Yield the groups, each with its members."""
        members = defaultdict(list)
        for group, idnumber in query(self.tree.database, "select group_name, idnumber from group_members"):
            members[group].append(idnumber)
        for group in members:
            yield {"idnumber": group, "members": members[group]}


class User(Base):
    """An account: a model that is no branch itself."""


class DestinationUsers(DestinationBranch):
    """Accounts."""

    _branchname = "users"
    _klass = f"{__name__}.User"
    _importer = ReadUsers


class DestinationGroups(DestinationBranch):
    """Groups."""

    _branchname = "groups"
    _importer = ReadGroups


class Accounts:
    """The template: a method for each kind of action."""

    def __init__(self, database: Path) -> None:
        self.database = database

    def new_users(self, action: Action) -> None:
        """Make an account."""
        new = action.source
        query(self.database, "insert into users values (?, ?, ?)", new.idnumber, new.name, new.email)

    def update_name(self, action: Action) -> None:
        """Mend a name."""
        query(self.database, "update users set name = ? where idnumber = ?", action.value, action.idnumber)

    def update_email(self, action: Action) -> None:
        """Mend an address."""
        query(self.database, "update users set email = ? where idnumber = ?", action.value, action.idnumber)

    def old_users(self, action: Action) -> None:
        """Delete an account."""
        query(self.database, "delete from users where idnumber = ?", action.idnumber)

    def new_groups(self, action: Action) -> None:
        """Put its members into a new group."""
        for idnumber in action.source.members:
            query(self.database, "insert into group_members values (?, ?)", action.idnumber, idnumber)

    def old_groups(self, action: Action) -> None:
        """Delete a group."""
        query(self.database, "delete from group_members where group_name = ?", action.idnumber)

    def add_members_to_groups(self, action: Action) -> None:
        """Put somebody into a group."""
        query(self.database, "insert into group_members values (?, ?)", action.idnumber, action.value)

    def remove_members_from_groups(self, action: Action) -> None:
        """Take somebody out of a group."""
        statement = "delete from group_members where group_name = ? and idnumber = ?"
        query(self.database, statement, action.idnumber, action.value)


class DestinationTree(DataStoreTree):
    """The application."""

    _branches = f"{__name__}.DestinationBranch"
    database: Path

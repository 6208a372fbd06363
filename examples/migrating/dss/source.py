"""The source: a school's list of people; its groups are derived from their departments."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datastoresync.vocabularies.dss import Base, Branch, DataStoreTree, DefaultImporter

PEOPLE = Path(__file__).with_name("people.csv")


class SourceBranch(Base):
    """Each class below that is derived from this one is a branch, and the model of its objects."""


class ReadPeople(DefaultImporter):
    """Reads the list."""

    def reader(self) -> Iterator[dict[str, Any]]:
        """Yield a person a row."""
        with PEOPLE.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield {
                    "idnumber": row["id"],
                    "_lastfirst": row["lastfirst"],
                    "_department": row["department"],
                    "email": row["email"],
                }


class DeriveGroups:
    """Makes a group of each department."""

    def readin(self, branch: Branch) -> None:
        """Make the groups in the branch itself."""
        users: Any = branch.tree.users
        for user in users.get_objects():
            group = branch.get(user._department) or branch.make(user._department, members=[])
            group.members.append(user.idnumber)


class users(SourceBranch):  # noqa: N801 - the branch's name
    """People, whose names are written the other way round."""

    _importer = ReadPeople

    @property
    def name(self) -> str:
        """The name as it is spoken."""
        last, first = self._lastfirst.split(", ")
        return f"{first} {last}"


class SourceGroups(SourceBranch):
    """Departments."""

    _branchname = "groups"
    _importer = DeriveGroups


class SourceTree(DataStoreTree):
    """The list of people."""

    _branches = f"{__name__}.SourceBranch"

"""A school's accounts follow its list of people: new ones are made, names are mended, whoever left is deactivated.

Without ``--database`` it starts a PostgreSQL of its own, with some accounts that are no longer right.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Engine

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from datastoresync import Action, Branch, CSVImporter, Importer, Object, Result, SQLImporter, Template, Tree, succeeded
from examples.postgresql import postgresql

HERE = Path(__file__).resolve().parent


class User(Object):
    """Somebody with an account."""

    name: str
    email: str


class Person(Object):
    """Somebody on the school's list, where names are written the other way round."""

    _lastfirst: str
    _department: str
    email: str

    @property
    def name(self) -> str:
        """The name as it is spoken."""
        last, first = self._lastfirst.split(", ")
        return f"{first} {last}"


class Group(Object):
    """A department, by its name."""

    _references = {"members": "users"}

    members: set[str]


class Departments(Importer):
    """Derives the groups from the people: a row a person, and the rows of a department are merged."""

    after = ("users",)

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield each person's department."""
        for person in self.tree.users.values():
            yield {"idnumber": person._department, "members": {person.idnumber}}


class School(Tree):
    """The list of people, as the school's administration exports it."""

    users = Branch(Person, importer=CSVImporter(HERE / "people.csv"))
    groups = Branch(Group, importer=Departments)


class Accounts(Template):
    """What the changes mean in the database; every method is a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine

    def execute(self, *statements: str, **values: Any) -> list[Any]:
        """Execute statements, all or none, and return the first column of what the last one gives."""
        with self.engine.begin() as connection:
            results = [connection.execute(sqlalchemy.text(statement), values) for statement in statements]
            return list(results[-1].scalars()) if results[-1].returns_rows else []

    def new_users(self, action: Action) -> Result:
        """Make an account, or activate the one that somebody had before."""
        person = action.source
        (username,) = self.execute(
            "insert into users values (:id, :username, :name, :email) on conflict (idnumber) "
            "do update set name = excluded.name, email = excluded.email, active = true",
            "insert into account_states values (:id, 'invited') on conflict (idnumber) "
            "do update set state = excluded.state, since = now()",
            "select username from users where idnumber = :id",
            id=action.idnumber,
            username=self.free_username(person),
            name=person.name,
            email=person.email,
        )
        return succeeded(f"the username is {username}")

    def free_username(self, person: Person) -> str:
        """Return the first part of the mail address, with a number if somebody else is called so."""
        wanted = person.email.partition("@")[0]
        taken = self.execute("select username from users where starts_with(username, :wanted)", wanted=wanted)
        return next(name for name in (wanted, *(f"{wanted}{n}" for n in range(2, 1000))) if name not in taken)

    def update_name(self, action: Action) -> None:
        """Rename somebody; the username stays."""
        self.execute("update users set name = :name where idnumber = :id", name=action.value, id=action.idnumber)

    def update_email(self, action: Action) -> None:
        """Note another mail address."""
        self.execute("update users set email = :email where idnumber = :id", email=action.value, id=action.idnumber)

    def old_users(self, action: Action) -> None:
        """Deactivate an account rather than delete it."""
        self.execute(
            "update users set active = false where idnumber = :id",
            "update account_states set state = 'left', since = now() where idnumber = :id",
            id=action.idnumber,
        )

    def new_groups(self, action: Action) -> None:
        """Make a group with its members."""
        self.execute(
            "insert into groups values (:name)",
            "insert into group_members select :name, unnest(cast(:members as text[]))",
            name=action.idnumber,
            members=sorted(action.source.members),
        )

    def add_members_to_groups(self, action: Action) -> None:
        """Let somebody join."""
        self.execute("insert into group_members values (:name, :id)", name=action.idnumber, id=action.value)

    def remove_members_from_groups(self, action: Action) -> None:
        """Let somebody leave."""
        self.execute(
            "delete from group_members where group_name = :name and idnumber = :id",
            name=action.idnumber,
            id=action.value,
        )

    def old_groups(self, action: Action) -> None:
        """Delete a group; its members keep their accounts."""
        self.execute(
            "delete from group_members where group_name = :name",
            "delete from groups where name = :name",
            name=action.idnumber,
        )


USERS = "select idnumber, name, email from users where active"
GROUPS = "select name as idnumber, idnumber as members from groups left join group_members on name = group_name"


def database(engine: Engine) -> Tree:
    """Return the tree of the accounts."""
    return Tree(
        "database",
        template=Accounts(engine),
        branches={
            "users": Branch(User, importer=SQLImporter(engine, USERS)),
            "groups": Branch(Group, importer=SQLImporter(engine, GROUPS)),
        },
    )


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", metavar="URL", help="the database to sync; DATABASE_URL if not given")
    options = parser.parse_args(arguments)
    with postgresql(options.database) as url:
        engine = sqlalchemy.create_engine(url)
        if not sqlalchemy.inspect(engine).has_table("account_states"):
            with engine.begin() as connection:
                connection.exec_driver_sql((HERE / "start.sql").read_text(encoding="utf-8"))

        source, dest = +School("school"), +database(engine)
        source > dest
        report = source >> dest
        print(report)
        for result in report.results:
            if result.reason:
                print(f"  {result.message}")
        print("afterwards:", repr(source - +dest))
        engine.dispose()
        return report.exit_code


if __name__ == "__main__":
    sys.exit(main())

"""The models of the export: what its columns mean in the learning platform's words."""

from datastoresync.vocabularies.synctree.base import Base
from examples.migrating.synctree.models_common import Group, Person

DOMAIN = "school.example"


class ExportPerson(Person):
    """Somebody in the export, where names are written the other way round."""

    __slots__ = ("_lastfirst",)

    @property
    def name(self) -> str:
        """The name as it is spoken."""
        return " ".join(reversed(self._lastfirst.split(", ")))

    @property
    def username(self) -> str:
        """The first letter of the first name, and the last name."""
        last, first = self._lastfirst.lower().split(", ")
        return f"{first[0]}{last}"

    @property
    def email(self) -> str:
        """The address that goes with the username."""
        return f"{self.username}@{DOMAIN}"


class ExportStudents(ExportPerson):
    """Students; ``_family`` is the number that brothers and sisters share."""

    __slots__ = ("_family", "clubs", "grade", "homeroom", "house")


class ExportStaff(ExportPerson):
    """Teachers and others; the importer splits their subjects."""

    __slots__ = ("room", "subjects")


class ExportParents(Base):
    """One account for the parents of a family, derived from the students."""

    __slots__ = ("children", "language", "name")

    @property
    def email(self) -> str:
        """The address of the family."""
        return f"family{self.idnumber}@{DOMAIN}"


class ExportClasses(Base):
    """Classes; each has a group of its students, too."""

    __slots__ = ("name", "room", "students", "teachers", "term")

    def post_init(self) -> None:
        """Derive the group of the class."""
        course, _, _ = self.name.partition(" ")
        details = {"name": self.name, "course": course, "term": self.term, "members": self.students}
        self.__branch__.groups.make(f"{self.idnumber}-{self.term}", **details)

    @property
    def building(self) -> str:
        """The building that its room is in."""
        room = self.__branch__.rooms.get(self.room)
        return room.building if room else ""


class ExportCohorts(Group):
    """Grades and homerooms, derived from the students; homerooms have tutors."""

    __slots__ = ("kind", "tutors")


class ExportGroups(Group):
    """Groups of students, derived from the classes."""

    __slots__ = ("course", "term")

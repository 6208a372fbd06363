"""The models of the learning platform: what its database has."""

from datastoresync.vocabularies.synctree.base import Base
from examples.migrating.synctree.models_common import Group, Person


class PlatformStudents(Person):
    """Accounts of students."""

    __slots__ = ("clubs", "grade", "homeroom", "house", "username")


class PlatformStaff(Person):
    """Accounts of teachers and others."""

    __slots__ = ("room", "subjects", "username")


class PlatformParents(Person):
    """Accounts of parents."""

    __slots__ = ("children", "language")


class PlatformClasses(Base):
    """Courses."""

    __slots__ = ("building", "name", "room", "students", "teachers", "term")


class PlatformCohorts(Group):
    """Cohorts."""

    __slots__ = ("kind", "tutors")


class PlatformGroups(Group):
    """Groups in courses."""

    __slots__ = ("course", "term")

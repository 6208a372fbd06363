"""What the models of both branches share."""

from datastoresync.vocabularies.synctree.base import Base


class Person(Base):
    """Somebody with an address."""

    __slots__ = ("email", "name")

    @property
    def _description(self) -> str:
        return f"{self.name} <{self.email}>"


class Group(Base):
    """Something with members."""

    __slots__ = ("members", "name")

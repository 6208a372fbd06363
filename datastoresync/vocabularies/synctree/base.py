"""The base of models: objects with an idnumber and whatever attributes they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from datastoresync.branch import Branch
from datastoresync.object import Object, branch_of, schema_of
from datastoresync.object_type import ObjectType


class BaseType(ObjectType):
    """Makes every model an open class: ``__slots__`` says what it usually has, and keeps nothing else out."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> ObjectType:
        """Create a class whose objects have a ``__dict__``, in which every attribute is seen by comparisons."""
        if not (namespace.keys() & {"__slots__"}):
            return super().__new__(mcs, name, bases, namespace, open_class=True, **kwargs)
        body = {key: value for key, value in namespace.items() if key != "__slots__"}
        return super().__new__(mcs, name, bases, body, open_class=True, **kwargs)


class Base(Object, metaclass=BaseType):
    """A model: subclass it for each kind of object, with or without ``__slots__``, and write properties.

    Every public attribute and property is compared; what begins with an underscore is not.

    Args:
        idnumber: What identifies it in its subbranch.
        attributes: Any others.

    >>> class Student(Base):
    ...     __slots__ = ("lastfirst",)
    ...     @property
    ...     def name(self):
    ...         return " ".join(reversed(self.lastfirst.split(", ")))
    >>> Student("1", lastfirst="Ames, Ann")
    Student(idnumber='1', lastfirst='Ames, Ann', name='Ann Ames')
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let imports go through an ``__init__`` of the user's."""
        super().__init_subclass__(**kwargs)
        if cls.__init__ is not Base.__init__:
            type.__setattr__(cls, "__schema__", attrs.evolve(schema_of(cls), through_init=True))

    def __init__(self, /, idnumber: Any, **attributes: Any) -> None:
        super().__init__(idnumber=idnumber, **attributes)
        self.post_init()

    def post_init(self) -> None:
        """Do what is to be done once the attributes are set; of an imported object, once all of its subbranch are.

        In a class with an ``__init__`` of its own it is called by that one, before the object is in a subbranch.
        """

    @property
    def __branch__(self) -> Any:
        """The branch that it is in, or None."""
        return getattr(branch_of(self), "tree", None)

    @__branch__.setter
    def __branch__(self, subbranch: Any) -> None:
        if isinstance(subbranch, Branch):  # a copy, which is given the branch instead, is in none
            Object.__dict__["__branch__"].__set__(self, subbranch)

    @property
    def __subbranch__(self) -> Any:
        """The subbranch that it is in, or None."""
        return branch_of(self)

    @property
    def _description(self) -> Any:
        """What a look-up prints of it; None for nothing."""
        return repr(self)

    @property
    def _to_json(self) -> Any:
        """What is written of it: its attributes, and not its properties."""
        return dict(vars(self))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

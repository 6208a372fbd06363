"""Level 4: an object, which has an idnumber and attributes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_type_hints

import attrs

from datastoresync.conversion.converters import converter
from datastoresync.conversion.indexed_field import IndexedField
from datastoresync.conversion.key_forms import Form, Forms, chained, form_of
from datastoresync.conversion.schema import Field, Schema
from datastoresync.diffing.common_form import in_common_form
from datastoresync.diffing.diff import Diff, ObjectDiff
from datastoresync.diffing.flags import Flags
from datastoresync.diffing.side import Side
from datastoresync.errors import ComparisonError, DeclarationError
from datastoresync.masking import MASK
from datastoresync.object_type import ObjectType, key_without_none, properties_of
from datastoresync.printing.outline import Grid, Outline
from datastoresync.settings import check_attributes, check_sensitive
from datastoresync.spelling import nearest

if TYPE_CHECKING:
    from datastoresync.applying.preview import Preview


class Object(metaclass=ObjectType):
    """An object with an idnumber and attributes. Subclass it for each kind.

    With annotated fields, its own or a mixin's, the class is **closed**: it has slots, takes its declared columns only,
    and converts what an importer yields to the declared types. Without any it is **open** and takes whatever columns
    come. Public fields and public properties are synced; what begins with an underscore is carried along for properties
    to use.

    Class-level settings: ``_identifiers`` (the fields that make up the idnumber), ``_optional_identifiers`` (those of
    them that may be empty texts), ``_attributes`` (just these are synced), ``_shortname`` (what plans show beside the
    key of an object that changes, such as ``("name",)``), ``_references`` (``{"members": "users"}``: the branch that an
    attribute's values are idnumbers of), ``_flags`` (a `Flags`: what is left alone; an object may have its own),
    ``_sensitive`` (attributes whose values are masked wherever they are shown, and are compared and written as they
    are), ``_active``, ``_key`` and ``_children``.

    ``_correlate = ("mail",)`` names attributes by which a new object and one to be deleted are known for the same one
    under another idnumber: previews and reports say so, and nothing else is done about it.

    ``_indexes = ("email",)`` names fields by which `Branch.find` finds objects without looking at all of them.

    ``_active = "active"`` names the attribute that switches an object off (False, 0, blank; where it is a text or a
    date, any change of it does): to `Limits`, such an update is a deletion.

    ``_key = str.casefold`` says that idnumbers are the same in whatever case they are written: they are imported,
    compared and looked up as the function returns them, and so are the references to these objects. Any function of
    one value does; where several fields make up the idnumber, it is called with each text of them, and a mapping
    (``{"login": str.casefold}``) gives a part a function of its own. A store is asked for its rows in the spelling
    that it has; new ones are written in the one form.

    ``_children`` makes a hierarchy: ``{"devices": "members"}`` says that the objects of the branch ``devices`` that an
    object's ``members`` names are its children; if this class has no such field, it is the children's, and names the
    parent. (In a class whose objects are children of each other, a field in ``_references`` names the parent.)
    Parents are created before their children and deleted after them.

    >>> class User(Object):
    ...     name: str
    ...     groups: set[str] = set()
    >>> User(idnumber="1", name="Ann")
    User(idnumber='1', name='Ann', groups=set())
    >>> User(idnumber="1", name="Ann") - User(idnumber="1", name="Anna")
    update_name(idnumber='1', attr='name', value='Ann')
    """

    __slots__ = ("__branch__",)

    _identifiers: ClassVar[tuple[str, ...]] = ("idnumber",)
    _optional_identifiers: ClassVar[tuple[str, ...]] = ()
    _attributes: ClassVar[tuple[str, ...] | None] = None
    _shortname: ClassVar[tuple[str, ...]] = ()
    _children: ClassVar[Mapping[str, str]] = {}
    _references: ClassVar[Mapping[str, str]] = {}
    _flags: ClassVar[Flags | None] = None
    _sensitive: ClassVar[tuple[str, ...]] = ()
    _key: ClassVar[Form | Mapping[str, Form] | None] = None
    _active: ClassVar[str | None] = None
    _correlate: ClassVar[tuple[str, ...]] = ()
    _indexes: ClassVar[tuple[str, ...]] = ()

    if TYPE_CHECKING:
        idnumber: Any = attrs.field(default=None)

        def __getattr__(self, name: str) -> Any: ...

    def __new__(cls, /, *_: Any, **__: Any) -> Self:
        """Create an object; of `Object` itself an open one, since it declares no fields."""
        created: Any = object.__new__(_Open if cls is Object else cls)
        return created  # type: ignore[no-any-return]  # to type checkers, `_Open` is Object

    def __init__(self, /, **attributes: Any) -> None:
        missing = [name for name in self._identifiers if name not in attributes]
        if missing:
            message = f"{type(self).__name__} needs {', '.join(missing)}"
            raise DeclarationError(message)
        for name, value in attributes.items():
            setattr(self, name, value)

    def __getstate__(self) -> Any:
        """Return what is pickled or deeply copied: all but the branch, which tells its objects when it is made anew."""
        state: Any = object.__getstate__(self)
        if isinstance(state, tuple):
            state[1].pop("__branch__", None)
        return state

    def __copy__(self) -> Self:
        made = object.__new__(type(self))
        state: Any = object.__getstate__(self)
        for values in state if isinstance(state, tuple) else (state,):
            for name, value in (values or {}).items():
                object.__setattr__(made, name, value)
        return made

    @property
    def __key__(self) -> Any:
        """The idnumber, whatever a field of that name says."""
        values = tuple(getattr(self, name) for name in self._identifiers)
        return values if len(values) > 1 else values[0]

    def __repr__(self) -> str:
        """Show the idnumber and the synced attributes, as the class would be called with them."""
        names = [*self._identifiers, *(name for name in attributes_of(self) if name not in self._identifiers)]
        return f"{type(self).__name__}({', '.join(f'{name}={_display(self, name)}' for name in names)})"

    def __outline__(self) -> Outline:
        """Describe the object: one row an attribute, first those that are synced."""
        names = [*self._identifiers, *attributes_of(self)]
        carried = sorted(name for name in _stored(self) if name not in names)
        return Outline(
            f"{type(self).__name__} {getattr(self, '__key__', None)!r}",
            kind="object",
            grid=Grid(
                ("attribute", "value"),
                lambda: ((name, _display(self, name)) for name in (*names, *carried)),
                len(names) + len(carried),
            ),
            expanded=True,
        )

    def _repr_html_(self) -> str:
        from datastoresync.printing.html import html  # only notebooks ask for it

        return html(self.__outline__())

    def diff(self, other: Object) -> Diff:
        """Return what ``other`` must change to become this object; the same as ``self - other``.

        Raises:
            ComparisonError: if the two have different idnumbers.
            SchemaMismatchError: if they do not have the same synced attributes.
        """
        sides = in_common_form(_side_of_one(self, other), _side_of_one(other, self))
        if list(sides[0].objects) != list(sides[1].objects):
            message = (
                f"{self.__key__!r} and {other.__key__!r} are different things: "
                "only objects with one idnumber can be compared"
            )
            raise ComparisonError(message)
        return ObjectDiff.between([sides])

    def preview(self, other: Object) -> Preview:
        """Print what ``other`` must change to become this object; the same as ``self > other``."""
        from datastoresync.applying.preview import Preview  # not all who look for differences apply them

        return Preview.of(Object.diff(self, other)).show()

    # The operators name the class, since a field may well be called `diff`.

    def __sub__(self, other: Object) -> Diff:
        return Object.diff(self, other) if isinstance(other, Object) else NotImplemented

    def __gt__(self, other: Object) -> Preview:
        return Object.preview(self, other) if isinstance(other, Object) else NotImplemented


class _Open(Object, open_class=True):
    """The class of objects created by `Object` itself."""

    def __reduce_ex__(self, _: Any) -> tuple[Any, ...]:
        return Object.__new__, (Object,), self.__getstate__()


_Open.__name__ = _Open.__qualname__ = "Object"


class _Identity:
    """Computes the idnumber of objects with other ``_identifiers``, unless they have a field of that name."""

    def __get__(self, instance: Object | None, owner: type[Object]) -> Any:
        if instance is None:
            return self
        if owner._identifiers == ("idnumber",):
            message = f"this {owner.__name__} has no idnumber yet"
            raise AttributeError(message)
        return instance.__key__


type.__setattr__(Object, "idnumber", _Identity())


def branch_of(item: Object) -> Any:
    """Return the branch that an object is in, or None; a subclass may mean something else by ``__branch__``."""
    try:
        return vars(Object)["__branch__"].__get__(item)
    except AttributeError:
        return None


def _stored(item: Object) -> list[str]:
    declared = [attribute.name for attribute in getattr(type(item), "__attrs_attrs__", ())]
    return declared + [name for name in getattr(item, "__dict__", {}) if name not in declared]


def _display(item: Object, name: str) -> str:
    if name in type(item)._sensitive:
        return MASK
    try:
        return repr(getattr(item, name))
    except Exception as error:  # noqa: BLE001 - a property that fails is shown, so that it can be found
        return f"<{type(error).__name__}: {error}>"


def _narrowed(cls: type[Object], names: list[str]) -> tuple[str, ...]:
    if cls._attributes is not None:
        return tuple(sorted(cls._attributes))
    children = (name for name in cls._children.values() if name not in cls._references)
    hidden = {*cls._identifiers, *children}
    if isinstance(cls.idnumber, property):
        hidden.add("idnumber")
    return tuple(sorted({name for name in names if name not in hidden and not type(cls).is_carried(name)}))


def attributes_of(item: Object) -> tuple[str, ...]:
    """Return the names of the synced attributes of one object, in the order of its repr."""
    cls = type(item)
    if cls._attributes is not None:
        return tuple(cls._attributes)
    names = set(_narrowed(cls, [*_stored(item), *properties_of(cls)]))
    return tuple(name for name in [*_stored(item), *properties_of(cls)] if name in names)


def synced(cls: type[Object], columns: set[str]) -> tuple[str, ...]:
    """Return the names of the synced attributes of a class, sorted, given the columns of an open one."""
    declared = [attribute.name for attribute in getattr(cls, "__attrs_attrs__", ())]
    return _narrowed(cls, [*declared, *columns, *properties_of(cls)])


def schema_of(cls: type[Object]) -> Schema:
    """Return what the feed must know of a class; worked out once a class, when its annotations can be resolved.

    Raises:
        DeclarationError: if an annotation names what cannot be found, or ``_identifiers`` what is not a field.
    """
    if cls is Object:
        cls = _Open
    found: Schema | None = cls.__dict__.get("__schema__")
    if found is None:
        found = _schema(cls)
        type.__setattr__(cls, "__schema__", found)
    return found


def _schema(cls: type[Object]) -> Schema:
    identifiers = tuple(cls._identifiers)
    if isinstance(cls._identifiers, str) or not identifiers:
        message = f"{cls.__name__}._identifiers must be a tuple of field names, such as ('name',)"
        raise DeclarationError(message)
    if isinstance(cls._optional_identifiers, str) or not {*cls._optional_identifiers} < {*identifiers}:
        message = f"{cls.__name__}._optional_identifiers must be a tuple of some of its _identifiers, but not of all"
        raise DeclarationError(message)
    declared = getattr(cls, "__attrs_attrs__", None)
    if declared is None:
        if not cls.__dictoffset__:
            message = f"{cls.__name__} has neither fields nor a __dict__: annotate its fields, or leave __slots__ out"
            raise DeclarationError(message)
        check_sensitive(cls, cls._sensitive)
        return Schema(cls, identifiers, None, forms=_key_forms(cls, identifiers), properties=tuple(properties_of(cls)))
    try:
        # Without fields: one may be called `date` or `int`.
        scope = {
            name: value
            for base in reversed(cls.__mro__)
            for name, value in vars(base).items()
            if not hasattr(type(value), "__get__")
        }
        hints = get_type_hints(cls, localns=scope, include_extras=True)
    except NameError as error:
        message = f"{cls.__name__}: the annotation {error.name!r} cannot be found where the class is defined"
        raise DeclarationError(message) from error
    fields: dict[str, Field] = {}
    for attribute in declared:
        own = attribute.converter is not None
        fields[attribute.name] = Field(
            attribute.name,
            None if own else converter(hints.get(attribute.name, Any)),
            *_default(cls, attribute),
            own=attribute.converter if own and not isinstance(attribute.converter, attrs.Converter) else None,
        )
    check_sensitive(cls, [*fields, *properties_of(cls)])
    _check_identifiers(cls, fields)
    custom = (
        cls.__setattr__ is not object.__setattr__
        or "__attrs_post_init__" in dir(cls)
        or not getattr(cls.__init__, "__attrs_init__", True)
        or any(attribute.validator or attribute.converter for attribute in declared)
        or _own_init(cls)
        or not all(isinstance(getattr(cls, name), (MemberDescriptorType, IndexedField)) for name in fields)
    )
    return Schema(
        cls,
        identifiers,
        fields,
        through_init=custom,
        forms=() if "_key" in fields else _key_forms(cls, identifiers),
        properties=tuple(properties_of(cls)),
    )


def _check_identifiers(cls: type[Object], fields: Mapping[str, Field]) -> None:
    unknown = [name for name in cls._identifiers if name not in fields]
    if unknown:
        message = f"{cls.__name__}._identifiers names {', '.join(unknown)}, which is no field of it"
        raise DeclarationError(message)
    for name in cls._identifiers if type(cls).whole_keys else ():
        found = fields[name].converter
        if found is not None and type(None) in found.kinds:
            raise key_without_none(cls.__name__, name)


def _key_forms(cls: type[Object], identifiers: tuple[str, ...]) -> tuple[Form | None, ...]:
    if cls._key is None:
        return ()
    try:
        return form_of(cls._key, identifiers)
    except ValueError as error:
        message = f"{cls.__name__}._key {error}"
        raise DeclarationError(message) from None


def forms_of(cls: type[Object], branch: str, classes: Mapping[str, type[Object]]) -> Forms:
    """Return the forms of the keys of a branch, and of the attributes that name objects whose keys have one.

    Args:
        cls: The class of its objects.
        branch: Its name.
        classes: The classes of all branches of its tree, by name.
    """
    if all(getattr(one, "_key", None) is None for one in (cls, *classes.values())):
        return Forms()
    schema = schema_of(cls)
    named = dict(cls._references)
    for child, field in cls._children.items():
        if schema.open or hasattr(cls, field):
            named.setdefault(field, child)
    for name, other in classes.items():
        field = other._children.get(branch, "")
        if not hasattr(other, field) and (hasattr(cls, field) or not schema_of(other).open):
            named.setdefault(field, name)
    keys = {name: Forms(schema_of(one).forms).key for name, one in classes.items()}
    target_forms = {field: form for field, name in named.items() if (form := keys.get(name)) is not None}
    own = schema.forms or (None,) * len(schema.identifiers)
    parts = tuple(
        chained(part, target_forms.pop(name, None)) for name, part in zip(schema.identifiers, own, strict=True)
    )
    return Forms(parts, target_forms)


def check_part(cls: type[Object], part: Any) -> None:
    """Refuse what does not say which part of a branch an object belongs to.

    Raises:
        DeclarationError: if it is neither a function nor the name of an attribute, with the nearest one.
    """
    if callable(part):
        return
    known = [attribute.name for attribute in getattr(cls, "__attrs_attrs__", ())] + properties_of(cls)
    if not isinstance(part, str) or (hasattr(cls, "__attrs_attrs__") and part not in known):
        hint = f"; {nearest(part, known)}" if known else ""
        message = f"part is the name of an attribute of {cls.__name__}, or a function of an object (got {part!r}){hint}"
        raise DeclarationError(message)


def _own_init(cls: Any) -> bool:
    """Say whether the class defines ``__init__`` in source code, rather than by attrs."""
    return not cls.__init__.__code__.co_filename.startswith("<attrs generated")


def _default(cls: type, attribute: Any) -> tuple[Callable[[], Any] | None, bool]:
    default = attribute.default
    if default is attrs.NOTHING:
        return None, False
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # attrs types Factory as a function
        if default.takes_self:
            return (lambda: default.factory(object.__new__(cls))), False
        return default.factory, False
    return (lambda: default), True


def columns_of(objects: Mapping[Any, Any]) -> set[str]:
    """Return the columns of the objects of an open class."""
    known = getattr(objects, "columns", None)
    if known is None:
        # Past the sorting of a sorted mapping, whose values are looked up one by one.
        items = dict.values(objects) if isinstance(objects, dict) else objects.values()
        known = set().union(*set(map(tuple, map(vars, items))))
    return set(known)


def check_columns(cls: type[Object], columns: Collection[str]) -> None:
    """Refuse settings of an open class that name none of its columns, if there are any.

    Raises:
        DeclarationError: with the nearest column.
    """
    if columns:
        known = [*sorted(columns), *properties_of(cls)]
        check_sensitive(cls, known)
        check_attributes(cls, known)


def side_of(
    cls: type[Object],
    objects: Mapping[Any, Any],
    *,
    tree: str = "",
    branch: str = "",
    columns: Iterable[str] = (),
    overrides: Mapping[Any, Mapping[str, Any]] | None = None,
    forms: Forms | None = None,
    **facts: Any,
) -> Side:
    """Describe objects of one class as one side of a comparison. ``facts`` are further arguments of `Side`.

    ``columns`` are those of an open class that none of the objects may have any more.
    """
    schema = schema_of(cls)
    column_names = set(columns)
    if schema.open:
        column_names |= columns_of(objects)
        check_columns(cls, column_names)
    fields = (schema.fields or {}).values()
    return Side(
        tree=tree,
        branch=branch,
        owner=schema.cls.__name__,
        objects=objects,
        attributes=synced(schema.cls, column_names),
        flexible=frozenset(field.name for field in fields if field.converter and field.converter.flexible),
        declared={field.name: field.converter.describe for field in fields if field.converter},
        sparse=schema.open,
        overrides={} if overrides is None else overrides,
        references=dict(cls._references),
        children=dict(cls._children),
        held_children=frozenset(
            branch
            for branch, name in cls._children.items()
            if name not in cls._references and (name in column_names or hasattr(cls, name))
        ),
        sensitive=frozenset(cls._sensitive),
        active=cls._active if isinstance(cls._active, str) else "",
        correlate=cls._correlate if isinstance(cls._correlate, tuple) else (),
        flagged="_flags" in column_names or getattr(cls, "_flags", None) is not None,
        identifiers=schema.identifiers,
        forms=Forms(schema.forms) if forms is None else forms,
        computed=frozenset(schema.properties),
        **facts,
    )


def _side_of_one(item: Object, other: Object) -> Side:
    branch = branch_of(item)
    if branch is not None:
        side: Side = branch.side()
    else:
        name = getattr(branch_of(other), "name", "")
        side = side_of(type(item), {item.__key__: item}, branch=name)
    form = side.forms.key  # what was made by hand may be written otherwise
    return attrs.evolve(side, objects={item.__key__ if form is None else form(item.__key__): item})

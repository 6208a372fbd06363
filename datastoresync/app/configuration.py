"""A configuration: two stores, their branches, limits and reports, as a TOML file names them."""

from __future__ import annotations

import fnmatch
import functools
import json
import operator
import os
import re
import types
from collections.abc import Callable, Mapping, Sequence
from keyword import iskeyword
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import attrs

from datastoresync.app.stores import located
from datastoresync.app.syncer_reader import Record
from datastoresync.app.toml_document import Place, TomlDocument
from datastoresync.applying.limits import Limits
from datastoresync.branch import Branch
from datastoresync.conversion.key_forms import chained
from datastoresync.conversion.scalars import TYPE_NAMES
from datastoresync.diffing.flags import Flags
from datastoresync.diffing.schema_check import check_related
from datastoresync.errors import DeclarationError
from datastoresync.object import Object, schema_of
from datastoresync.spelling import closest, nearest
from datastoresync.syncers.options import option_fault, parameters_of
from datastoresync.syncers.table_layout import Link, Ref, Table
from datastoresync.tree import Tree

if TYPE_CHECKING:
    from datastoresync.applying.reporter import Reporter

T = TypeVar("T")
FILE_FORMATS: Final[Mapping[str, str]] = {
    ".csv": "csv",
    ".htm": "html",
    ".html": "html",
    ".json": "json",
    ".jsonl": "jsonl",
    ".md": "markdown",
    ".xlsx": "xlsx",
}
"""The formats of files that are reports, by suffix."""
_TYPE = re.compile(r"(?:(set|list)\[\s*(\w+)\s*\]|(\w+))")


# Conversions: from what TOML has to what is declared by it. Each raises ValueError or an error of the package.


def _text(value: Any, place: Place) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"it is a text (got {value!r})")
    return place.filled(value)


def _texts(value: Any, place: Place) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError("it is a text, or a list of them (got none)")
    return tuple(_text(one, place) for one in values)


def _number(value: Any, _: Place) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"it is a number above 0 (got {value!r})")
    return value


def _tables(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - all that cannot be converted raises this
            f"it is a table of keys and values (got {value!r})"
        )
    return value


def _mapping(convert: Callable[[Any, Place], T]) -> Callable[[Any, Place], dict[str, T]]:
    """Return what converts a table of any keys."""

    def mapping(value: Any, place: Place) -> dict[str, Any]:
        return {name: place.below(name).converted(convert, one) for name, one in _tables(value).items()}

    return mapping


def _structured(cls: type[T]) -> Callable[[Any, Place], T | None]:
    """Return what makes an object of a class, whose fields are the keys."""

    def structured(value: Any, place: Place) -> T | None:
        known = {field.name: field for field in attrs.fields(cls)}  # type: ignore[arg-type]  # one of the classes below
        given: dict[str, Any] = {}
        before, meant = len(place.document.problems), set[str]()
        for name, one in _tables(value).items():
            if name in known:
                given[name] = place.below(name).converted(known[name].metadata["convert"], one)
            else:
                place.below(name).refuse(f"there is no such key: {nearest(name, known)}")
                meant.add(closest(name, known))
        for name, field in known.items():
            if field.default is attrs.NOTHING and name not in {*given, *meant}:
                place.refuse(f"it lacks the key {name!r}")
        return cls(**given) if len(place.document.problems) == before else None

    return structured


def _ignoring(patterns: Sequence[str], flags: Flags | None) -> property:
    """Return the property of a class that ignores the objects whose keys match a pattern; others have the flags."""
    matches = re.compile("|".join(map(fnmatch.translate, patterns))).match
    ignored = Flags(ignore=True)
    return property(lambda item: ignored if matches(str(item.idnumber)) else flags)


def _store(value: Any, place: Place) -> str:
    return located(_text(value, place))


def _option(value: Any, place: Place) -> Any:
    return place.filled(value) if isinstance(value, str) else value


def _annotation(value: Any, place: Place) -> Any:
    """Return the type that a text names: ``"int"``, ``"date | None"``, ``"set[str]"``."""
    kinds: list[Any] = []
    for part in map(str.strip, _text(value, place).split("|")):
        found = _TYPE.fullmatch(part)
        name = part if found is None else found[2] or found[3]
        if name == "None":
            kinds.append(None)
        elif found is None or name.lower() not in TYPE_NAMES:
            raise ValueError(f"there is no type {part!r}: {nearest(name, [*TYPE_NAMES, 'None'])}")
        else:
            kind = TYPE_NAMES[name.lower()]
            kinds.append({"set": set, "list": list}[found[1]][kind] if found[1] else kind)  # type: ignore[index]  # generic
    return functools.reduce(operator.or_, kinds) if len(kinds) > 1 else kinds[0]


def _table(value: Any, place: Place) -> Table:
    """Return where a store keeps the objects: the name of a table, or a table of keys with its columns and links."""
    if isinstance(value, dict):
        found = _structured(_TableSettings)(value, place)
        if found is None:
            return Table("")
        return Table(found.table or place.keys[-2], columns=found.columns, links=found.links)
    return Table(_text(value, place))


def _column(value: Any, place: Place) -> str | Ref:
    """Return a column: its name, or a table of keys that says where the ids in it lead."""
    if not isinstance(value, dict):
        return _text(value, place)
    found = _structured(_RefSettings)(value, place)
    return "" if found is None else Ref(found.table, column=found.column, to=found.to, key=found.key)


def _owner(value: Any, place: Place) -> str | Ref | tuple[str | Ref, ...]:
    return tuple(_column(one, place) for one in value) if isinstance(value, list) else _column(value, place)


def _link(value: Any, place: Place) -> Link:
    found = _structured(_LinkSettings)(value, place)
    return Link("", "", "") if found is None else Link(found.table, found.owner, found.member)


def _flags(value: Any, place: Place) -> Flags:
    """Return flags: the names of those that are set."""
    known = [field.name for field in attrs.fields(Flags)]
    names = _texts(value, place)
    if unknown := next((name for name in names if name not in known), None):
        raise ValueError(f"there is no flag {unknown!r}: {nearest(unknown, known)}")
    return Flags(**dict.fromkeys(names, True))


def _truth(value: Any, _: Place) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"it is true or false (got {value!r})")  # noqa: TRY004 - as above
    return value


def _limits(value: Any, place: Place) -> Limits:
    """Return limits; a share may be written as ``"10%"``."""
    known = [field.name for field in attrs.fields(Limits)]
    given: dict[str, Any] = {}
    for name, one in _tables(value).items():
        if name not in known:
            place.below(name).refuse(f"there is no such limit: {nearest(name, known)}")
        else:
            given |= place.below(name).converted(functools.partial(_limit, name), one) or {}
    return Limits(**given)


def _limit(name: str, value: Any, _: Place) -> dict[str, Any]:
    if isinstance(value, str) and (share := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value)):
        value = float(share[1]) / 100
    Limits(**{name: value})  # which refuses what it cannot be
    return {name: value}


def _reporter(name: str) -> Callable[[Any, Place], Reporter]:
    """Return what makes a reporter, whose arguments are the keys."""

    def reporter(value: Any, place: Place) -> Reporter:
        from datastoresync.applying.mail import EmailReporter  # most runs send no mail
        from datastoresync.applying.webhook import WebhookReporter  # as above

        cls: Any = {"mail": EmailReporter, "webhook": WebhookReporter}[name]
        kinds: Any = {"to": _texts, "attach": _texts, "timeout": _number, "attempts": _number, "wait": _number}
        parameters = {key: one for key, one in (parameters_of(cls) or {}).items() if key != "context"}
        given = {key: place.below(key).converted(kinds.get(key, _text), one) for key, one in _tables(value).items()}
        if fault := option_fault(parameters, given):
            raise ValueError(f"it {fault}")
        if None in given.values():  # which is noted
            raise DeclarationError("it cannot be used so")
        found: Reporter = cls(**given)
        return found

    return reporter


def _files(value: Any, place: Place) -> tuple[str, ...]:
    paths = _texts(value, place)
    for path in paths:
        if PurePath(path).suffix.lower() not in FILE_FORMATS:
            raise ValueError(f"the suffix tells the format, one of {', '.join(FILE_FORMATS)} (got {path!r})")
    return paths


# What is declared ----------------------------------------------------------------------------------------------------


def _key(convert: Callable[[Any, Place], Any], about: str, *, default: Any = attrs.NOTHING) -> Any:
    return attrs.field(default=default, metadata={"convert": convert, "help": about})


@attrs.frozen(kw_only=True)
class _RefSettings:
    table: str = _key(_text, "the table whose rows the ids are those of")
    column: str = _key(_text, "the column with the ids", default="")
    to: str = _key(_text, "the column of that table which has these ids, if it is not its primary key", default="")
    key: str = _key(
        _text, "the column of that table that is read for them, if it is not the key of its branch", default=""
    )


@attrs.frozen(kw_only=True)
class _LinkSettings:
    table: str = _key(_text, "the table with a row a member")
    owner: Any = _key(_owner, "its column with the key of the owner; a list for a key of several")
    member: Any = _key(_column, "its column with the member")


@attrs.frozen(kw_only=True)
class _TableSettings:
    table: str = _key(_text, "the name of the table, if it is not called like the branch", default="")
    columns: Mapping[str, Any] = _key(_mapping(_column), "the columns of attributes with another name", default={})
    links: Mapping[str, Link] = _key(_mapping(_link), "the tables of memberships, by attribute", default={})


@attrs.frozen(kw_only=True)
class StoreSettings:
    """One of the two stores: a URL, or a tree that is declared in Python."""

    store: str | None = _key(_store, "a file, a folder or a URL", default=None)
    tree: str | None = _key(_text, "a tree that is declared in Python, as `school:Source`", default=None)
    options: Mapping[str, Any] = _key(_mapping(_option), "what the store is opened with besides", default={})

    def __attrs_post_init__(self) -> None:
        """Refuse what is no store, or two.

        Raises:
            ValueError: with what to write.
        """
        if (self.store is None) == (self.tree is None):
            raise ValueError('it needs one of store = "…", a URL, and tree = "module:Tree"')
        if self.tree is not None and self.options:
            raise ValueError("options are for a store: a tree says in Python what it opens")


@attrs.frozen(kw_only=True)
class BranchSettings:
    """One branch, of both trees."""

    key: tuple[str, ...] = _key(_texts, "the attributes that identify an object", default=("idnumber",))
    optional_key: tuple[str, ...] = _key(_texts, "those of the key that may be empty", default=())
    source: Table | None = _key(_table, "its table in the source, if it is not called like the branch", default=None)
    destination: Table | None = _key(_table, "its table in the destination, likewise", default=None)
    types: Mapping[str, Any] = _key(_mapping(_annotation), "the attributes to sync, with their types", default={})
    references: Mapping[str, str] = _key(_mapping(_text), "attributes that name objects of a branch", default={})
    children: Mapping[str, str] = _key(_mapping(_text), "branches of its children, with the attribute", default={})
    active: str | None = _key(_text, "the attribute that switches an object off", default=None)
    shortname: tuple[str, ...] = _key(
        _texts, "attributes that are shown beside the key of an object that changes", default=()
    )
    part: str | None = _key(_text, "the attribute that says to which part an object belongs", default=None)
    correlate: tuple[str, ...] = _key(_texts, "attributes by which an object is known under another key", default=())
    skip_empty: tuple[str, ...] = _key(
        _texts,
        "attributes without which a row of the source is left out, as it is no object of this branch",
        default=(),
    )
    ignore_case: bool = _key(_truth, "whether keys are the same in whatever case they are written", default=False)
    ignore_blanks: bool = _key(_truth, "whether keys are the same with and without blanks at their ends", default=False)
    flags: Flags | None = _key(_flags, "what is left alone", default=None)
    ignore: tuple[str, ...] = _key(
        _texts, "keys of objects that are left alone on both sides; * stands for any text", default=()
    )
    sensitive: tuple[str, ...] = _key(_texts, "attributes whose values are never shown", default=())
    limits: Limits | None = _key(_limits, "limits of this branch", default=None)

    def object_class(self, name: str) -> type[Object]:
        """Return the class of its objects: closed if there are types, and taking any column otherwise.

        Raises:
            DeclarationError: if a setting names an attribute that is not there.
        """
        settings: dict[str, Any] = {
            "_identifiers": self.key,
            "_optional_identifiers": self.optional_key,
            "_references": dict(self.references),
            "_children": dict(self.children),
            "_active": self.active,
            "_correlate": self.correlate,
            "_shortname": self.shortname,
            "_key": chained(str.strip if self.ignore_blanks else None, str.casefold if self.ignore_case else None),
            "_flags": self.flags,
            "_sensitive": self.sensitive,
            "__module__": __name__,
        }
        if self.ignore:
            if len(self.key) > 1:
                raise DeclarationError("ignore names keys of one attribute: for others, declare _flags in Python")
            settings["_flags"] = _ignoring(self.ignore, self.flags)
        if not self.types:
            return types.new_class("Record", (Record,), exec_body=lambda body: body.update(settings))
        for one in self.types:
            if not one.isidentifier() or iskeyword(one):
                other = re.sub(r"\W", "_", one) + "_" * iskeyword(one)
                said = f"no attribute in types can be called {one!r}: write {other}, and in source and destination "
                raise DeclarationError(f"{said}columns = {{ {other} = {json.dumps(one, ensure_ascii=False)} }}")
        for one in self.key:
            if one not in self.types:
                raise DeclarationError(f"types lacks the key {one!r}: {nearest(one, self.types)}")
            if type(None) in get_args(self.types[one]):
                raise DeclarationError(f"the key {one!r} is never missing: leave None out of its type")
        settings["__annotations__"] = dict(self.types)
        return types.new_class(name.title(), (Object,), exec_body=lambda body: body.update(settings))


@attrs.frozen(kw_only=True)
class ReportSettings:
    """Who is told of a run that writes, and how."""

    mail: Any = _key(_reporter("mail"), "a mail; the keys are those of `EmailReporter`", default=None)
    webhook: Any = _key(_reporter("webhook"), "a chat message; the keys are those of `WebhookReporter`", default=None)
    files: tuple[str, ...] = _key(_files, "files to write the report to; the suffix tells the format", default=())


@attrs.frozen(kw_only=True)
class Configuration:
    """All that a file declares."""

    source: StoreSettings = _key(_structured(StoreSettings), "the store that is followed")
    destination: StoreSettings = _key(_structured(StoreSettings), "the store that follows")
    branches: Mapping[str, BranchSettings] = _key(_mapping(_structured(BranchSettings)), "what is synced", default={})
    top_level: tuple[str, ...] | None = _key(_texts, "the branches that are compared with what is below", default=None)
    limits: Limits | None = _key(_limits, "how much one run may change", default=None)
    reports: ReportSettings = _key(_structured(ReportSettings), "who is told", default=ReportSettings())


@attrs.frozen
class LoadedConfiguration:
    """A configuration that is right by itself, with its file.

    Args:
        settings: What it declares.
        document: The file.
        classes: The classes of the branches; empty where trees that are declared in Python have theirs.
    """

    settings: Configuration
    document: TomlDocument
    classes: Mapping[str, type[Object]]


def load_configuration(path: str | os.PathLike[str]) -> LoadedConfiguration:
    """Read a configuration; opens no store.

    Raises:
        ConfigurationError: if anything in it is wrong; it has a line for each place.
    """
    document = TomlDocument.read(path)
    settings = document.place.converted(_structured(Configuration), document.content)
    classes: dict[str, type[Object]] = {}
    if settings is not None and not document.problems:
        declared = [one.tree for one in (settings.source, settings.destination) if one.tree is not None]
        if not settings.branches and not declared:
            document.place.refuse('it names no branch: write [branches.users] and below it key = "id"')
        for name, branch in settings.branches.items():
            place = document.place.below("branches").below(name)
            if declared:
                _check_undeclared(branch, declared[0], place)
            else:
                _check_attributes(branch, place)
                classes[name] = place.converted(_class_of, (name, branch)) or Object
                _check_branches(branch, settings.branches, place)
        for name in settings.top_level or ():
            if declared:
                document.place.below("top_level").refuse(f"{declared[0]} says it in Python: leave it out")
            elif name not in classes:
                document.place.below("top_level").refuse(f"there is no branch {name!r}: {nearest(name, classes)}")
        if not document.problems:
            for name in classes:
                place = document.place.below("branches").below(name).below("children")
                place.converted(lambda one, _: check_related("branches", one, classes), name)
    document.check()
    assert settings is not None
    return LoadedConfiguration(settings, document, classes)


def _class_of(named: tuple[str, BranchSettings], _: Place) -> type[Object]:
    """Return the class of a branch, for which all is made once that will be."""
    name, branch = named
    found = branch.object_class(name)
    schema_of(found)  # which refuses settings that name no attribute
    for table in (branch.source, branch.destination):
        Tree("tree", branches={name: Branch(found, table=table, part=branch.part)})
    return found


def _check_undeclared(branch: BranchSettings, tree: str, place: Place) -> None:
    """Refuse what the class of a tree says already."""
    for field in attrs.fields(BranchSettings):
        if field.name not in ("source", "destination", "limits") and getattr(branch, field.name) != field.default:
            place.below(field.name).refuse(f"{tree} says it in Python: leave it out")


def _check_attributes(branch: BranchSettings, place: Place) -> None:
    """Refuse what names an attribute that is not in types, if there are any."""
    named = named_attributes(branch, place)
    for side in ("source", "destination"):
        table = getattr(branch, side) or Table("")
        for key, attributes in (("columns", table.columns), ("links", table.links)):
            named += [(place.below(side).below(key).below(name), name) for name in attributes]
    for where, name in named if branch.types else ():
        if name not in branch.types:
            where.refuse(f"there is no attribute {name!r} in types: {nearest(name, branch.types)}")


def named_attributes(branch: BranchSettings, place: Place) -> list[tuple[Place, str]]:
    """Return the attributes that the keys of a branch name, each with its place."""
    named = [(place.below("optional_key"), name) for name in branch.optional_key]
    named += [(place.below("sensitive"), name) for name in branch.sensitive]
    named += [(place.below("correlate"), name) for name in branch.correlate]
    named += [(place.below("shortname"), name) for name in branch.shortname]
    named += [(place.below("skip_empty"), name) for name in branch.skip_empty]
    named += [(place.below(key), name) for key in ("active", "part") if (name := getattr(branch, key)) is not None]
    return named + [(place.below("references").below(name), name) for name in branch.references]


def _check_branches(branch: BranchSettings, names: Mapping[str, BranchSettings], place: Place) -> None:
    named = [(place.below("references").below(attribute), name) for attribute, name in branch.references.items()]
    named += [(place.below("children").below(name), name) for name in branch.children]
    for where, name in named:
        if name not in names:
            where.refuse(f"there is no branch {name!r}: {nearest(name, names)}")

"""What a configuration, a module or a plug-in declares, and what is wrong with it. Nothing is written."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs

from datastoresync.app.configuration import (
    BranchSettings,
    LoadedConfiguration,
    load_configuration,
    named_attributes,
)
from datastoresync.app.configured_parts import branch_classes, only_table, opened
from datastoresync.app.declared_trees import declared_module, declared_tree, is_tree
from datastoresync.app.stores import table_names
from datastoresync.app.toml_document import Place
from datastoresync.applying.report import reason_of
from datastoresync.diffing.schema_check import check_related
from datastoresync.errors import ConfigurationError, DatastoreSyncError
from datastoresync.masking import masked
from datastoresync.object import Object, schema_of
from datastoresync.spelling import closest, nearest
from datastoresync.syncers.changes import Table
from datastoresync.syncers.loading import load_records
from datastoresync.syncers.options import parameters_of
from datastoresync.syncers.plugin.loader import checked_class
from datastoresync.syncers.plugin.manifest import MANIFEST, read_manifest
from datastoresync.syncers.records import Records
from datastoresync.tree import Tree

_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?::[\w.]+)?")
_SIDES = ("source", "destination")
_METHODS = ("load", "dump", "tables", "read", "append", "upsert", "update", "delete", "apply_changes")
"""Methods that a syncer may have."""


@attrs.frozen
class Findings:
    """What was found.

    Args:
        lines: What is declared.
        problems: A sentence for each thing that is wrong, with its place.
    """

    lines: list[str]
    problems: list[str]


def check_declared(name: str, *, offline: bool = False) -> Findings:
    """Look at a configuration, a module, a tree in it, or the folder of a plug-in.

    Args:
        name: The file, ``module``, ``module:Tree`` or the folder.
        offline: Whether no store is opened.

    Raises:
        ConfigurationError: if a configuration is wrong by itself.
        DeclarationError: if a module cannot be imported.
        SyncerError: if a plug-in is described or written wrongly.
    """
    path = Path(name.removeprefix("plugin:"))
    if (path / MANIFEST).exists() or name.startswith("plugin:"):
        return _check_plugin(path)
    if path.is_dir() and not (path / "__init__.py").is_file():
        raise ConfigurationError(f"{name} is a folder without {MANIFEST}, so it is no plug-in: name a file or a module")
    if _MODULE.fullmatch(name) and path.suffix != ".toml" and not path.is_file():
        return _check_module(name)
    if path.suffix == ".py":
        raise ConfigurationError(f"{name} is a file of Python: write the name of the module, {path.stem}")
    if path.suffix != ".toml" and path.is_file():
        message = (
            f"{name} is no configuration, whose name ends in .toml: datastoresync init {name} DESTINATION writes one"
        )
        raise ConfigurationError(message)
    return _check_configuration(name, offline=offline)


# A configuration -----------------------------------------------------------------------------------------------------


@attrs.frozen
class _Side:
    """One of the two stores of a configuration.

    Args:
        name: Which one.
        tree: Its tree, if that is declared in Python.
        syncer: Its syncer; None if it is not opened.
        tables: The names of its tables; None if they are not known.
    """

    name: str
    tree: Tree | None = None
    syncer: Any = None
    tables: Sequence[str] | None = None

    @classmethod
    def of(cls, name: str, loaded: LoadedConfiguration, stack: ExitStack | None) -> _Side:
        """Return a side; what is wrong with it is noted. Without a stack, the store is not opened."""
        side, place = getattr(loaded.settings, name), loaded.document.place.below(name)
        if side.tree is not None:
            return cls(name, place.below("tree").converted(lambda tree, _: declared_tree(tree), side.tree))
        if stack is None:
            return cls(name)
        syncer = place.below("options" if side.options else "store").converted(lambda one, _: opened(one, stack), side)
        listed = table_names if name == "source" else lambda one: list(one.tables())
        known = callable(getattr(syncer, "tables", None))
        tables = place.below("store").converted(lambda one, _: listed(one), syncer) if known else None
        return cls(name, None, syncer, tables)

    def table(self, branch: str, loaded: LoadedConfiguration, other: _Side) -> Table:
        """Return the table of a branch."""
        named = getattr(loaded.settings.branches.get(branch), self.name, None)
        tree = self.tree or other.tree
        table = named or (Table(branch) if tree is None else tree[branch].table)
        alone = len(loaded.settings.branches if tree is None else tree.branches) == 1
        return only_table(table, branch, self.syncer, alone=alone, source=self.name == "source") or table

    def columns(self, table: Table, place: Place) -> list[str] | None:
        """Return the columns of a table, none of one that a sync makes; None if that is not known."""
        if self.tables is None:
            return None
        if table.name in self.tables:
            return place.converted(lambda *_: table_columns(self.syncer, table.name), table)
        if self.name == "source":
            place.refuse(f"the source has no table {table.name!r}: {nearest(table.name, self.tables)}")
            return None
        return []

    def check_links(self, table: Table, place: Place) -> list[str]:
        """Note what is wrong with the tables of memberships and of references; return those that a sync makes."""
        made, where = [], place.below(self.name)
        for attribute, link in table.links.items():
            at = where.below("links").below(attribute)
            found = self.columns(Table(link.table), at)
            for column in link.columns if found else ():
                if column not in (found or ()):
                    has_not = f"table {link.table} of the {self.name} has no column {column!r}"
                    at.refuse(f"{has_not}: {nearest(column, found or ())}")
            made += [link.table] if found == [] else []
        refs = [
            (where.below("columns"), table.refs),
            *((where.below("links"), link.refs) for link in table.links.values()),
        ]
        for at, references in refs:
            for ref in references.values():
                if self.tables is not None and ref.table not in self.tables:
                    at.refuse(f"the {self.name} has no table {ref.table!r}: {nearest(ref.table, self.tables)}")
        return made


def _check_configuration(path: str, *, offline: bool) -> Findings:
    loaded = load_configuration(path)
    document = loaded.document
    lines = [_store_line(document.content[name], name) for name in _SIDES]
    with ExitStack() as stack:
        source, destination = (_Side.of(name, loaded, None if offline else stack) for name in _SIDES)
        if not document.problems:
            for name, cls in branch_classes(loaded, [source.tree, destination.tree]).items():
                lines.append(f"branch {name}: {_described(cls)}")
                tables = source.table(name, loaded, destination), destination.table(name, loaded, source)
                place = document.place.below("branches").below(name)
                found = source.columns(tables[0], place), destination.columns(tables[1], place)
                _check_columns(place, cls, tables, found)
                if name in loaded.classes and schema_of(cls).fields is None:
                    _check_named(place, loaded.settings.branches[name], tables, found)
                source.check_links(tables[0], place)
                made = [tables[1].name] if found[1] == [] else []
                for table in (*made, *destination.check_links(tables[1], place)):
                    near = closest(table, destination.tables or ())
                    hint = f"; or did you mean {near!r}?" if near else ""
                    lines.append(f"  the destination has no table {table}: the first sync makes it{hint}")
    lines += [f"{name}: {_pairs(document.content[name])}" for name in ("limits", "reports") if name in document.content]
    return Findings(lines, [text for _, text in sorted(document.problems)])


def _store_line(given: dict[str, Any], name: str) -> str:
    return f"{name}: {masked(given.get('store') or given['tree'])}"


def _pairs(table: dict[str, Any]) -> str:
    return ", ".join(name if isinstance(value, dict) else f"{name} {value}" for name, value in table.items())


def _check_columns(
    place: Place, cls: type[Object], tables: Sequence[Table], found: Sequence[Sequence[str] | None]
) -> None:
    """Note the columns that the tables of a branch lack; those that the source has alone, if all columns are synced."""
    fields = schema_of(cls).fields
    wanted = list(dict.fromkeys((*cls._identifiers, *(fields or {}))))
    if fields is None and found[0]:
        read = (tables[0].attributes.get(column, column) for column in found[0])
        wanted = list(dict.fromkeys((*wanted, *read)))
    for side, table, columns in zip(_SIDES, tables, found, strict=True):
        for attribute in dict.fromkeys((*wanted, *table.columns)) if columns else ():
            if table.column(attribute) not in (columns or ()) and attribute not in table.links:
                _refuse_column(place, side, table, cls, attribute, columns or ())


def _check_named(
    place: Place, branch: BranchSettings, tables: Sequence[Table], found: Sequence[Sequence[str] | None]
) -> None:
    """Note the attributes that the keys of a branch without types name, and its tables do not have."""
    for side, table, columns in zip(_SIDES, tables, found, strict=True):
        known = [*(table.attributes.get(column, column) for column in columns or ()), *table.links]
        for where, name in named_attributes(branch, place) if columns else ():
            if name not in known and (where.keys[-1] != "part" or side != _SIDES[0]):
                where.refuse(f"the {side} has no attribute {name!r}: {nearest(name, known)}")


def _refuse_column(
    place: Place, side: str, table: Table, cls: type[Object], attribute: str, columns: Collection[str]
) -> None:
    ways = [(side, "columns", attribute), ("types", attribute), ("key",), (side,)]
    if attribute not in cls._identifiers:
        ways.remove(("key",))
    for key in next((way for way in ways if (*place.keys, *way) in place.document.lines), ()):
        place = place.below(key)
    column = table.column(attribute)
    place.refuse(f"table {table.name} of the {side} has no column {column!r}: {nearest(column, columns)}")


def table_columns(syncer: Any, table: str) -> list[str]:
    """Return the columns of a table, in their order.

    Raises:
        SyncerError: if it cannot be read.
    """
    read = getattr(syncer, "records", None) or getattr(syncer, "read", None)
    found = read(table) if callable(read) else load_records(syncer, table)
    if isinstance(found, Records):
        if callable(close := getattr(found.chunks, "close", None)):
            close()
        return list(found.columns)
    return list(dict.fromkeys(name for row in found for name in row))


def _described(cls: type[Object]) -> str:
    fields = schema_of(cls).fields
    columns = "all columns" if fields is None else ", ".join(_described_field(one) for one in fields.values())
    return f"key {' + '.join(cls._identifiers)}; {columns}"


def _described_field(field: Any) -> str:
    return f"{field.name} {field.converter.describe}" if field.converter is not None else str(field.name)


# Modules and plug-ins ------------------------------------------------------------------------------------------------


def _check_module(name: str) -> Findings:
    findings = Findings([], [])
    if ":" in name:
        found = {name: declared_tree(name)}
    else:
        declared = vars(declared_module(name, name)).items()
        own = {each: value for each, value in declared if is_tree(value) and getattr(value, "__module__", "") == name}
        found = {f"{name}:{each}": value for each, value in own.items()}
    for each, value in found.items():
        try:
            tree = value if isinstance(value, Tree) else value()
        except DatastoreSyncError as error:
            findings.problems.append(f"{each}: {error}")
            continue
        except Exception as error:  # noqa: BLE001 - it is told
            findings.problems.append(f"{each}: it cannot be made without arguments: {reason_of(error)}")
            continue
        _check_tree(each, tree, findings)
    if not found:
        findings.problems.append(f"{name}: it declares no tree: class Source(Tree): … declares one")
    return findings


def _check_tree(name: str, tree: Tree, findings: Findings) -> None:
    by = "a template" if tree.template is not None else "its store" if tree.syncer is not None else ""
    try:
        tree.applier()
        findings.lines.append(f"tree {name}: is written to by {by or 'methods of its objects'}")
    except DatastoreSyncError as error:
        findings.lines.append(f"tree {name}: is only read{'' if by else ', as it has no syncer and no template'}")
        findings.problems.extend([f"{name}: {error}"] * bool(by))
    classes = {each: branch.object_class for each, branch in tree.items()}
    for each, cls in classes.items():
        try:
            findings.lines.append(f"  branch {each}: {_described(cls)}")
            check_related(name, each, classes)
        except DatastoreSyncError as error:
            findings.problems.append(f"{name}: branch {each}: {error}")


def _check_plugin(folder: Path) -> Findings:
    manifest = read_manifest(folder)
    kind = checked_class(manifest)
    options = [name for name in parameters_of(kind) or {} if name not in ("name", "metadata")]
    lines = [f"plug-in {manifest.name}: class {manifest.syncer_class} in {folder}"]
    lines += [f"  needs {', '.join(manifest.requirements)}"] if manifest.requirements else []
    lines += [f"  options: {', '.join(options)}"] if options else []
    lines += [f"  methods: {', '.join(name for name in _METHODS if callable(getattr(kind, name, None)))}"]
    return Findings(lines, [])

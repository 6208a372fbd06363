"""What a new configuration begins with: the tables of two stores, paired, with the keys and types that they tell."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from keyword import iskeyword
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import attrs

from datastoresync.app.checks import table_columns
from datastoresync.app.stores import (
    SEPARATES,
    file_options,
    located,
    missing_key_advice,
    open_store,
    plain_name,
    table_names,
)
from datastoresync.app.syncer_reader import branch_names
from datastoresync.conversion.scalars import TYPE_NAMES
from datastoresync.errors import SyncerError
from datastoresync.masking import masked
from datastoresync.spelling import nearest
from datastoresync.syncers.registry import parse_address
from datastoresync.syncers.url import Address

_SIDES = ("source", "destination")
_VARIABLES = {"source": "SOURCE_URL", "destination": "DESTINATION_URL"}
_NAMES = {kind: name for name, kind in TYPE_NAMES.items()}
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@attrs.frozen(kw_only=True)
class StarterBranch:
    """One branch of a starter.

    Args:
        name: Its name.
        tables: Its table in the source, and the one in the destination, which may not be there yet.
        key: The attributes that identify an object.
        types: The attributes that both have, with their types; empty if all columns are synced.
        columns: The columns of attributes that are called otherwise, for the source and the destination.
        only: The columns that one of them alone has.
        references: The branches that attributes refer to, where a foreign key leads to the key of one.
        made: Whether the first sync makes its table.
    """

    name: str
    tables: tuple[str, str]
    key: tuple[str, ...]
    types: Mapping[str, str] = attrs.field(factory=dict)
    columns: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
    only: tuple[Sequence[str], Sequence[str]] = ((), ())
    references: Mapping[str, str] = attrs.field(factory=dict)
    made: bool = False


@attrs.frozen(kw_only=True)
class Starter:
    """What two stores have in common.

    Args:
        urls: The URLs of the source and of the destination, as they were given.
        branches: The branches.
        options: The options for the files of the source.
        there: The tables of the destination that no branch is paired with.
    """

    urls: tuple[str, str]
    branches: tuple[StarterBranch, ...]
    options: Mapping[str, str] = attrs.field(factory=dict)
    there: Sequence[str] = ()

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that stand for URLs with a secret, by the side."""
        found = {}
        for side, url in zip(_SIDES, self.urls, strict=True):
            if url.startswith("env:"):
                found[side] = url.removeprefix("env:")
            elif masked(url) != url:
                found[side] = _VARIABLES[side]
        return found


@attrs.frozen(kw_only=True)
class StoreTable:
    """A table, as a store tells of it.

    Args:
        name: Its name.
        columns: Its columns.
        types: The types that its store says they have; none if it says nothing.
        key: Its primary key.
        foreign_keys: The table and the column that columns refer to.
    """

    name: str
    columns: Sequence[str]
    types: Mapping[str, type] = attrs.field(factory=dict)
    key: tuple[str, ...] = ()
    foreign_keys: Mapping[str, tuple[str, str]] = attrs.field(factory=dict)


Ask = Callable[[str, Sequence[str]], tuple[str, ...]]
"""Called with a table and its columns; returns those that identify a row."""


def refuse_to_guess(table: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Refuse a table whose key nobody named.

    Raises:
        SyncerError: with the option that names it.
    """
    has = ", ".join(map(repr, columns))
    raise SyncerError(f"which columns identify a row of {table}? --key {table}=COLUMN names one; there are {has}")


def look_at(
    urls: tuple[str, str],
    tables: Sequence[tuple[str, str]],
    keys: Mapping[str, tuple[str, ...]],
    ask: Ask = refuse_to_guess,
    options: Mapping[str, str] = MappingProxyType({}),
) -> Starter:
    """Return what two stores have in common; nothing is guessed that a sync depends on.

    Args:
        urls: The source and the destination: paths, URLs or ``env:NAME``.
        tables: The tables of the source, each with the one of the destination, or with itself if that is looked for;
            all of them if there are none.
        keys: The columns of the keys by table of the source, of all under ``""``.
        ask: Tells the key of a table without one.
        options: The options for the files of the source, as texts.

    Raises:
        SyncerError: if a store cannot be read, it is both of them, or a key is not known.
    """
    with ExitStack() as stack:
        places = [_located(url) for url in urls]
        if places[0] == places[1]:
            raise SyncerError(f"{masked(urls[0])} cannot follow itself: name another destination")
        source = stack.enter_context(open_store(places[0], options=options, spelling="option"))
        destination = stack.enter_context(open_store(places[1]))
        names = table_names(source)
        there = list(destination.tables()) if callable(getattr(destination, "tables", None)) else []
        chosen = dict(tables) or {name: name for name in names}
        for name, other in chosen.items():
            if name not in names:
                raise SyncerError(f"{source.name} has no table {name!r}: {nearest(name, names)}")
            if other != name and there and other not in there:
                raise SyncerError(f"{destination.name} has no table {other!r}: {nearest(other, there)}")
        if len({*chosen.values()}) < len(chosen):
            raise SyncerError("--tables names two tables that are to be written to one: pair each with one of its own")
        branches, looked = [], []
        for branch, name in branch_names(chosen).items():
            other = chosen[name] if chosen[name] != name else _partner(name, there, alone=len(chosen) == 1)
            pair = _looked_at(source, name), _looked_at(destination, other) if other in there else None
            one = _branch(branch, *pair, keys.get(name, keys.get("", ())), ask)
            branches.append(attrs.evolve(one, tables=(name, other or name), made=True) if pair[1] is None else one)
            looked.append(pair)
    found = [
        attrs.evolve(one, references=_references(one, pair, branches))
        for one, pair in zip(branches, looked, strict=True)
    ]
    free = [name for name in there if name not in {one.tables[1] for one in found}]
    return Starter(urls=urls, branches=tuple(found), options=options, there=free)


def _located(text: str) -> str:
    try:
        return located(text)
    except argparse.ArgumentTypeError as error:
        raise SyncerError(str(error)) from None


def _references(
    branch: StarterBranch, pair: tuple[StoreTable, StoreTable | None], branches: Sequence[StarterBranch]
) -> dict[str, str]:
    """Return the branches that attributes refer to, where a foreign key of either store leads to the key of one."""
    found = {}
    for index, table in enumerate(pair):
        attributes = {column: attribute for attribute, column in branch.columns[index].items()}
        for column, (other, to) in table.foreign_keys.items() if table is not None else ():
            attribute = attributes.get(column, column)
            target = next((one for one in branches if one.tables[index] == other), None)
            if target is None or (branch.types and attribute not in branch.types):
                continue
            if target.key == (next((own for own, name in target.columns[index].items() if name == to), to),):
                found[attribute] = target.name
    return found


def _looked_at(syncer: Any, table: str) -> StoreTable:
    types = syncer.column_types(table, meant=True) if callable(getattr(syncer, "column_types", None)) else {}
    key = syncer.primary_key(table) if callable(getattr(syncer, "primary_key", None)) else ()
    foreign = syncer.foreign_keys(table) if callable(getattr(syncer, "foreign_keys", None)) else {}
    columns = table_columns(syncer, table)
    if len(columns) == 1 and SEPARATES in (said := missing_key_advice(syncer, table, "", columns, None, ())):
        raise SyncerError(said.replace(" has no column '':", ":", 1))
    return StoreTable(name=table, columns=columns, types=types, key=key, foreign_keys=foreign)


def _partner(name: str, there: Sequence[str], *, alone: bool) -> str:
    """Return the table of the destination that is called like one of the source, or that is alone like it; if any."""
    found = [other for other in there if plain_name(other.rpartition(".")[2]) == plain_name(name.rpartition(".")[2])]
    return found[0] if len(found) == 1 else there[0] if alone and len(there) == 1 and not found else ""


def _branch(
    name: str, source: StoreTable, destination: StoreTable | None, given: tuple[str, ...], ask: Ask
) -> StarterBranch:
    if destination is None:
        return StarterBranch(name=name, tables=(source.name, source.name), key=_key(source, source.columns, given, ask))
    pairs = _pairs(source.columns, destination.columns)
    if not pairs:
        listed = " and ".join(", ".join(map(repr, one.columns)) for one in (source, destination))
        message = (
            f"{source.name} and {destination.name} of the destination have no column of one name: {listed}; write a "
            'configuration that pairs them, with columns = { id = "…" } for each store'
        )
        raise SyncerError(message)
    attributes = _attributes(pairs)
    usual = tuple(column for column, other in pairs.items() if other in destination.key)
    whole = attrs.evolve(source, key=usual if len(usual) == len(destination.key) else source.key)
    key = tuple(attributes[column] for column in _key(whole, list(pairs), given, ask))
    only = (
        [column for column in source.columns if column not in pairs],
        [column for column in destination.columns if column not in pairs.values()],
    )
    columns = (
        {attribute: column for column, attribute in attributes.items() if attribute != column},
        {attributes[column]: other for column, other in pairs.items() if attributes[column] != other},
    )
    kinds = {
        attributes[column]: _type(destination.types.get(other) or source.types.get(column))
        for column, other in pairs.items()
    }
    typed = any((source.types, destination.types, *only, *columns))
    types = {attribute: kind if attribute in key else f"{kind} | None" for attribute, kind in kinds.items()}
    return StarterBranch(
        name=name,
        tables=(source.name, destination.name),
        key=key,
        types=types if typed else {},
        columns=columns,
        only=only,
    )


def _pairs(left: Sequence[str], right: Sequence[str]) -> dict[str, str]:
    """Return the columns that two tables have in common: those of one name, then those that alone are spelt alike."""
    found = {column: column for column in left if column in right}
    for column in left:
        alike = [[one for one in columns if plain_name(one) == plain_name(column)] for columns in (left, right)]
        if column not in found and [len(names) for names in alike] == [1, 1]:
            found[column] = alike[1][0]
    return {column: found[column] for column in left if column in found}


def _attributes(columns: Mapping[str, str]) -> dict[str, str]:
    """Return the names of the attributes that columns of the destination become, by those of the source."""
    found: dict[str, str] = {}
    for column, right in columns.items():
        name = right if right.isidentifier() and not right.startswith("_") else plain_name(right)
        name = name if name.isidentifier() else f"column_{name}"
        while name in found.values() or iskeyword(name) or (name != right and name in columns.values()):
            name += "_"
        found[column] = name
    return found


def _key(table: StoreTable, columns: Sequence[str], given: tuple[str, ...], ask: Ask) -> tuple[str, ...]:
    """Return the columns that identify a row: those that are given, the primary key, ``idnumber``, or what is told.

    Raises:
        SyncerError: if they are not there.
    """
    key = given or table.key or (("idnumber",) if "idnumber" in columns else ask(table.name, columns))
    for column in key:
        if column not in columns:
            raise SyncerError(missing_key_advice(None, table.name, column, columns, None, key))
    return key


def _type(kind: type | None) -> str:
    return _NAMES.get(kind or str, "str")


# A configuration -----------------------------------------------------------------------------------------------------


def toml_of(starter: Starter) -> str:
    """Return the configuration."""
    lines = ["# datastoresync sync --config FILE --dry-run shows what would be written.", ""]
    for side, url in zip(_SIDES, starter.urls, strict=True):
        variable = starter.variables.get(side)
        lines += [f"[{side}]", f"store = {_quoted(f'${{env:{variable}}}' if variable else url)}"]
        if starter.options and side == "source":
            given = file_options(_located(url), starter.options)
            lines.append(f"options = {{ {', '.join(f'{name} = {_quoted(value)}' for name, value in given.items())} }}")
        lines.append("")
    for branch in starter.branches:
        head = f"branches.{_bare(branch.name)}"
        lines += [f"[{head}]", f"key = {_quoted(branch.key[0] if len(branch.key) == 1 else list(branch.key))}"]
        for side, table, columns in zip(_SIDES, branch.tables, branch.columns, strict=True):
            if columns:
                named = ", ".join(f"{_bare(attribute)} = {_quoted(column)}" for attribute, column in columns.items())
                lines.append(f"{side} = {{ table = {_quoted(table)}, columns = {{ {named} }} }}")
            elif table != branch.name:
                lines.append(f"{side} = {_quoted(table)}")
        if branch.references:
            named = ", ".join(f"{_bare(name)} = {_quoted(other)}" for name, other in branch.references.items())
            lines.append(f"references = {{ {named} }}")
        lines += _notes(branch)
        if branch.types:
            lines += [
                "",
                f"[{head}.types]",
                *(f"{_bare(name)} = {_quoted(kind)}" for name, kind in branch.types.items()),
            ]
        lines.append("")
    return "\n".join([*lines, *_LIMITS])


_LIMITS = [
    "# How much one run may change: a share or a count; what is over is refused before the first change.",
    "# [limits]",
    '# deletions = "10%"',
    "",
]


def _notes(branch: StarterBranch) -> list[str]:
    return [
        f"# not synced, as the {side} alone has it: {', '.join(names)}"
        for side, names in zip(_SIDES, branch.only, strict=True)
        if names
    ]


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _bare(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


# A script ------------------------------------------------------------------------------------------------------------


def script_of(starter: Starter) -> str:
    """Return a script that does the same, with classes."""
    kinds = {part for branch in starter.branches for one in branch.types.values() for part in one.split(" | ")}
    needed = sorted((kind.__module__, kind.__name__) for name, kind in TYPE_NAMES.items() if name in kinds)
    tables = any(columns for branch in starter.branches for columns in branch.columns)
    imports = ["import os"] if starter.variables else []
    imports += [f"from {module} import {names}" for module, names in _grouped(needed).items() if module != "builtins"]
    public = ["Branch", "Object", *(["Table"] if tables else []), "Tree"]
    lines = [
        '"""Makes one store follow another: --help lists the options, and --dry-run shows what would be written."""',
        "",
    ]
    lines += [*imports, ""] if imports else []
    lines += [
        f"from datastoresync import {', '.join(public)}",
        "from datastoresync.app import App, SyncerReader, SyncerWriter",
    ]
    for branch in starter.branches:
        lines += ["", "", f"class {_class_name(branch.name)}(Object):", f"    _identifiers = {branch.key!r}"]
        lines += [f"    _references = {dict(branch.references)!r}"] if branch.references else []
        lines += [f"    {note}" for note in _notes(branch)]
        lines += [f"    {name}: {_python_type(kind)}" for name, kind in branch.types.items()]
    for index, side in enumerate(_SIDES):
        lines += ["", "", f"class {side.title()}(Tree):"]
        for branch in starter.branches:
            table = branch.tables[index]
            columns = branch.columns[index]
            named = f"Table({table!r}, columns={dict(columns)!r})" if columns else repr(table)
            lines.append(f"    {branch.name} = Branch({_class_name(branch.name)}, table={named})")
    places = [_located(url) for url in starter.urls]
    if starter.options and Address.parse(places[0]) is None:
        places[0] = f"{parse_address(places[0]).scheme}:{quote(places[0])}"
    for name, text in starter.options.items():
        places[0] += f"{'&' if '?' in places[0] else '?'}{name}={quote(text)}"
    urls = [
        f"os.environ[{starter.variables[side]!r}]" if side in starter.variables else repr(str(place))
        for side, place in zip(_SIDES, places, strict=True)
    ]
    call = f"App(SyncerReader({urls[0]}, tree=Source), SyncerWriter({urls[1]}, tree=Destination)).main()"
    return "\n".join([*lines, "", "", 'if __name__ == "__main__":', f"    {call}", ""])


def _class_name(branch: str) -> str:
    name = "".join(map(str.title, branch.split("_")))
    return f"{name}Object" if name in {"App", "Branch", "Destination", "Object", "Source", "Table", "Tree"} else name


def _python_type(kind: str) -> str:
    return " | ".join(TYPE_NAMES[part].__name__ if part in TYPE_NAMES else part for part in kind.split(" | "))


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for module, name in pairs:
        found.setdefault(module, []).append(name)
    return {module: ", ".join(names) for module, names in found.items()}

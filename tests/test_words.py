"""Words that may not come back as names: each had a meaning of its own here, where the field has a word for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import datastoresync

PACKAGE = Path(datastoresync.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

INSTEAD = {
    "ahead": "pipelining",
    "alike": "lookalike_keys, change_batch",
    "apart": "never_equal",
    "beside": "stream_join",
    "bringing": "spool",
    "doubts": "preconditions",
    "few_of": "materialize_pairs",
    "holding": "facade",
    "likeness": "equality_sql",
    "listed": "list_values",
    "living": "identity_map",
    "looks": "property_dependencies",
    "making": "change_factory",
    "mine": "left",
    "odd": "python_only_values",
    "ones": "left",
    "operand": "pipe",
    "others": "right, or a noun",
    "pulling": "to_arrow",
    "reached": "scope",
    "refusals": "translate_errors",
    "replacement": "atomic_write",
    "rewriting": "load_dump_adapter",
    "rewritten": "table_rewrite",
    "surely": "valid_sql",
    "theirs": "right",
    "touched": "dirty",
    "unfaithful": "CannotPushDown",
    "unlike": "differing_cells",
    "watched": "change_tracking",
    "why": "reason",
}


LOCAL = {"mine", "theirs", "ones", "why"}
"""Those that may not even be variables."""
KEPT = {"testing/claims.py": {"refusals"}, "testing/contract.py": {"refusals"}}
"""What authors of syncers already write in their tests."""


def names_of(source: str) -> Iterator[tuple[int, str]]:
    """Yield the names that it gives to classes, functions, parameters and attributes; variables in `LOCAL`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id.strip("_") in LOCAL:
            yield node.lineno, node.id


def words_of(source: str) -> list[str]:
    """Return the names that are on the list, with their lines and what to say."""
    return [
        f"line {line}: {name}: say {INSTEAD[name.strip('_').lower()]}"
        for line, name in names_of(source)
        if name.strip("_").lower() in INSTEAD
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_private_word_is_a_name(path: Path) -> None:
    kept = KEPT.get(path.relative_to(PACKAGE).as_posix(), set())
    found = [words for words in words_of(path.read_text(encoding="utf-8")) if words.split(": ")[1] not in kept]
    assert path.stem not in INSTEAD
    assert found == []


def test_the_list_finds_every_kind_of_name() -> None:
    source = """
class Alike: pass
def apart(why): pass
self._living = 1
theirs = 2
(mine, other) = 3
living.odd(beside=looks)
"""
    found = [line.split(": ")[1] for line in words_of(source)]
    assert sorted(found) == ["Alike", "_living", "apart", "mine", "theirs", "why"]


def test_two_public_classes_do_not_share_a_name_by_accident() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(path.relative_to(PACKAGE).as_posix())
    shared = {name: found for name, found in places.items() if len(found) > 1}
    # An older system's own names, which its vocabulary keeps.
    vocabularies = {name for name, found in shared.items() if sum("vocabularies" not in path for path in found) <= 1}
    assert {name: found for name, found in shared.items() if name not in vocabularies} == {}

"""The seams between the folders: below a tree, branches are known by a description, and engines register themselves."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import attrs
import pytest

from datastoresync import Branch, Importer, Object, Tree
from datastoresync.engines import select
from datastoresync.engines.relation import BranchDescription, CannotPushDown, SourceEngine
from datastoresync.engines.table import TableObjects

PACKAGE = Path(__file__).resolve().parent.parent / "datastoresync"
MODULES = sorted(PACKAGE.rglob("*.py"))
BELOW = ("engines", "importing")
"""Folders whose code is given descriptions and callbacks, and never a tree or a branch without a type."""


def untyped(source, names):
    """Return the lines in which one of some names is annotated with ``Any``, as text or not."""
    found = []
    for node in ast.walk(ast.parse(source)):
        name = (
            node.arg
            if isinstance(node, ast.arg)
            else ast.unparse(node.target)
            if isinstance(node, ast.AnnAssign)
            else ""
        )
        annotation = getattr(node, "annotation", None)
        if annotation is not None and name.rpartition(".")[2] in names:
            text = annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
            if "Any" in str(text).replace("typing.", "").split(" | "):
                found.append(node.lineno)
    return found


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def f(branch: Any): ...", [1]),
        ("def f(*, branch: 'Any' = None): ...", [1]),
        ("class A:\n    branch: Any | None", [2]),
        ("self.branch: typing.Any = 1", [1]),
        ("def f(branch: Branch[Any], trunk: Any): ...", []),
    ],
)
def test_untyped_names_are_found(source, lines):
    assert untyped(source, {"branch"}) == lines


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_branch_is_without_a_type(path):
    names = {"branch", "tree"} if path.relative_to(PACKAGE).parts[0] in BELOW else {"branch"}
    assert untyped(path.read_text(encoding="utf-8"), names) == []


def test_a_description_is_frozen():
    description = Branch().description()
    assert isinstance(description, BranchDescription)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        description.name = "other"


def test_an_importer_sees_its_tree_and_its_branch():
    seen = []

    class Seeing(Importer):
        def read(self):
            seen.append((self.tree.name, self.branch))
            return [{"idnumber": "1"}]

    tree = +Tree("source", branches={"users": Branch(importer=Seeing)})
    assert seen == [("source", tree.users)]
    assert tree.users["1"].__branch__ is tree.users


# Engines ------------------------------------------------------------------------------------------------------------

ENGINES = re.compile(r"\b(duckdb|pyspark|spark)\b")
EXCEPTIONS = {
    "__init__.py": ["engines.duckdb.connection"],  # the public options class, which is loaded when it is asked for
    "applying/executors.py": [  # a public template: actions carried out in a Spark job, which no engine knows of
        "pyspark.sql",
        "executors are Spark's: pip install 'datastoresync[spark]'",
        "there is no Spark session with executors of its own: give one, OnExecutors(Template, session=spark)",
        "pyspark.serializers",
        "pyspark.serializers",
    ],
}


def texts(source):
    """Return the string literals of a module, without docstrings and the texts below attributes."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
    ]


def test_texts_are_all_literals_but_docstrings():
    source = 'def f():\n    """duckdb"""\n    return "duckdb", f"spark{1}"\nx = 1\n"""spark"""'
    assert sorted(texts(source)) == ["duckdb", "spark"]


def test_no_engine_is_named_outside_of_its_folder():
    found = {}
    for path in MODULES:
        place = path.relative_to(PACKAGE).as_posix()
        if not place.startswith(("engines/duckdb/", "engines/spark/")):
            named = [text for text in texts(path.read_text(encoding="utf-8")) if ENGINES.search(text)]
            if named:
                found[place] = sorted(named)
    assert found == {place: sorted(named) for place, named in EXCEPTIONS.items()}


def test_each_registered_engine_has_names_of_its_own():
    names = [engine.name for engine in select.ENGINES]
    asked = [engine.asked for engine in select.ENGINES]
    assert len(set(names)) == len(names)
    assert len({*asked, "auto", "memory"}) == len(asked) + 2


class Shelf:
    """A source that only a made-up engine knows."""

    def __init__(self, *names):
        self.rows = [(str(number), name) for number, name in enumerate(names)]


class ShelfRelation:
    engine = "shelves"
    location = "shelves"
    columns = ("idnumber", "name")

    def __init__(self, rows):
        self.stored, self.count = rows, len(rows)

    def rows(self, page=None):
        yield list(zip(*self.stored, strict=True))

    def find(self, keys):
        found = [row for row in self.stored if row[0] in keys]
        if found:
            yield list(zip(*found, strict=True))

    def present(self, keys):
        return {row[0] for row in self.stored} & set(keys)

    def differing(self, other, work):
        raise CannotPushDown("it cannot")

    def close(self):
        pass


class Shelves(SourceEngine):
    name = asked = "shelves"
    sources = (Shelf,)

    def relation(self, source, branch, options, *, automatic):
        return None if automatic and len(source.rows) < 2 else ShelfRelation(source.rows)

    def records(self, source):
        return [dict(zip(ShelfRelation.columns, row, strict=True)) for row in source.rows]


@pytest.mark.parametrize("engine", ["auto", "shelves", "memory"])
def test_an_engine_is_added_by_registering_it(monkeypatch, engine):
    monkeypatch.setattr(select, "ENGINES", (*select.ENGINES, Shelves()))
    one, other = (+Branch(Object, importer=Shelf(*names), engine=engine) for names in (("Ann", "Bob"), ("Ann", "Eve")))
    assert isinstance(one.contents.objects, TableObjects) == (engine != "memory")
    assert [(action.verb, action.idnumber, action.value) for action in one - other] == [("update", "1", "Bob")]
    few = +Branch(Object, importer=Shelf("Ann"), engine="auto")
    assert not isinstance(few.contents.objects, TableObjects)

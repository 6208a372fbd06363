"""The seams between the folders: below a tree, branches are known by a description, and engines register themselves."""

from __future__ import annotations

import ast
from pathlib import Path

import attrs
import pytest

from datastoresync import Branch, Importer, Tree
from datastoresync.engines.relation import BranchDescription

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

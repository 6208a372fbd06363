"""The habits of the project: versions, imports, the size of files, and documentation that is true."""

from __future__ import annotations

import ast
import configparser
import importlib
import json
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest
from pages import FENCE, Block, blocks_of, run_blocks

import datastoresync
import datastoresync.syncers

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "datastoresync"
MODULES = sorted(PACKAGE.rglob("*.py"))
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/**/*.md"), *ROOT.glob("benchmarks/*.md")]
)
HEAVY = {
    "IPython",
    "anywidget",
    "duckdb",
    "hypothesis",
    "pandas",
    "polars",
    "psycopg",
    "pyarrow",
    "pytest",
    "rich",
    "sqlalchemy",
}
LONGEST_FILE = 601

INLINE_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)[^)]*\)|^\[[^\]]+\]:[ ]+(\S+)", re.MULTILINE)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def links(text: str) -> list[str]:
    """Return the relative links of a document, leaving out what stands in code."""
    prose = INLINE_CODE.sub("", FENCE.sub("", text))
    targets = [inline or reference for inline, reference in LINK.findall(prose)]
    return [target for target in targets if not re.match(r"[a-z][a-z0-9+.-]*:", target)]


def anchors(text: str) -> set[str]:
    """Return the anchors that a forge gives to a document's headings."""
    headings = HEADING.findall(FENCE.sub("", text))
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


def broken_links(path: Path, root: Path) -> list[str]:
    """Return the relative links of a document that lead nowhere, or out of the project."""
    broken = []
    for target in links(path.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        goal = (path.parent / name).resolve() if name else path
        is_there = goal.exists() and goal.is_relative_to(root)
        if not is_there or (anchor and anchor not in anchors(goal.read_text(encoding="utf-8"))):
            broken.append(target)
    return broken


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_version_is_written_once() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert setup["metadata"]["version"] == "attr: datastoresync.__version__"
    assert "project" not in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assignment = re.compile(r"^__version__\b.*=", re.MULTILINE)
    writers = [name_of(path) for path in MODULES if assignment.search(path.read_text(encoding="utf-8"))]
    assert writers == ["datastoresync/__init__.py"]


def test_the_version_can_be_read_without_an_import() -> None:
    # setuptools looks for a literal, so that building the package needs none of its dependencies.
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    literals = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and len(node.targets) == 1
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__version__"
    ]
    assert literals == [datastoresync.__version__]


def test_the_changelog_begins_with_the_version() -> None:
    headings = re.findall(r"^## \[(.+?)\] - ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == datastoresync.__version__


def loaded_by(statement: str) -> set[str]:
    command = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout))


def test_importing_all_names_loads_no_optional_dependency() -> None:
    loaded = {name.partition(".")[0] for name in loaded_by("from datastoresync import *")}
    assert "datastoresync" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_who_only_looks_for_differences_loads_no_more_than_that() -> None:
    loaded = loaded_by("from datastoresync import Branch, CSVImporter, Object; list(+Branch(Object, importer=[]))")
    assert "datastoresync.diffing.diff" in loaded
    assert not {name for name in loaded if name.startswith(("datastoresync.applying", "datastoresync.tree"))}


def test_public_names_are_found_where_they_are_declared() -> None:
    for package in (datastoresync, datastoresync.syncers):
        declared = declarations_of(package)
        assert set(package.__all__) == set(declared), "what type checkers know is what there is"
        for name, module in declared.items():
            assert getattr(package, name) is vars(importlib.import_module(module))[name]
            assert getattr(package, name) is vars(package)[name], "the next one need not ask"
        assert set(package.__all__) <= set(dir(package))


def declarations_of(package: types.ModuleType) -> dict[str, str]:
    """Return the module of each name that a package imports for type checkers."""
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {name.name: str(node.module) for node in imports for name in node.names}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'datastoresync' has no attribute 'Brunch'"):
        datastoresync.Brunch


def test_public_names_are_sorted() -> None:
    assert list(datastoresync.__all__) == sorted(set(datastoresync.__all__))


def test_public_names_have_docstrings() -> None:
    public = {name: getattr(datastoresync, name) for name in datastoresync.__all__}
    undocumented = [
        name
        for name, value in public.items()
        if isinstance(value, type | types.FunctionType | types.ModuleType) and not (value.__doc__ or "").strip()
    ]
    assert undocumented == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_file_of_the_package_is_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines < LONGEST_FILE


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_relative_links_lead_somewhere(path: Path) -> None:
    assert broken_links(path, ROOT) == []


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path.parent.name != "howto"], ids=name_of)
def test_documents_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = blocks_of(path.read_text(encoding="utf-8"))
    # A module of its own, because classes look up their annotations, and pickles and import strings their names.
    module = types.ModuleType(path.stem.lower().replace("-", "_") + "_document")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.chdir(tmp_path)
    run_blocks(blocks, path, vars(module))


# --- the helpers above, which are code too ----------------------------------------------------------------------

DOCUMENT = """\
Text, `[no](link.md)`.

```python
numbers = [1, 2]
```

<!-- not run: it needs your server -->
```python
1 / 0
```

<!-- not run: -->
  ```python
  raise RuntimeError
  ```

  ```python
  >>> sum(numbers)
  3
  >>> numbers.append(3)

  ```

<!-- not run: it is no command -->
```console
$ [no](link.md)
```

```python
assert numbers == [1, 2, 3]
```
"""


def test_blocks_are_found_with_their_lines_and_skipped_only_with_a_reason() -> None:
    assert [(block.line, block.source.splitlines()[0]) for block in blocks_of(DOCUMENT)] == [
        (4, "numbers = [1, 2]"),
        (14, "raise RuntimeError"),
        (18, ">>> sum(numbers)"),
        (30, "assert numbers == [1, 2, 3]"),
    ]


def test_blocks_share_one_namespace() -> None:
    blocks = [block for block in blocks_of(DOCUMENT) if "raise" not in block.source]
    run_blocks(blocks, Path("some.md"), {})


def test_a_session_with_another_result_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"some\.md.*line 7[\s\S]*Expected:\n +3\nGot:\n +2"):
        run_blocks([Block(">>> 1 + 1\n3\n", 7)], Path("some.md"), {})


def test_a_block_that_raises_shows_its_line() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_blocks([Block("x = 0\n1 / x\n", 7)], Path("some.md"), {})
    assert (str(caught.traceback[-1].path), caught.traceback[-1].lineno + 1) == ("some.md", 8)


def test_what_a_shell_shows_is_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = "$ cat a/people.csv\nid,name\n1,Ann\n$ cp a/people.csv b.csv\n$ cat b.csv\nid,name\n1,Ann\n"
    diff = "$ datastoresync diff a/people.csv b.csv \\\n    --key id --exit-code\nno ...\n$ echo $?\n0\n"
    script = Block("# one.py\nimport sys\n\nprint('fünf')\nsys.exit(5)\n", 1)
    run = Block("$ python one.py\nfünf\n$ echo $?\n5\n", 9, "console")
    run_blocks([Block(files + diff, 1, "console"), script, run], Path("some.md"), {})
    with pytest.raises(pytest.fail.Exception, match=r"some\.md, line 5: \$ cat b\.csv\nExpected:\nid\nGot:\nid,name"):
        run_blocks([Block("$ cp a/people.csv b.csv\n$ cat b.csv\nid\n", 4, "console")], Path("some.md"), {})
    with pytest.raises(AssertionError, match="pages run no make"):
        run_blocks([Block("$ make\n", 1, "console")], Path("some.md"), {})


def test_broken_links_and_anchors_are_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# The `one` thing, or [two](x.md)\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "## Here\n[a](there.md) [b](#here) [c](there.md#the-one-thing-or-two) [d](https://example.org/x)\n"
        "`[e](gone.md)`\n```console\n$ [e](gone.md)\n```\n"
        '![f](gone.png "title") [g](#gone) [h](there.md#gone) [i](..)\n\n[j]: lost.md\n',
        encoding="utf-8",
    )
    assert broken_links(page, tmp_path) == ["gone.png", "#gone", "there.md#gone", "..", "lost.md"]

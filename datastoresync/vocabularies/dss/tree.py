"""Trees, whose branches are the classes of a module."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from datastoresync.branch import Branch as NativeBranch
from datastoresync.errors import DeclarationError, ImporterError
from datastoresync.importing.importer import ImportReport
from datastoresync.importing.object_set import ObjectSet
from datastoresync.syncers.files.json import JSONSyncer
from datastoresync.tree import Tree
from datastoresync.vocabularies.dss.branch import Branch
from datastoresync.vocabularies.dss.names import found_by_name
from datastoresync.vocabularies.dss.templates import Actions, template_for


class DataStoreTree(Tree):
    """One system. Subclass it, and say where its branches are.

    ``_branches = "school.source.SourceBranch"`` makes each subclass of that class in that module a branch, in their
    order there; a list names several classes. ``_template`` is a template, its class or its name.

    Args:
        do_import: Whether everything is imported at once.
        read_from_disk: What ``write_to_disk`` wrote, to be read in the place of an import.
        write_to_disk: Where each import is written to: a file called ``….json``, or a folder for one.

    Raises:
        DeclarationError: if ``_branches`` names nothing, or two branches have one name.
    """

    _branches: Any = None
    _template: Any = None

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Create a tree with the branches that its class names."""
        tree = super().__new__(cls)
        for declared in branch_classes(cls.__name__, cls._branches):
            branch = Branch(declared)
            tree.grow(branch.name, branch)
        return tree

    def __init__(
        self,
        do_import: bool = False,  # noqa: FBT001, FBT002 - the order of the first datastoresync
        read_from_disk: str | Path | None = None,
        write_to_disk: str | Path | None = None,
    ) -> None:
        super().__init__()
        if do_import and read_from_disk is not None:
            message = "do_import=True would replace what is read from disk: give one of them"
            raise DeclarationError(message)
        self._written_to = write_to_disk
        if read_from_disk is not None:
            self.read_from_disk(read_from_disk)
        if do_import:
            self.load()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Branch: ...

    @property
    def template(self) -> Any:
        """The template, which carries out what is to be changed here."""
        return None if self._template is None else template_for(self._template)

    @template.setter
    def template(self, template: Any) -> None:
        self._template = template

    def set_template(self, template: Any) -> None:
        """Set the template: a template, its class, or ``"module.Class"``."""
        self._template = template_for(template)

    def load(self) -> Self:
        """Import every branch, in the order in which they stand in their module; the same as ``+tree``."""
        super().load()
        if self._written_to is not None:
            self.write_to_disk(self._written_to)
        return self

    def write_to_disk(self, path: str | Path) -> None:
        """Write all branches, each with its objects, as JSON: to a file that is called so, or into a folder."""
        data = []
        for name, branch in self.items():
            fields = branch.schema.fields
            rows = [{own: getattr(item, own) for own in fields or vars(item)} for item in branch.values()]
            data.append({"branch": name, "objects": rows})
        JSONSyncer(path).dump(Path(path).stem, data=data)

    def read_from_disk(self, path: str | Path) -> None:
        """Replace what every branch holds by what `write_to_disk` wrote.

        Raises:
            ImporterError: if there is nothing, a branch is not there, or a record does not have what an object needs.
            MalformedFileError: if it is no JSON.
        """
        if not Path(path).exists():
            message = "there is nothing to read: write it with write_to_disk"
            raise ImporterError(message, where=str(path))
        written = {record.get("branch"): record.get("objects") for record in JSONSyncer(path).load(Path(path).stem)}
        if written.keys() != set(self):
            message = f"it has the branches {', '.join(map(str, written))}, and {self.name} {', '.join(self)}"
            raise ImporterError(message, where=str(path))
        for name, contents in {name: _restored(self[name], written[name], str(path)) for name in self}.items():
            self[name].contents = contents

    def __sub__(self, other: Any) -> Any:
        found = super().__sub__(other)
        return found if found is NotImplemented else Actions(found)

    def __neg__(self) -> Self:
        for branch in self.values():
            branch.contents = ObjectSet(branch.description())
        return self


def _restored(branch: NativeBranch[Any], rows: Any, path: str) -> ObjectSet:
    """Return the objects of a branch that were written to the disk, as they were then: no ``__init__`` is called."""
    fields, objects = branch.schema.fields, {}
    for number, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
        names = row.keys() if isinstance(row, dict) else set()
        if not names >= {*branch.identifiers} or (fields is not None and names != fields.keys()):
            message = f"record {number} of {branch.name} is no {branch.object_class.__name__}"
            raise ImporterError(message, where=path)
        item = branch.schema.blank(row)
        objects[item.__key__] = item
    contents = ObjectSet(branch.description(), objects)
    contents.report = ImportReport(branch.full_name, len(objects), len(objects))
    return contents


def branch_classes(tree: str, given: Any) -> Iterator[type]:
    """Yield the classes that are the branches of a tree.

    Args:
        tree: The name of the tree's class.
        given: ``"module.Class"``, a class, or several.
    """
    for one in [given] if isinstance(given, (str, type)) else given or ():
        module, base = found_by_name(one) if isinstance(one, str) else (sys.modules[one.__module__], one)
        if not isinstance(base, type):
            message = f"{tree}._branches names {one!r}, which is no class"
            raise DeclarationError(message)
        classes = [value for value in vars(module).values() if isinstance(value, type)]
        found = [cls for cls in dict.fromkeys(classes) if issubclass(cls, base) and cls is not base]
        if not found:
            message = (
                f"{tree}._branches: {module.__name__} has no subclass of {base.__name__}, so that there is no branch"
            )
            raise DeclarationError(message)
        yield from found

"""The tree: branches that all have the same subbranches.

>>> synctree = SyncTree(["source", "destination"], ["students", "staff"])
>>> synctree.source.students
<Subbranch students of branch source>
>>> _ = synctree.new("source", "students", "111")
>>> _ = synctree.new("source", "students", "999")
>>> _ = synctree.new("destination", "students", "111")
>>> list(synctree.source > synctree.destination)
[Action(idnumber='999', message='new_students')]

What was a branch there is a `Tree` here, a subbranch is a `Branch`, and the whole a `Datastore`: all that these can do
is there too, under its own names, but where synctree gave a name a meaning of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, time
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self
from uuid import UUID

from datastoresync.atomic_write import AtomicWrite
from datastoresync.datastore import Datastore
from datastoresync.errors import DatastoreSyncError
from datastoresync.spelling import nearest
from datastoresync.syncers.files.locks import locked
from datastoresync.vocabularies.synctree.actions import Actions
from datastoresync.vocabularies.synctree.base import Base
from datastoresync.vocabularies.synctree.branch import SyncBranch
from datastoresync.vocabularies.synctree.subbranch import Subbranch
from datastoresync.vocabularies.synctree.utils import Command, TreeError, classes_of, import_class


class SyncTree(Datastore):
    """A mirrored tree: every branch has the same subbranches.

    Args:
        branches: The names of the systems, the source first.
        subbranches: The names of the kinds of objects in each of them; behind a colon, what each is told:
            ``"students:off"``, ``"students:dict(source=['1'], dest=['2'])"``.
        model_klass_list: The classes of the objects: a list a branch, with a class, its import string or None for each
            subbranch; or a pattern of import strings, with ``{branch}``, ``{subbranch}``, ``{branch_title}`` and
            ``{subbranch_title}``.
        importer_klass_list: The importers, likewise.
        branch_class: A subclass of `SyncBranch`, or its import string.
        jsonify_root_data: Whether values for which JSON has no form are written to it as text, rather than refused.
        raise_error_on_duplicates: Whether a second object of one idnumber is an error; otherwise the first one stays.

    Raises:
        DeclarationError: if a name is no identifier, is there twice, or means something else already; a ValueError,
            too, if the lists do not fit, or a command is none.
    """

    def __init__(
        self,
        branches: Iterable[str],
        subbranches: Iterable[str],
        model_klass_list: Any = None,
        importer_klass_list: Any = None,
        branch_class: Any = None,
        jsonify_root_data: bool = False,  # noqa: FBT001, FBT002 - synctree's order
        raise_error_on_duplicates: bool = True,  # noqa: FBT001, FBT002 - as above
    ) -> None:
        if isinstance(branches, str) or isinstance(subbranches, str):
            message = "a tree grows from two lists: SyncTree(['source', 'destination'], ['students', 'staff'])"
            raise TreeError(message)
        super().__init__()
        names, told = list(branches), list(subbranches)
        commands = [Command.of(text, names) for text in told]
        self._given_subbranches = told
        self._subbranches = [one.name for one in commands]
        self.jsonify_root_data = jsonify_root_data
        models = classes_of(model_klass_list, names, self._subbranches, what="model_klass_list")
        importers = classes_of(importer_klass_list, names, self._subbranches, what="importer_klass_list")
        branch_class = import_class(branch_class) if isinstance(branch_class, str) else branch_class or SyncBranch
        for cls, base in [(branch_class, SyncBranch), *((one, Base) for some in models for one in some if one)]:
            if not (isinstance(cls, type) and issubclass(cls, base)):
                message = f"{cls!r} is no subclass of {base.__module__}.{base.__name__}"
                raise TreeError(message)
        for name, classes in zip(names, models, strict=True):
            branch = branch_class(name)
            branch.raise_error_on_duplicates = raise_error_on_duplicates
            branch.synctree = self
            for command, model in zip(commands, classes, strict=True):
                _check_name(command.name, SyncBranch, "subbranch")
                subbranch: Any = branch.grow(command.name, Subbranch(Base if model is None else model))
                subbranch.off, subbranch.compared_idnumbers = command.off, command.idnumbers.get(name)
                subbranch.relations = {}
            _check_name(name, SyncTree, "branch")
            self._add(name, branch)
        for name, sources in zip(names, importers, strict=True):
            for own, importer in zip(self._subbranches, sources, strict=True):
                self[name][own].importer = importer

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> SyncBranch: ...

    @property
    def branches(self) -> list[str]:
        """The names of the branches."""
        return list(self)

    @property
    def subbranches(self) -> list[str]:
        """The names of the subbranches that every branch has."""
        return list(self._subbranches)

    @property
    def keypath(self) -> str:
        """Where it is: nowhere but in itself, so that it is empty; ``source.students`` is that of a subbranch."""
        return ""

    def new(self, branch: str, subbranch: str, idnumber: Any, **attributes: Any) -> Any:  # type: ignore[override]  # by name too
        """Make an object in a subbranch of a branch, and return it; see `Subbranch.make`."""
        made: Any = self[branch][subbranch]
        return made.make(idnumber, **attributes)

    def clear(self) -> None:
        """Forget all objects of all branches."""
        for branch in self.values():
            for subbranch in branch.values():
                subbranch.clear()  # type: ignore[attr-defined]  # all are subbranches

    def register_relations(self, source: str, target: str, /) -> None:
        """Say that an attribute has idnumbers of another subbranch.

        What it names is made before and deleted after what names it, and an idnumber that is not there is an
        ``err_integrity`` action.

        Args:
            source: The attribute, with its subbranch: ``"classes.members"``; the subbranch alone, if the attribute is
                called as the other subbranch is.
            target: The other subbranch.

        Raises:
            TreeError: if there is no such subbranch.
        """
        subbranch, _, attribute = source.partition(".")
        for name in (subbranch, target):
            if name not in self._subbranches:
                message = f"there is no subbranch {name!r}: {nearest(name, self._subbranches)}"
                raise TreeError(message)
        for branch in self.values():
            branch[subbranch].relations[attribute or target] = target  # type: ignore[attr-defined]  # a subbranch

    # What is in it.

    def show(self, subbranch: str | None = None, idnumber: Any = None) -> None:
        """Print the tree; or one object in each branch."""
        if subbranch is None:
            print(self.text())  # noqa: T201 - for whoever looks at it
            return
        for name, branch in self.items():
            print(f"{name}: {branch[str(subbranch)].get(idnumber)!r}")  # noqa: T201 - as above

    def __call__(self, idnumber: Any) -> None:
        """Print what every branch holds under an idnumber, and what differs from one branch to the next."""
        for branch in self.values():
            branch(idnumber)  # type: ignore[operator]  # a SyncBranch
        for source, destination in pairwise(self.values()):
            try:
                found: list[Any] = [action for action in Actions(source, destination) if action.idnumber == idnumber]
            except DatastoreSyncError as error:
                found = [" ".join(str(error).split())]
            for action in found:
                print(f"{source.name} > {destination.name}: {action}")  # noqa: T201 - as above

    # JSON.

    def to_json(self) -> str:
        """Return the tree as JSON: its branches, with the objects of each subbranch.

        Raises:
            TreeError: if a value has no form in JSON, unless ``jsonify_root_data`` says that it is to be text.
        """
        objects = {
            name: {own: [_jsonified(item) for item in subbranch] for own, subbranch in branch.items()}
            for name, branch in self.items()
        }
        content = {"branches": self.branches, "subbranches": self._given_subbranches, "objects": objects}
        try:
            return json.dumps(content, ensure_ascii=False, default=self._default)
        except (TypeError, ValueError) as error:  # a key of a mapping, or a circle
            if isinstance(error, TreeError):
                raise
            message = f"an attribute cannot be written as JSON: {error}"
            raise TreeError(message) from error

    def _default(self, value: Any) -> Any:
        if isinstance(value, (set, frozenset)):
            return {_SET: sorted(value, key=repr)}
        if self.jsonify_root_data or isinstance(value, (date, time, Decimal, UUID)):
            return str(value)
        kind = type(value).__name__
        message = f"{value!r} is a {kind}, which JSON has no form for: give SyncTree jsonify_root_data=True"
        raise TreeError(message)

    def store(self, path: str | Path) -> None:
        """Write the tree to a file, which is replaced as a whole, for `from_file`."""
        content, target = self.to_json().encode(), Path(path)
        with locked([target]):
            written = AtomicWrite(target)
            try:
                written.write(partial(_write, content))
                written.commit()
            finally:
                written.discard()

    @classmethod
    def from_file(cls, path: str | Path, **options: Any) -> Self:
        """Return the tree that `store` wrote, without its importers.

        Args:
            path: The file.
            options: Those of `SyncTree`, such as ``model_klass_list``: a file names no code to run.

        Raises:
            TreeError: if `store` has not written it.
            OSError: if it cannot be read.
        """
        text = Path(path).read_bytes()
        try:
            content = json.loads(text, object_hook=_read)
            names, subbranches = content["branches"], content["subbranches"]
            rows = [
                (name, own, row)
                for name, contents in content["objects"].items()
                for own, some in contents.items()
                for row in some
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"{path} is no file that a tree was stored in ({type(error).__name__}: {error})"
            raise TreeError(message) from error
        tree = cls(names, subbranches, **options)
        for name, own, row in rows:
            tree.new(name, own, **row)
        return tree

    def __repr__(self) -> str:
        return f"<SyncTree: {', '.join(self) or 'no branches'}>"


_SET = "__set__"
"""The name under which JSON has the members of a set."""


def _check_name(name: str, owner: type, kind: str) -> None:
    if hasattr(owner, name) or name == "synctree":
        message = f"{name!r} cannot be the name of a {kind}: it is taken, as a {kind} has something of that name itself"
        raise TreeError(message)


def _write(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def _jsonified(item: Any) -> Any:
    content = item._to_json  # noqa: SLF001 - what models write for others
    return content() if callable(content) else content


def _read(content: dict[str, Any]) -> Any:
    return set(content[_SET]) if content.keys() == {_SET} else content

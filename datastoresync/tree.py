"""Level 2: a tree, which is one system: its branches, how to import them, and how to apply changes."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack

from datastoresync import syncers
from datastoresync.branch import Branch
from datastoresync.diffing.diff import Diff, DiffKeywords, Progress, template_of
from datastoresync.diffing.filters import Filter
from datastoresync.diffing.flags import Flags
from datastoresync.diffing.hierarchy import topological_order
from datastoresync.diffing.schema_check import check_branches, check_related
from datastoresync.diffing.side import Side
from datastoresync.errors import ComparisonError, DeclarationError
from datastoresync.masking import ForgettingLocals
from datastoresync.object import Object
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import Printable
from datastoresync.printing.text import counted
from datastoresync.runtime import collector_paused
from datastoresync.spelling import member_problems, nearest, settings_of
from datastoresync.syncers.protocol import Syncer, fault_of

if TYPE_CHECKING:  # not all who look for differences apply them, and so `applying` is imported where it is used
    from inspect import Signature

    from datastoresync.applying.limits import Limits
    from datastoresync.applying.preview import Preview
    from datastoresync.applying.report import Report
    from datastoresync.applying.side_effects import SideEffect
    from datastoresync.applying.template import ApplyKeywords, SyncKeywords

_RESERVED = frozenset({"name", "syncer", "_branches"})
"""Attributes that every tree has besides those of its class."""
_STORE = ("load", "read", "dump", "apply_changes")
"""Methods of which a store has one at least."""


def _store_of(given: Any, tree: str) -> Any:
    """Return the store that is given, or opened, if its URL is.

    Raises:
        DeclarationError: if it is neither.
        SyncerError: if it cannot be opened.
    """
    if isinstance(given, (str, os.PathLike)):
        return syncers.open_syncer(given)
    if isinstance(given, type) or (given is not None and not any(hasattr(given, name) for name in _STORE)):
        shown = given.__name__ if isinstance(given, type) else repr(given)
        message = f"{tree}: syncer is a store, or the URL of one, such as 'sqlite:///school.db' (got {shown})"
        raise DeclarationError(message)
    return given


class _Signature:
    """What a tree is called with, for ``help``: the parameters of its ``__init__``, not those of ``__new__``."""

    def __get__(self, tree: Tree | None, owner: type[Tree]) -> Signature:
        from inspect import signature  # asked for by who reads it

        found = signature(owner.__init__)
        return found.replace(parameters=list(found.parameters.values())[1:], return_annotation=found.empty)


class Tree(Printable, Mapping[str, Branch[Any]]):
    """One system: named branches, and how to apply changes.

    Declare the branches in a subclass. Those whose names begin with an underscore are imported, so that others can be
    derived from them, but not compared. ``limits`` are those of every run; see `Limits`. ``top_level`` restricts
    comparisons to the branches that it names and the objects below theirs; see ``_children`` of `Object`.

    Args:
        name: The name in messages; a datastore sets its own. None for the name of the class.
        syncer: The store, or its URL: source of every branch without an importer, and target of changes without a
            template.
        template: A template, its class, or its import string; None for that of the class.
        branches: Additional branches by name.

    >>> from datastoresync import Object
    >>> class Source(Tree):
    ...     users = Branch(Object, importer=lambda: [{"idnumber": "1", "name": "Ann"}])
    >>> +Source()
    <Tree Source: users 1>
    """

    name: str = ""
    syncer: Any = None
    template: Any = None
    engine: Any = "auto"
    limits: Limits | None = None
    top_level: Sequence[str] | None = None
    _declared: ClassVar[Mapping[str, Branch[Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Collect the branches that the class declares."""
        super().__init_subclass__(**kwargs)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Branch)}
        for problem in member_problems(cls, Tree, {}, settings_of(Tree), ignored=(Branch,)):
            raise DeclarationError(problem)
        for name in own:
            if hasattr(Tree, name) or name in _RESERVED:
                message = f"{cls.__name__}.{name}: a tree has something of that name itself; give the branch another"
                raise DeclarationError(message)
        inherited = {
            name: branch
            for base in reversed(cls.__mro__[1:])
            for name, branch in getattr(base, "_declared", {}).items()
        }
        cls._declared = {**inherited, **own}
        if cls.limits is not None:
            from datastoresync.applying.limits import check_limits

            check_limits(cls.limits, cls.__name__)

    __signature__: ClassVar[Any] = _Signature()

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Create a tree with its branches, whether or not the ``__init__`` of a subclass calls this one."""
        tree = super().__new__(cls)
        tree.name = cls.name or cls.__name__
        if not hasattr(cls.syncer, "__get__"):  # a property is asked when the store is needed
            tree.syncer = _store_of(cls.syncer, tree.name)
        tree._branches = {}
        for name, declared in cls._declared.items():
            tree.grow(name, declared)
        return tree

    def __init__(
        self,
        name: str | None = None,
        *,
        syncer: Any = None,
        template: Any = None,
        branches: Mapping[str, Branch[Any]] | None = None,
    ) -> None:
        self.name = name or self.name
        if syncer is not None:
            self.syncer = _store_of(syncer, self.name)
        if template is not None:
            self.template = template
        for branch_name, branch in (branches or {}).items():
            self.grow(branch_name, branch)

    _branches: dict[str, Branch[Any]]

    def grow(self, name: str, branch: Branch[Any] | None = None) -> Branch[Any]:
        """Add a branch like the given one, or one of open objects.

        Raises:
            DeclarationError: if the name is no identifier, or is taken.
        """
        if not name.isidentifier() or hasattr(Tree, name) or name in _RESERVED or name in self._branches:
            message = f"{name!r} cannot be the name of a branch of {self.name}: it is taken, or not an identifier"
            raise DeclarationError(message)
        bound = (Branch() if branch is None else branch).bound(name, self)
        self._branches[name] = bound
        self.__dict__[name] = bound
        return bound

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: all but the store, whose connection and password stay here."""
        return {name: value for name, value in vars(self).items() if name != "syncer"}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = object.__new__(type(self))
        memo[id(self)] = made
        vars(made).update(copy.deepcopy(self.__getstate__(), memo), syncer=self.syncer)
        return made

    # A mapping from names to branches; those that are compared come first in `branches`.

    def __getitem__(self, name: str) -> Branch[Any]:
        try:
            return self._branches[name]
        except KeyError:
            message = f"no branch {name!r} in {self.name}: there are {', '.join(self._branches) or 'none'}"
            raise KeyError(message) from None

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __iter__(self) -> Iterator[str]:
        return iter(self._branches)

    def __len__(self) -> int:
        return len(self._branches)

    def __bool__(self) -> bool:
        return True

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def branches(self) -> list[str]:
        """The names of the branches that are compared."""
        return [name for name in self._branches if not name.startswith("_")]

    def find(self, idnumber: Any) -> dict[str, Any]:
        """Return the objects with an idnumber, by branch."""
        return {name: branch[idnumber] for name, branch in self._branches.items() if idnumber in branch}

    # The operators.

    def load(self) -> Self:
        """Import every branch, each after those it is derived from; the same as ``+tree``.

        If one import fails, all branches stay as they were.

        Raises:
            ImporterError: if something that comes in is refused.
            CircularOrderError: if branches are derived from each other.
        """
        after = {name: branch.importer.after for name, branch in self._branches.items() if branch.importer is not None}
        for name, others in after.items():
            if isinstance(others, str):
                message = f"{self.name}.{name}: after must be a tuple: ({others!r},)"
                raise DeclarationError(message)
            for other in others:
                if other not in self._branches:
                    known = nearest(other, self)
                    message = f"{self.name}.{name} is after {other!r}, which is no branch of {self.name}: {known}"
                    raise DeclarationError(message)
        order = topological_order(self._branches, after, what=f"branches of {self.name}")
        before = {name: branch.contents for name, branch in self._branches.items()}
        try:
            with collector_paused():
                for name in order:
                    self._branches[name].load()
        except BaseException:
            for name, contents in before.items():
                self._branches[name].contents = contents
            raise
        return self

    def diff(
        self,
        other: Tree,
        *,
        only: Filter = None,
        exclude: Filter = None,
        flags: Flags | None = None,
        progress: Progress | None = None,
    ) -> Diff:
        """Return what ``other`` must do to become this tree; the same as ``self - other``. Asks no store anything.

        Args:
            other: The destination.
            only: The actions that are meant; see `Diff.only`.
            exclude: The actions that are not.
            flags: What is left alone, where neither a class nor an object says otherwise.
            progress: Called with ``"diff"``, how many objects were compared and how many there are.

        Raises:
            SchemaMismatchError: if the trees do not have the same branches, or a branch cannot be compared.
            HierarchyError: if an object has several parents, or is below itself.
        """
        check_branches((self.name, self.branches), (other.name, other.branches))
        for tree in (self, other):
            classes = {name: branch.object_class for name, branch in tree.items()}
            for name in classes:
                check_related(tree.name, name, classes)
        with collector_paused(), self._forgetting_locals(other):
            # Not the order of one side, so that the inverse of a diff has the order of the opposite diff.
            positions = [{name: position for position, name in enumerate(tree.branches)} for tree in (self, other)]
            names = sorted(self.branches, key=lambda name: (positions[0][name] + positions[1][name], name))
            sides = [(self[name].side(), other[name].side()) for name in names]
            top_level = (self.top_level, other.top_level)
            return Diff.between(sides, top_level=top_level, flags=flags, progress=progress).filtered(only, exclude)

    def diff_to(self, other: Tree, **keywords: Unpack[DiffKeywords]) -> Diff:
        """Return what ``other`` must do to become this tree, as `diff` does."""
        return self.diff(other, **keywords)

    def diff_from(self, other: Tree, **keywords: Unpack[DiffKeywords]) -> Diff:
        """Return what this tree must do to become ``other``; the same as ``other - self``."""
        return other.diff(self, **keywords)

    def sides_around(self, source: Branch[Any], dest: Branch[Any]) -> list[tuple[Side, Side]]:
        """Return the sides of other branches to compare a branch of this tree with: all, if any objects have children.

        Otherwise those that refer to it, since what stays of them keeps what it refers to, and those that it refers
        to, where objects may be left alone with their memberships.
        """
        trees: tuple[Tree, Tree] = (self, dest.tree)
        nested = any(branch.object_class._children for tree in trees for branch in tree.values())
        referred = {*source.object_class._references.values(), *dest.object_class._references.values()}
        found = []
        for name in (name for name in self.branches if name in dest.tree):
            refers = dest.name in dest.tree[name].object_class._references.values()
            if nested or refers or name in referred:
                sides = (self[name].side(), dest.tree[name].side())
                if nested or refers or sides[1].filtered or any(side.flagged for side in sides):
                    found.append(sides)
        return found

    def preview(self, other: Tree, *, limits: Limits | None = None, **keywords: Unpack[DiffKeywords]) -> Preview:
        """Print what ``other`` must do, with the keywords of `diff`; the same as ``self > other``."""
        from datastoresync.applying.preview import Preview

        diff = self.diff(other, **keywords)
        side_effects = other.side_effects(diff)
        return Preview.of(diff, limits=limits, side_effects=side_effects, template=other.template).show()

    def sync_to(
        self,
        other: Tree,
        *,
        flags: Flags | None = None,
        progress: Progress | None = None,
        **keywords: Unpack[ApplyKeywords],
    ) -> Report:
        """Make ``other`` like this tree, through its template or its syncer; the same as ``self >> other``.

        Args:
            other: The destination. What succeeds is folded into it.
            flags: What is left alone, where neither a class nor an object says otherwise.
            progress: Called with ``"diff"`` and then ``"sync"``, how many are done and how many there are.
            keywords: ``mock``, ``rehearse``, ``limits``, ``only``, ``exclude``, ``on_error`` and ``reporters``; see
                `ApplyOptions`.

        Raises:
            SchemaMismatchError: if the trees cannot be compared.
            SafeguardError: if it would do more than the limits allow; nothing was changed.
            DeclarationError: if the destination has no template, no objects with methods, and no syncer.
        """
        if progress is not None:
            from datastoresync.applying.reporter import CallbackReporter, all_reporters

            keywords["reporters"] = all_reporters(keywords.get("reporters", ()), [CallbackReporter(progress)])
        return other.apply(self.diff(other, flags=flags, progress=progress), **keywords)

    def rehearse(self, other: Tree, **keywords: Unpack[SyncKeywords]) -> Report:
        """Carry out in the store of ``other`` what `sync_to` would, and undo it; return the report of a real run.

        Nothing is changed, in the store or in memory. The keywords are those of `sync_to`.

        Raises:
            DeclarationError: if the destination has a template or a store that cannot undo what it did.
        """
        keywords["rehearse"] = True
        return self.sync_to(other, **keywords)

    def sync_from(self, other: Tree, **keywords: Unpack[SyncKeywords]) -> Report:
        """Make this tree like ``other``, with the keywords of `sync_to`; the same as ``other >> self``."""
        return other.sync_to(self, **keywords)

    def apply(self, diff: Diff, **keywords: Unpack[ApplyKeywords]) -> Report:
        """Carry out a diff whose destination this tree is; the keywords are those of `Template.apply`."""
        from datastoresync.applying.store_template import StoreTemplate
        from datastoresync.applying.template import Template, refuse_rehearsal

        for one in diff.branch_diffs:
            if one.name not in self or one.right.fold != self[one.name].fold:
                message = f"the diff changes {one.right.name}, which is not in this tree: apply it there"
                raise ComparisonError(message)
        applier = self.applier()
        if keywords.get("rehearse") and not isinstance(applier, (StoreTemplate, Template)):
            refuse_rehearsal(applier)  # it may ignore what it does not know, and change everything
        with self._forgetting_locals():
            if isinstance(applier, StoreTemplate):  # no code of the user's runs meanwhile, so nothing else piles up
                with collector_paused():
                    return applier.apply(diff, **keywords)
            report: Report = applier.apply(diff, **keywords)
            return report

    def _forgetting_locals(self, *trees: Tree) -> ForgettingLocals:
        """Return what keeps sensitive values out of the frames of an error that is raised within."""
        return ForgettingLocals(tree[name].object_class for tree in (self, *trees) for name in tree.branches)

    def side_effects(self, diff: Diff) -> Sequence[SideEffect]:
        """Return what the store would do to other rows when a diff is applied; asks it, if anything is deleted."""
        if self.template is not None or not callable(getattr(self.syncer, "cascades", None)):
            return ()
        return getattr(self.applier(), "side_effects", lambda _: ())(diff)

    def _read_again(self, name: str) -> tuple[Any, Any]:
        """Import a branch again; return what it held, as one side of a comparison, and what it holds now."""
        branch = self[name]
        before = branch.side()
        return before, branch.load().side()

    def applier(self) -> Any:
        """Return the template of this tree, or one that calls its objects' methods or its syncer."""
        if self.template is not None:
            return template_of(self.template)
        from datastoresync.applying.methods import check_object_methods
        from datastoresync.applying.object_template import ObjectMethods, ObjectTemplate
        from datastoresync.applying.store_changes import StoredBranch
        from datastoresync.applying.store_template import StoreTemplate
        from datastoresync.syncers.plugin.load_dump_adapter import LoadDumpAdapter

        classes = {name: ObjectMethods(self[name].object_class, self[name].identifiers) for name in self.branches}
        if any(callable(one.method(verb)) for one in classes.values() for verb in ("create", "update", "delete")):
            check_object_methods({name: one.cls for name, one in classes.items()}, Object)
            return ObjectTemplate(self, classes)
        takes_changes = callable(getattr(self.syncer, "apply_changes", None))
        if takes_changes or isinstance(self.syncer, Syncer):
            if not takes_changes and (fault := fault_of(self.syncer)):
                message = f"{self.name} cannot be written to: a {type(self.syncer).__name__} {fault}"
                raise DeclarationError(message)
            writer: Any = self.syncer if takes_changes else LoadDumpAdapter(self.syncer)
            stored = {}
            for name in self.branches:
                branch = self[name]
                whole = branch.holds_all_of(self.syncer)
                stored[name] = StoredBranch(branch.stored_table, branch.identifiers, branch.conversion, whole)
            return StoreTemplate(writer, stored, read_again=self._read_again)
        message = (
            f"{self.name} has no template, no syncer, and no objects with create, update or delete: declare its store, "
            f"`syncer = 'sqlite:///…'`, or `template = …` in {type(self).__name__}, or write source - dest | Template"
        )
        raise DeclarationError(message)

    def __pos__(self) -> Self:
        return self.load()

    def __sub__(self, other: Tree) -> Diff:
        return self.diff(other) if isinstance(other, Tree) else self._slip(other, "-")

    def __gt__(self, other: Tree) -> Preview:
        return self.preview(other) if isinstance(other, Tree) else self._slip(other, ">")

    def __rshift__(self, other: Tree) -> Report:
        return self.sync_to(other) if isinstance(other, Tree) else self._slip(other, ">>")

    def __or__(self, template: object) -> Any:
        message = "`>` binds less tightly than `|`: write (source > dest) | Template, or source - dest | Template"
        raise TypeError(message)

    def __neg__(self) -> Any:
        message = "a tree has no minus: the diff that undoes another is -(source - dest)"
        raise TypeError(message)

    def _slip(self, other: object, symbol: str) -> Any:
        """Refuse a common slip with the right expression; return NotImplemented for anything else."""
        if isinstance(other, type) and issubclass(other, Tree):
            message = f"{other.__name__} is a class: write {self.name} {symbol} {other.__name__}()"
            raise TypeError(message)
        if isinstance(other, Branch):
            own_branch = f"{self.name}.{other.name}"
            message = f"a tree and a branch cannot be compared: write {own_branch} {symbol} {other.full_name}"
            raise TypeError(message)
        if symbol != "-" and callable(getattr(other, "apply", None)):
            message = f"a template goes behind `|`: write {self.name} - dest | Template"
            raise TypeError(message)
        return NotImplemented

    def __repr__(self) -> str:
        branches = ", ".join(f"{name} {len(branch):,}" for name, branch in self._branches.items())
        return f"<Tree {self.name}: {branches or 'no branches'}>"

    def __outline__(self) -> Outline:
        """Describe the tree: its branches."""

        def lines() -> Iterator[Outline]:
            for branch in self._branches.values():
                yield branch.__outline__()

        note = counted(sum(map(len, self._branches.values())), "object")
        return Outline(self.name, "tree", note, lines, len(self), expanded=True)

"""Level 3: a branch, which is a sorted mapping from idnumber to object."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack, overload

import attrs

from datastoresync.conversion.key_forms import Form, Forms, StoredForm, chained
from datastoresync.conversion.schema import Conversion, Schema
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff, DiffKeywords, Progress
from datastoresync.diffing.equality import equal
from datastoresync.diffing.filters import Filter
from datastoresync.diffing.flags import Flags
from datastoresync.diffing.schema_check import check_related
from datastoresync.diffing.side import Side
from datastoresync.engines.relation import BranchDescription
from datastoresync.errors import ComparisonError, DeclarationError, ImporterError, SyncerError
from datastoresync.exporting.export import Export
from datastoresync.exporting.exportable import Exportable
from datastoresync.importing.importer import Importer, ImportReport, StoreImporter, importer_of
from datastoresync.importing.index import Indexes
from datastoresync.importing.load import load_objects, load_rows
from datastoresync.importing.object_set import ObjectMapping, ObjectSet, settle_all
from datastoresync.masking import ForgettingLocals, hidden
from datastoresync.object import Object, check_columns, check_part, columns_of, forms_of, schema_of, side_of, synced
from datastoresync.printing.outline import Grid, Outline
from datastoresync.printing.show import Printable
from datastoresync.printing.text import counted
from datastoresync.runtime import collector_paused
from datastoresync.settings import check_table
from datastoresync.syncers.table_layout import Table

if TYPE_CHECKING:
    from datastoresync.applying.limits import Limits
    from datastoresync.applying.preview import Preview
    from datastoresync.applying.report import Report
    from datastoresync.applying.template import ApplyKeywords, SyncKeywords

T = TypeVar("T", bound=Object)


class Branch(Printable, Exportable, ObjectMapping[T], Generic[T]):
    """The objects of one class in a tree, sorted by idnumber.

    In the class of a tree it is a declaration; each tree has branches of its own.

    Args:
        object_class: The class of the objects.
        importer: Where the rows come from: an `Importer` or its class, a function, a syncer, rows, or a dataframe.
        table: Where the tree's syncer keeps the objects, if not under the branch's name.
        engine: ``"auto"`` (large ones stay tables), ``"memory"``, ``"duckdb"``, or a `DuckDB` with settings; None for
            that of the tree.
        limits: How much a run may change here; what they do not name is as in the tree's. See `Limits`.
        part: The attribute, or a function of an object, that says which part it belongs to (a school, a site): a part
            that the source has nothing of is an empty source. Files and branches that an importer reads are parts, too.

    >>> users = Branch(Object, importer=[{"idnumber": "2", "name": "Bob"}, {"idnumber": "1", "name": "Ann"}])
    >>> list(+users)
    ['1', '2']
    >>> users["1"]
    Object(idnumber='1', name='Ann')
    """

    @overload
    def __init__(
        self: Branch[Object],
        *,
        importer: Any = None,
        table: str | Table | None = None,
        engine: Any = None,
        limits: Limits | None = None,
        part: str | Callable[[Any], Any] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        object_class: type[T],
        *,
        importer: Any = None,
        table: str | Table | None = None,
        engine: Any = None,
        limits: Limits | None = None,
        part: str | Callable[[T], Any] | None = None,
    ) -> None: ...
    def __init__(
        self,
        object_class: type[T] = Object,  # type: ignore[assignment]  # Object is the widest T
        *,
        importer: Any = None,
        table: str | Table | None = None,
        engine: Any = None,
        limits: Limits | None = None,
        part: str | Callable[[Any], Any] | None = None,
    ) -> None:
        if not (isinstance(object_class, type) and hasattr(object_class, "__branch__")):
            message = f"a branch holds objects: give it a subclass of datastoresync.Object (got {object_class!r})"
            raise DeclarationError(message)
        check_table(object_class, table)
        self.object_class: type[T] = object_class
        self.name = ""
        self.engine = engine
        self.limits = limits
        if limits is not None:
            from datastoresync.applying.limits import check_limits  # as in `preview`

            check_limits(limits, f"branch of {object_class.__name__}")
        self.part = part
        if part is not None:
            check_part(object_class, part)
        self._table = table
        self.importer: Importer | None = None
        self.tree: Any = None
        self._contents = ObjectSet(self.description())
        importer = hidden(importer) if isinstance(importer, str) else importer  # a URL, perhaps, in the wrong place
        self.importer = None if importer is None else importer_of(importer, store=StoreImporter)

    def bound(self, name: str, tree: Any) -> Branch[T]:
        """Return an empty branch like this one, for a tree of its own."""
        bound = copy.copy(self)
        bound.name, bound.tree = name, tree
        vars(bound)["_contents"] = ObjectSet(bound.description())  # the declared branch keeps its own
        return bound

    def __reduce_ex__(self, _: Any) -> tuple[Any, ...]:
        """Return what is pickled; an importer that a tree's class declares is found there again."""
        tree_class, state = type(self.tree), dict(vars(self))
        declared = getattr(tree_class, self.name, None)
        if not isinstance(declared, Branch) or declared.importer is not self.importer:
            return _blank, (type(self),), state
        state.pop("importer", None)
        return _blank, (type(self), tree_class, self.name), state

    def __copy__(self) -> Self:
        made = object.__new__(type(self))
        vars(made).update(vars(self))  # its objects stay those of this one
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = object.__new__(type(self))
        memo[id(self)], memo[id(self.importer)] = made, self.importer
        made.__setstate__(copy.deepcopy(vars(self), memo))
        return made

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        objects = getattr(self._contents, "objects", {})  # which may be copied themselves just now
        self._attach(getattr(objects, "changed", objects).values())

    def description(self, engine: Any = "memory") -> BranchDescription:
        """Return what an import and the engines know of the branch.

        Args:
            engine: Which engine is wanted.
        """
        return BranchDescription(
            self.full_name,
            self.object_class,
            schema_of,
            self._attach,
            self.table,
            engine,
            self._forms,
            written=getattr(self.tree, "syncer", None) is not None,
        )

    def _forms(self) -> Forms:
        """Return the forms of the keys, and of the attributes that name objects of classes with such a form."""
        return forms_of(
            self.object_class, self.name, {name: one.object_class for name, one in (self.tree or {}).items()}
        )

    def _attach(self, objects: Iterable[Any]) -> None:
        self.schema.attach(objects, self)

    def _wanted_engine(self) -> Any:
        """Return the engine that is wanted, the branch's own or that of its tree; hierarchies are walked in memory."""
        related = self.tree or {self.name: self}
        children = {name: branch.object_class._children for name, branch in related.items()}
        if children.get(self.name) or any(self.name in below for below in children.values()):
            return "memory"
        return self.engine if self.engine is not None else getattr(self.tree, "engine", "auto")

    @property
    def contents(self) -> ObjectSet:
        """The objects; imported again after more actions than can be folded one by one."""
        if self._contents.stale:
            self._contents.stale = False
            self.load()
        self._contents.settle()
        return self._contents

    @contents.setter
    def contents(self, contents: ObjectSet) -> None:
        self._contents.indexes = None
        self._contents, contents.indexes = contents, Indexes()

    def note_change(self, idnumber: Any) -> None:
        """Note that an object may have another value by now in an attribute of ``_indexes``."""
        self._contents.note((idnumber,))

    @property
    def table(self) -> Table:
        """The table in which a syncer keeps the objects."""
        if self._table is None:
            return Table(self.name)
        return self._table if isinstance(self._table, Table) else Table(self._table)

    @property
    def stored_table(self) -> Table:
        """The table, with what is known of those of the tree's other branches: where foreign keys to them lead."""
        table = attrs.evolve(self.table, texts=self.schema.texts)
        if self.tree is None:
            return table
        keys: dict[str, tuple[str, ...]] = {}
        for branch in self.tree.values():
            other = branch.table
            key = tuple(map(other.column, branch.object_class._identifiers))
            # What two branches know under different idnumbers, has none of which a reference could be to one.
            keys[other.name] = key if keys.get(other.name, key) == key else ()
        keys[table.name] = tuple(map(table.column, self.identifiers))
        references = {
            name: self.tree[branch].table.name
            for name, branch in self.object_class._references.items()
            if branch in self.tree
        }
        return attrs.evolve(table, keys=keys, references=references)

    @property
    def imported(self) -> ImportReport | None:
        """The report of the last import; None before the first."""
        return self.contents.report

    @property
    def full_name(self) -> str:
        """The branch with its tree: ``source.users``."""
        return f"{self.tree.name}.{self.name}" if self.tree is not None else self.name or self.object_class.__name__

    # A mapping.

    def __getitem__(self, idnumber: Any) -> T:
        if isinstance(idnumber, slice):
            message = f"an idnumber goes in brackets; those from one up to another are {self.full_name}.range(…, …)"
            raise TypeError(message)
        try:
            contents = self.contents
            found: T = contents.objects[contents.key(idnumber)]
        except KeyError:
            message = f"no {idnumber!r} in {self.full_name}"
            raise KeyError(message) from None
        return found

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def find(self, /, **attributes: Any) -> list[T]:
        """Return imported objects with these values by idnumber: a scan; by an attribute in ``_indexes``, one scan."""
        contents, indexes = self.contents, {*self.object_class._indexes}
        indexed = next((name for name in attributes if name in indexes), None)
        found = contents.objects if indexed is None else contents.indexed(indexed, attributes[indexed])
        read: Callable[[Any, Any, str], Any] = contents.read
        if not attributes.keys() <= indexes:
            side, items = self.side(), contents.objects.values()
            read, names = side.read, [name for name in attributes if name not in side.attributes]
            unknown = [name for name in names if not any(hasattr(item, name) for item in items)]
            if unknown and items:
                known = ", ".join(side.attributes)
                raise ComparisonError(f"{self.full_name} has no attribute {', '.join(unknown)}: there are {known}")
        wanted = attributes.items()
        return [item for key, item in found.items() if all(equal(read(key, item, name), own) for name, own in wanted)]

    def new(self, idnumber: Any = None, /, **attributes: Any) -> T:
        """Add an object, converted and checked like an imported row, and return it.

        Raises:
            ImporterError: if a value is refused, or the idnumber is there already.
        """
        identifiers = self.identifiers
        if idnumber is None and "idnumber" not in {*identifiers, *(self.schema.fields or ())}:
            idnumber = attributes.pop("idnumber", None)
        if idnumber is not None:
            parts = (idnumber,) if len(identifiers) == 1 else idnumber
            attributes = {**dict(zip(identifiers, parts, strict=True)), **attributes}
        importer = importer_of([attributes], store=lambda _: Importer())
        loaded = load_rows(importer.bound(self.description(), tree=self.tree, branch=self))
        ((key, item),) = loaded.objects.items()
        if key in self.contents.objects:
            message = f"idnumber {key!r} is there already: change it, or remove it first"
            raise ImporterError(message, where=self.full_name)
        self.contents.put(key, item)
        added: T = item
        return added

    def remove(self, idnumber: Any) -> T:
        """Remove an object and return it.

        Raises:
            KeyError: if there is none under the idnumber.
        """
        found = self[idnumber]
        self.contents.drop(self.contents.key(idnumber))
        return found

    def spelling(self, idnumber: Any) -> Any:
        """Return an idnumber as the store spelled it at the import; another only if ``_key`` gives it one form.

        >>> class User(Object):
        ...     _key = str.casefold
        >>> users = +Branch(User, importer=[{"idnumber": "Ann@x.edu"}])
        >>> users.spelling("ANN@X.edu"), users["ANN@X.edu"]
        ('Ann@x.edu', User(idnumber='ann@x.edu'))
        """
        return self.contents.spelling(self.contents.key(idnumber))

    # The operators.

    def load(self) -> Self:
        """Replace the objects by those that the importer reads; the same as ``+branch``.

        A branch without an importer stays as it is, and so does one whose import fails.

        Raises:
            ImporterError: if something that comes in is refused.
        """
        importer = self._source()
        if self.tree is not None:
            check_related(self.tree.name, self.name, {name: one.object_class for name, one in self.tree.items()})
        if importer is not None:
            sources = [self.tree[name] for name in importer.after] if self.tree is not None else []
            description = attrs.evolve(self.description(self._wanted_engine()), table=self.stored_table)
            bound = importer.bound(description, tree=self.tree, branch=self)
            contents = load_objects(bound)
            cls = self.object_class
            if self.schema.open and any((cls._references, cls._attributes, cls._sensitive, cls._active, cls._indexes)):
                check_columns(cls, columns_of(contents.compared))
            contents.column_forms = self._column_forms(importer, contents)
            contents.rejected += sum(branch.contents.rejected for branch in sources)
            empty = [branch.name for branch in sources if not len(branch)]
            contents.empty_parts += tuple(empty if len(empty) < len(sources) else ())
            before, self.contents = self._contents, contents
            try:
                with ForgettingLocals([cls]):
                    bound.imported()
            except BaseException:
                self.contents = before
                raise
        return self

    def _column_forms(self, importer: Any, contents: ObjectSet) -> Mapping[str, Form]:
        """Return the forms that the columns give to values, of the store that is written to or else read from."""
        syncer = getattr(self.tree, "syncer", None) or getattr(importer, "syncer", None)
        canonical = getattr(syncer, "canonical", None)
        if not callable(canonical) or getattr(importer, "query", None) is not None:
            return {}
        known, table = self.stored_table, getattr(importer, "table", None) or self.table
        table = Table(table) if isinstance(table, str) else table
        table = attrs.evolve(table, texts=known.texts, keys=known.keys, references=known.references)
        columns = set(getattr(contents.compared, "columns", ()))
        if self.schema.open and isinstance(contents.compared, dict):
            columns.update(*map(vars, islice(contents.compared.values(), 1)))
        naming = [*self.identifiers, *self.object_class._references]
        for attributes in (synced(self.object_class, columns), ()):
            with suppress(SyncerError):  # one that no column has may be computed here alone
                found = canonical(table, [*naming, *attributes], naming)
                return {name: StoredForm(form) for name, form in found.items()}
        return {}

    def _source(self) -> Importer | None:
        """Return the importer of the branch: its own, or one of its tree's syncer."""
        if self.importer is None and getattr(self.tree, "syncer", None) is not None:
            return StoreImporter(self.tree.syncer)
        return self.importer

    def holds_all_of(self, syncer: Any) -> bool:
        """Say whether every row of the branch's table in a syncer was imported, so that a row it lacks is newer."""
        source, report = self._source(), self._contents.report
        return report is not None and report.ok and isinstance(source, StoreImporter) and source.reads_all_of(syncer)

    def _filtered(self) -> bool:
        """Say whether the store may have objects that the import left out."""
        importer, syncer = self.importer, getattr(self.tree, "syncer", None)
        if importer is None or self._contents.rejected:
            return bool(self._contents.rejected)
        narrowed = importer.overrides("keep") or getattr(importer, "query", None) is not None
        return narrowed or (syncer is not None and not self.holds_all_of(syncer))

    @property
    def schema(self) -> Schema:
        """The schema of the objects."""
        return schema_of(self.object_class)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The fields that make up the idnumber."""
        return self.schema.identifiers

    def diff(
        self,
        other: Branch[Any],
        *,
        only: Filter = None,
        exclude: Filter = None,
        flags: Flags | None = None,
        progress: Progress | None = None,
    ) -> Diff:
        """Return what ``other`` must do to become this branch; the same as ``self - other``, and as `Tree.diff`.

        Raises:
            SchemaMismatchError: if the two cannot be compared.
            HierarchyError: if an object of the two trees has several parents, or is below itself.
        """
        if self.name and other.name and self.name != other.name:
            message = f"{self.full_name} and {other.full_name} are different kinds of things"
            raise ComparisonError(message)
        with collector_paused(), ForgettingLocals([self.object_class, other.object_class]):
            around = [] if None in (self.tree, other.tree) else self.tree.sides_around(self, other)
            sides = [(self.side(), other.side())]
            return Diff.between(sides, around=around, flags=flags, progress=progress).filtered(only, exclude)

    def preview(self, other: Branch[Any], *, limits: Limits | None = None, **keywords: Unpack[DiffKeywords]) -> Preview:
        """Print what ``other`` must do, with the keywords of `diff`; the same as ``self > other``."""
        from datastoresync.applying.preview import Preview  # not all who look for differences apply them

        diff = self.diff(other, **keywords)
        effects, template = ((), None) if other.tree is None else (other.tree.side_effects(diff), other.tree.template)
        return Preview.of(diff, limits=limits, side_effects=effects, template=template).show()

    def sync_to(
        self,
        other: Branch[Any],
        *,
        flags: Flags | None = None,
        progress: Progress | None = None,
        **keywords: Unpack[ApplyKeywords],
    ) -> Report:
        """Make ``other`` like this branch, with the keywords of `Tree.sync_to`; the same as ``self >> other``."""
        if other.tree is None:
            message = "a branch without a tree has no template: write `source - dest | Template`"
            raise DeclarationError(message)
        if progress is not None:
            from datastoresync.applying.reporter import CallbackReporter, all_reporters  # as above

            keywords["reporters"] = all_reporters(keywords.get("reporters", ()), [CallbackReporter(progress)])
        applied: Report = other.tree.apply(self.diff(other, flags=flags, progress=progress), **keywords)
        return applied

    def rehearse(self, other: Branch[Any], **keywords: Unpack[SyncKeywords]) -> Report:
        """Carry out in the store of ``other`` what `sync_to` would, and undo it, as `Tree.rehearse` does."""
        keywords["rehearse"] = True
        return self.sync_to(other, **keywords)

    def __pos__(self) -> Self:
        return self.load()

    def __sub__(self, other: Branch[Any]) -> Diff:
        return self.diff(other) if isinstance(other, Branch) else NotImplemented

    def __gt__(self, other: Branch[Any]) -> Preview:
        return self.preview(other) if isinstance(other, Branch) else NotImplemented

    def __rshift__(self, other: Branch[Any]) -> Report:
        return self.sync_to(other) if isinstance(other, Branch) else NotImplemented

    def __or__(self, template: object) -> Any:
        message = "`>` binds less tightly than `|`: write (source > dest) | Template, or source - dest | Template"
        raise TypeError(message)

    def __neg__(self) -> Any:
        message = "a branch has no minus: the diff that undoes another is -(source - dest)"
        raise TypeError(message)

    # For comparisons and applies.

    def side(self) -> Side:
        """Return the branch as one side of a comparison."""
        contents, referred = self.contents, self._referred()
        return side_of(
            self.object_class,
            contents.compared,
            forms=self._forms(),
            **self._stored_forms(contents),
            stored=contents.stored,
            stored_fields=self._stored_fields(),
            referenced_spellings={name: one.spelling for name, one in referred.items() if one.stored},
            tree=self.tree.name if self.tree is not None else "",
            branch=self.name,
            columns=contents.columns,
            overrides=contents.overrides,
            filtered=self._filtered(),
            rejected=contents.rejected,
            warnings=() if contents.report is None else contents.report.warnings,
            limits=self.declared_limits,
            part=self.part,
            empty_parts=contents.empty_parts,
            absent=contents.absent,
            fold=self.fold,
            fold_all=self._fold_all,
            settle=partial(settle_all, [contents, *referred.values()]),
            not_imported=self._source() is not None and self.imported is None and not contents.compared,
            reason=contents.reason,
            expire=None if self._source() is None else self._contents.expire,
            referenced_keys={name: one.compared for name, one in referred.items()},
            tree_attributes=self._tree_attributes,
        )

    def _tree_attributes(self) -> Mapping[str, Sequence[str]]:
        sides = {name: branch.side() for name, branch in (self.tree or {}).items()}
        return {name: (*side.attributes, *side.child_fields) for name, side in sides.items()}

    @property
    def declared_limits(self) -> Limits | None:
        """The limits of the branch, and of its tree where it names none."""
        of_tree: Limits | None = getattr(self.tree, "limits", None)
        return of_tree if self.limits is None else self.limits.over(of_tree)

    def _stored_forms(self, contents: ObjectSet) -> dict[str, Any]:
        """Return the forms of keys, of values that name objects and of others that the columns of a store have."""
        cls, forms = self.object_class, contents.column_forms
        keys: dict[str, Form | None] = {}
        for name in set(cls._references.values()) & set(self.tree or ()):
            branch = self.tree[name]
            keys[name] = Forms(tuple(map(branch.contents.column_forms.get, branch.identifiers))).key
        naming = {*cls._references, *self.table.links, *cls._children.values()}
        target_forms = {name: chained(forms.get(name), keys.get(cls._references.get(name, ""))) for name in naming}
        return {
            "column_forms": Forms(
                tuple(map(forms.get, self.identifiers)),
                {name: form for name, form in target_forms.items() if form is not None},
            ),
            "normalized": {
                name: form for name, form in forms.items() if name not in naming and name not in self.identifiers
            },
        }

    def _stored_fields(self) -> dict[str, str]:
        """Return the fields that are read from the columns that properties are written to."""
        table, schema = self.table, self.schema
        columns = {table.column(name): name for name in table.columns if name in (schema.fields or table.columns)}
        return {name: columns[table.column(name)] for name in schema.properties if table.column(name) in columns}

    @property
    def conversion(self) -> Conversion:
        """What converts raw values of attributes as an import would."""
        return attrs.evolve(self.schema.convert, forms=self._forms().attributes)

    def fold(self, action: Action, values: Mapping[str, Any], made: Any = None) -> None:
        """Record an action that was carried out, without asking a store; see `ObjectSet.fold`."""
        self.contents.fold(action, values, made)

    def _fold_all(self, *done: Any) -> bool:
        return self._contents.fold_all(*done)  # of those that it holds then

    def explain(self) -> str:
        """Return whether the objects are in memory or rows of a table, and why."""
        return f"{self.full_name}: {self.contents.explain()}"

    def _referred(self) -> dict[str, ObjectSet]:
        """Return the contents of the branches that this one refers to."""
        names = set(self.object_class._references.values()) & set(self.tree or ())
        return {name: self.tree[name].contents for name in names}

    def _check(self) -> None:
        """Assert the invariants; the tests call it after every step."""
        contents = self.contents
        contents.check()
        assert all(item.__branch__ is self for item in contents.objects.values())

    def __repr__(self) -> str:
        name = f" {self.full_name}" if self.name else ""
        return f"<Branch{name}: {counted(len(self), 'object')} of {self.object_class.__name__}>"

    def __outline__(self) -> Outline:
        """Describe the branch: a row an object."""
        side, note = self.side(), counted(len(self), "object")
        if self.imported is not None and self.imported.bad_rows:
            note += f", {counted(len(self.imported.bad_rows), 'row')} refused"
        rows = partial(side.rows, self.contents.objects)
        grid = Grid(side.row_columns, rows, len(self)) if len(self) else None
        return Outline(self.name or self.object_class.__name__, "branch", note, grid=grid)

    def __export__(self) -> Export:
        """Return a row an object: the fields of the idnumber, then the synced attributes."""
        side, note = self.side(), counted(len(self), "object")
        rows = partial(side.rows, self.contents.objects, strict=True)
        return Export(self.full_name, side.row_columns, rows, note, typed=True)


def _blank(cls: type[Branch[Any]], tree_class: Any = None, name: str = "") -> Any:
    """Return a branch without anything but the importer that the class of a tree declares for it."""
    made = object.__new__(cls)
    if tree_class is not None:
        made.importer = getattr(tree_class, name).importer
    return made

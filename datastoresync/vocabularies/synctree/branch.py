"""Branches: one system, with a subbranch for each kind of object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from datastoresync.diffing.diff import Diff, DiffKeywords
from datastoresync.diffing.schema_check import check_branches
from datastoresync.runtime import collector_paused
from datastoresync.tree import Tree
from datastoresync.vocabularies.synctree.actions import Actions, Differences
from datastoresync.vocabularies.synctree.subbranch import Subbranch, difference


class SyncBranch(Tree):
    """One system: a `Tree` with a `Subbranch` for each kind of object. It may be subclassed.

    ``synctree`` is the tree that it is in.
    """

    synctree: Any = None
    raise_error_on_duplicates = True

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Subbranch: ...

    @property
    def branches(self) -> list[str]:
        """The names of the subbranches that take part in differences."""
        return [name for name in super().branches if not getattr(self[name], "off", False)]

    @property
    def is_source(self) -> bool:
        """Whether it is the first branch of its tree."""
        return self.synctree is not None and next(iter(self.synctree), None) == self.name

    @property
    def idnumbers(self) -> set[Any]:
        """The idnumbers of the objects of all subbranches."""
        return set().union(*(subbranch.keys() for subbranch in self.values()))

    @property
    def keypath(self) -> str:
        """Where it is in its tree: its name."""
        return self.name

    def get_from_subbranches(self, idnumber: Any, names: Iterable[str]) -> Any:
        """Return the object with an idnumber in the first of these subbranches that has it, or None."""
        names = [names] if isinstance(names, str) else names
        return next((self[name][idnumber] for name in names if idnumber in self[name]), None)

    def __call__(self, idnumber: Any) -> list[Any]:
        """Print and return the objects with an idnumber."""
        found = self.find(idnumber)
        for name, item in found.items():
            description = item._description  # noqa: SLF001 - what models say of themselves
            description = description() if callable(description) else description
            if description is not None:
                print(f"{self.name}.{name}: {description}")  # noqa: T201 - for whoever looks it up
        return list(found.values())

    def diff(self, other: Tree, **keywords: Unpack[DiffKeywords]) -> Diff:
        """Return what ``other`` must do to become this branch; see `Tree.diff`.

        Raises:
            SchemaMismatchError: a TypeError, if the two do not have the same subbranches.
        """
        check_branches((self.name, self.branches), (other.name, other.branches))
        with collector_paused(), self._forgetting_locals(other):
            sides = [(self[name].side(), other[name].side()) for name in self.branches]
            return difference(sides, **keywords)

    def __sub__(self, other: Any) -> Any:
        return Differences(self, other) if isinstance(other, Tree) else super().__sub__(other)

    def __gt__(self, other: Any) -> Any:
        return Actions(self, other) if isinstance(other, Tree) else super().__gt__(other)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        counts: Mapping[str, int] = {name: len(subbranch) for name, subbranch in self.items()}
        return f"<Branch {self.name}: {', '.join(f'{name} {n:,}' for name, n in counts.items()) or 'no subbranches'}>"


Branch = SyncBranch

"""Level 1: the datastore, which holds the trees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Self

import attrs

from datastoresync.branch import Branch
from datastoresync.diffing.diff import Diff
from datastoresync.errors import DatastoreSyncError, DeclarationError
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import Printable
from datastoresync.printing.text import counted
from datastoresync.tree import Tree


class Datastore(Printable, Mapping[str, Tree]):
    """The trees by name, the source first.

    Args:
        names: The names of trees to create.
        branches: The names of the branches of each of them.
        trees: Existing trees by name.

    >>> store = Datastore(["source", "destination"], ["students"])
    >>> store.new("source", "students", "111", name="Ann")
    Object(idnumber='111', name='Ann')
    >>> store.source - store.destination
    source - destination: new=1 update=0 add=0 remove=0 old=0 total=1
      students  1 new
        + students 111  name: 'Ann'
    """

    def __init__(self, names: Iterable[str] = (), branches: Iterable[str] = (), /, **trees: Tree) -> None:
        if isinstance(names, str) or isinstance(branches, str):
            message = "a datastore grows from two lists: Datastore(['source', 'destination'], ['students', 'staff'])"
            raise DeclarationError(message)
        self._trees: dict[str, Tree] = {}
        grown = list(branches)
        for name in names:
            tree = Tree(name)
            for branch in grown:
                tree.grow(branch)
            self._add(name, tree)
        for name, tree in trees.items():
            self._add(name, tree)

    def _add(self, name: str, tree: Tree) -> None:
        if not isinstance(tree, Tree):
            hint = f": write {name}={tree.__name__}()" if isinstance(tree, type) else ""
            message = f"{name} is not a tree{hint} (got {tree!r})"
            raise DeclarationError(message)
        if hasattr(Datastore, name) or name in self._trees or not name.isidentifier():
            message = f"{name!r} cannot be the name of a tree: it is taken, or not an identifier"
            raise DeclarationError(message)
        tree.name = name
        self._trees[name] = tree

    def __getattr__(self, name: str) -> Tree:
        if not name.startswith("_") and name in self._trees:
            return self._trees[name]
        message = f"no tree {name!r}: there are {', '.join(self.__dict__.get('_trees', ())) or 'none'}"
        raise AttributeError(message)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._trees]

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __getitem__(self, name: str) -> Tree:
        try:
            return self._trees[name]
        except KeyError:
            message = f"no tree {name!r}: there are {', '.join(self._trees) or 'none'}"
            raise KeyError(message) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._trees)

    def __len__(self) -> int:
        return len(self._trees)

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def new(self, tree: str, branch: str, idnumber: Any, /, **attributes: Any) -> Any:
        """Add an object to a branch of a tree, and return it."""
        return self[tree][branch].new(idnumber, **attributes)

    def load(self) -> Self:
        """Import every tree, in order; the same as ``+store``.

        If one import fails, this tree and those after it stay as they were.
        """
        for tree in self._trees.values():
            tree.load()
        return self

    def __pos__(self) -> Self:
        return self.load()

    def about(self, idnumber: Any) -> About:
        """Return the objects with an idnumber in every tree, and how each tree differs from the one before it."""
        held = {
            f"{name}.{branch}": item
            for name, tree in self._trees.items()
            for branch, item in tree.find(idnumber).items()
        }
        differences: dict[str, Diff | str] = {}
        for left, right in pairwise(self._trees.values()):
            for branch in left.branches:
                if branch in right.branches and (idnumber in left[branch] or idnumber in right[branch]):
                    title = f"{left.name}.{branch} - {right.name}.{branch}"
                    try:
                        sides = [
                            attrs.evolve(tree[branch].side(), objects=_only(tree[branch], idnumber))
                            for tree in (left, right)
                        ]
                        differences[title] = Diff.between([(sides[0], sides[1])])
                    except DatastoreSyncError as error:
                        differences[title] = " ".join(str(error).split())
        return About(idnumber, held, differences)

    def __repr__(self) -> str:
        return f"<Datastore: {', '.join(self._trees) or 'no trees'}>"

    def __outline__(self) -> Outline:
        """Describe the datastore: its trees."""

        def lines() -> Iterator[Outline]:
            for tree in self._trees.values():
                yield tree.__outline__()

        return Outline("Datastore", "datastore", counted(len(self), "tree"), lines, len(self), expanded=True)


def _only(branch: Branch[Any], idnumber: Any) -> dict[Any, Any]:
    return {idnumber: branch[idnumber]} if idnumber in branch else {}


@attrs.frozen(eq=False, repr=False)
class About(Printable):
    """The objects with one idnumber, and their differences.

    Args:
        idnumber: The idnumber.
        held: The objects by tree and branch: ``source.users``.
        differences: The diff of each branch from one tree to the next, or why they cannot be compared.
    """

    idnumber: Any
    held: Mapping[str, Any]
    differences: Mapping[str, Diff | str]

    def __outline__(self) -> Outline:
        """Describe the objects, then the differences."""

        def lines() -> Iterator[Outline]:
            for name, item in self.held.items():
                yield Outline(name, "branch", repr(item))
            for title, diff in self.differences.items():
                if isinstance(diff, str):
                    yield Outline(f"{title}: {diff}", "warning")
                elif diff:
                    yield attrs.evolve(diff.outline(), text=title)
                else:
                    yield Outline(f"{title}: no differences", "note")

        note = "" if self.held else "nothing is held under it"
        return Outline(
            f"about {self.idnumber!r}", "object", note, lines, len(self.held) + len(self.differences), expanded=True
        )

    def __repr__(self) -> str:
        return self._in_repl()

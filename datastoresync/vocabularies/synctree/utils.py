"""Import strings, and the commands in the names of subbranches."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from typing import Any

import attrs

from datastoresync.errors import DeclarationError
from datastoresync.spelling import nearest


class TreeError(DeclarationError, ValueError):
    """Lists of branches, subbranches and classes that do not fit each other."""


def import_class(name: str) -> Any:
    """Return what an import string names: ``"school.models.Student"``.

    Raises:
        TreeError: if it leads nowhere.
    """
    module, dot, member = name.rpartition(".")
    try:
        return getattr(import_module(module), member) if dot else _no_module(name)
    except (ImportError, AttributeError) as error:
        message = f"the import string {name!r} leads nowhere: {error}"
        raise TreeError(message) from error


def _no_module(name: str) -> Any:
    message = f"it names no module: write 'package.module.{name}'"
    raise ImportError(message)


def classes_of(given: Any, branches: Sequence[str], subbranches: Sequence[str], *, what: str) -> list[list[Any]]:
    """Return a class, or None, for each subbranch of each branch.

    Args:
        given: A list a branch, with a class, its import string or None a subbranch; or a pattern of import strings.
        branches: The names of the branches.
        subbranches: The names of the subbranches.
        what: The name of the argument, for messages.

    Raises:
        TreeError: if the lengths do not fit, or an import string leads nowhere.
    """
    if given is None:
        return [[None] * len(subbranches) for _ in branches]
    if isinstance(given, str):
        given = [[_filled(given, branch, subbranch, what) for subbranch in subbranches] for branch in branches]
    given = [[None] * len(subbranches) if some is None else list(some) for some in given]
    if len(given) != len(branches):
        message = f"{what} has {len(given)} lists, and there are {len(branches)} branches: give a list for each"
        raise TreeError(message)
    for branch, some in zip(branches, given, strict=True):
        if len(some) != len(subbranches):
            message = (
                f"{what} has {len(some)} classes for {branch}, and there are {len(subbranches)} subbranches: give one "
                "for each, or None"
            )
            raise TreeError(message)
    return [[import_class(one) if isinstance(one, str) else one for one in some] for some in given]


def _filled(pattern: str, branch: str, subbranch: str, what: str) -> str:
    names = {"branch": branch, "subbranch": subbranch, "branch_title": branch.title()}
    names["subbranch_title"] = subbranch.title()
    try:
        return pattern.format_map(names)
    except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
        message = f"{what} {pattern!r} may have {', '.join(f'{{{name}}}' for name in names)} in it ({error!r})"
        raise TreeError(message) from error


@attrs.frozen
class Command:
    """What a subbranch is told behind its name: ``"students:off"``, ``"students:dict(source=['1'], dest=['2'])"``.

    Args:
        name: The name of the subbranch.
        off: Whether it takes no part in differences.
        idnumbers: Those that are compared, by branch; all of a branch that is not named. Where no branch is called so,
            ``source`` is the first one, and ``dest`` are all others.

    >>> Command.of("students:dict(source=['1'])", ["source", "dest"])
    Command(name='students', off=False, idnumbers={'source': ['1']})
    """

    name: str
    off: bool = False
    idnumbers: Mapping[str, Collection[Any]] = attrs.field(factory=dict)

    @classmethod
    def of(cls, text: str, branches: Sequence[str]) -> Command:
        """Parse the name of a subbranch with its command; nothing of it is ever evaluated.

        Raises:
            TreeError: if there is no such command, or it names no branch.
        """
        name, _, command = (part.strip() for part in text.partition(":"))
        if command in ("", "off"):
            return cls(name, off=bool(command))
        idnumbers = _literal_dict(command)
        if idnumbers is None or not all(isinstance(one, (list, tuple, set)) for one in idnumbers.values()):
            message = f"{name}: no command {command!r}: there are off and dict({(branches or ['source'])[0]}=['1'])"
            raise TreeError(message)
        roles = {"source": branches[:1], "dest": branches[1:]}  # of branches that have other names
        found: dict[str, Collection[Any]] = {}
        for branch, some in idnumbers.items():
            if branch not in (*branches, *roles):
                message = f"{text!r} narrows {branch!r}, which is no branch: {nearest(branch, branches)}"
                raise TreeError(message)
            found |= dict.fromkeys([branch] if branch in branches else roles[branch], some)
        return cls(name, idnumbers=found)


def _literal_dict(text: str) -> dict[str, Any] | None:
    """Return the mapping that ``dict(name=literal, …)`` stands for; None for anything else."""
    try:
        call = ast.parse(text, mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "dict"):
            return None
        if call.args or len({one.arg for one in call.keywords}) < len(call.keywords):
            return None
        return {one.arg or "**": ast.literal_eval(one.value) for one in call.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return None

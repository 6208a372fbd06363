"""What must come before what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from datastoresync.errors import CircularOrderError

__all__ = ["in_order"]


def in_order(
    names: Iterable[Any], after: Mapping[Any, Iterable[Any]], *, circles: bool = False, what: str = ""
) -> list[Any]:
    """Return the names so that each stands behind those it is ``after``, and otherwise in the order given.

    Args:
        names: What to order; names in ``after`` that are not among them are passed over.
        after: For each name, those that must come before it.
        circles: Whether a circle is broken where it closes rather than refused.
        what: What the names are, for the error.

    Raises:
        CircularOrderError: drawing the circle, unless ``circles`` is true.

    >>> in_order(["groups", "users"], {"groups": ["users"]})
    ['users', 'groups']
    """
    wanted = list(names)
    places = {name: place for place, name in enumerate(wanted)}

    def before(name: Any) -> Iterator[Any]:
        # In the order given, since `after` may be a set, whose order changes from run to run.
        return iter(sorted({other for other in after.get(name, ()) if other in places}, key=places.__getitem__))

    done: dict[Any, None] = {}
    for first in wanted:
        # Depth first without recursion, since a chain of references may be as long as a branch.
        path: dict[Any, Any] = {}
        if first in done:
            continue
        path[first] = before(first)
        while path:
            name = next(reversed(path))
            ahead = next((other for other in path[name] if other not in done), None)
            if ahead is None:
                del path[name]
                done[name] = None
            elif ahead not in path:
                path[ahead] = before(ahead)
            elif not circles:
                circle = [*list(path)[list(path).index(ahead) :], ahead]
                drawn = " → ".join(map(str, circle))
                message = f"{what or 'these'} wait for each other: {drawn} (each is after the next); break the circle"
                raise CircularOrderError(message, circle=[str(name) for name in circle])
    return list(done)

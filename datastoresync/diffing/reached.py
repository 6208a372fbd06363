"""What of two trees is compared, where only some of their branches are at the top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from datastoresync.diffing.hierarchy import Hierarchy
from datastoresync.diffing.side import Side
from datastoresync.errors import DeclarationError

__all__ = ["reached"]

Pair = tuple[Side, Side]


def reached(
    pairs: Sequence[Pair], hierarchies: tuple[Hierarchy, Hierarchy], tops: tuple[Sequence[str] | None, ...]
) -> list[Pair]:
    """Leave out of both sides what is not below a top-level object in either of them.

    Args:
        pairs: The source's and the destination's side of each branch.
        hierarchies: Those of the source and the destination.
        tops: Which branches are at the top in the source, and in the destination; where one says None, the other's;
            None for all.

    Raises:
        DeclarationError: if a branch is named that is not there.
    """
    if tops[0] is None and tops[1] is None:
        return list(pairs)
    if None not in tops and set(tops[0] or ()) != set(tops[1] or ()):
        message = f"the two trees have another top_level each, {tops[0]!r} and {tops[1]!r}: give both the same"
        raise DeclarationError(message)
    tops = tuple(tops[1 - which] if top is None else top for which, top in enumerate(tops))
    found = []
    for which, top in enumerate(tops):
        names = [pair[which].branch for pair in pairs]
        if isinstance(top, str) or not set(names).issuperset(top or ()):
            message = f"top_level must be a tuple of names of branches, of which there are {', '.join(names) or 'none'}"
            raise DeclarationError(f"{pairs[0][which].tree}.{message} (got {top!r})" if pairs else message)
    if all(top is None or hierarchy.reaches_all(top) for hierarchy, top in zip(hierarchies, tops, strict=True)):
        return list(pairs)
    for which, top in enumerate(tops):
        names = [pair[which].branch for pair in pairs]
        found.append(hierarchies[which].reached(names if top is None else top))
    narrowed = []
    for left, right in pairs:
        mine, theirs = (one[left.branch] for one in found)
        if mine is not None and theirs is not None:
            left, right = (_narrowed(side, mine | theirs) for side in (left, right))  # noqa: PLW2901 - the same pair
        narrowed.append((left, right))
    return narrowed


def _narrowed(side: Side, keys: set[Any]) -> Side:
    if keys.issuperset(side.objects):
        return side
    return attrs.evolve(side, objects={key: item for key, item in side.objects.items() if key in keys})

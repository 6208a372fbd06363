"""Says how a comparison was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from datastoresync.diffing.branch_diff import Compared
from datastoresync.printing.words import counted

__all__ = ["explained"]


def explained(compared: Sequence[Compared], left_out: Counter[str]) -> str:
    """Return which engine compared each branch and why, what it had to look at, and what is in memory and why.

    Args:
        compared: The branches.
        left_out: How many actions of each verb flags left out.
    """
    if not compared:
        return "nothing was compared"
    lines = []
    for one in compared:
        left, right = one.sizes
        lines.append(
            f"{one.name or one.right.owner}: {one.engine} engine, since {one.why}; {counted(left, 'object')} "
            f"against {right:,}, {one.pairs:,} in both, {one.candidates:,} of them worth a look; "
            f"attributes: {', '.join(one.right.attributes) or 'none'}"
        )
        lines += [f"  {side.name} is in memory: {side.why}" for side in one.both if side.why]
    named = {one.name for one in compared}
    apart = [f"{one.name}: what it holds of {child}" for one in compared for child in one.right.held - named]
    lines += [f"not compared: {what}" for what in sorted(apart)]
    if left_out:
        lines.append("left out by flags: " + " ".join(f"{verb}={count}" for verb, count in left_out.items()))
    return "\n".join(lines)

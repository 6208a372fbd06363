"""What an import did."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from datastoresync.errors import RowError
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import Shown

__all__ = ["ImportReport"]


@attrs.frozen(eq=False, repr=False)
class ImportReport(Shown):
    """What the last import of a branch did.

    Args:
        branch: The branch's full name.
        rows: How many rows were read, those left out included.
        objects: How many objects they gave.
        bad_rows: The rows that were refused, each as the error that says why; only if the importer collects them.
        seconds: How long it took.
    """

    branch: str
    rows: int
    objects: int
    bad_rows: tuple[RowError, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every row was taken."""
        return not self.bad_rows

    @property
    def stat(self) -> str:
        """One line to search logs for."""
        return f"rows={self.rows} objects={self.objects} bad={len(self.bad_rows)}"

    def __repr__(self) -> str:
        lines = [f"<ImportReport of {self.branch}: {self.stat}>"]
        lines += [f"  {error}" for error in self.bad_rows[:10]]
        if len(self.bad_rows) > len(lines) - 1:
            lines.append(f"  … and {len(self.bad_rows) - len(lines) + 1:,} more")
        return "\n".join(lines)

    def __outline__(self) -> Outline:
        """Describe the import: its counts, and the rows that were refused."""

        def bad() -> Iterator[Outline]:
            for error in self.bad_rows:
                yield Outline(str(error), "refused")

        return Outline(f"import of {self.branch}", "stat", self.stat, bad, len(self.bad_rows), expanded=True)

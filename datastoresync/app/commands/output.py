"""The result of a comparison: as text, or in a format for other programs."""

from __future__ import annotations

import codecs
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate, groupby
from pathlib import PurePath
from typing import Any

import attrs

from datastoresync.app.console import Console
from datastoresync.app.store_diff import StoreDiff, object_of
from datastoresync.diffing.diff import Diff
from datastoresync.exporting.export import Export
from datastoresync.exporting.exportable import Exportable, deliver
from datastoresync.masking import masked
from datastoresync.printing.outline import Outline
from datastoresync.printing.text import counted, encodable, text, wants_colour

FORMATS = ("text", "json", "jsonl", "csv", "markdown", "html", "xlsx")
_SUFFIXES = {f".{name}": name for name in FORMATS} | {".md": "markdown", ".htm": "html", ".ndjson": "jsonl"}
_SUFFIXES |= dict.fromkeys(("", ".txt", ".diff", ".log"), "text")


def format_of(asked: str | None, path: str | None) -> str:
    """Return the format that is asked for, or that the suffix of a file tells; text by default.

    Raises:
        ValueError: if the suffix tells none.
    """
    suffix = PurePath(path or "").suffix.lower()
    if asked is None and suffix not in _SUFFIXES:
        message = f"{suffix} is no format that is written: choose one with --format: {', '.join(FORMATS)}"
        raise ValueError(message)
    return asked or _SUFFIXES[suffix]


@attrs.frozen
class _TitledDiff(Exportable):
    """A diff that is exported under the names of its stores."""

    diff: Diff
    title: str

    def __export__(self) -> Export:
        return attrs.evolve(self.diff.__export__(), title=self.title, outline=self._outline)

    def _outline(self) -> Outline:
        found = self.diff.outline()
        return attrs.evolve(found, text=found.text.replace(self.diff.title, self.title, 1))


def title_of(*stores: str) -> str:
    """Return the title of a comparison: the files, or the URLs without passwords, from old to new; and the day.

    >>> title_of("exports/monday.csv", "postgresql://ann:secret@host/school").partition(", ")[0]
    'monday.csv → postgresql://ann:***@host/school'
    """
    names = [masked(one) if ":" in one else PurePath(one).name for one in map(str, stores)]
    return f"{' → '.join(names)}, {time.strftime('%Y-%m-%d')}"


def write_diff(found: StoreDiff, form: str, path: str | None, *, limit: int | None, title: str) -> None:
    """Write what was found to a file, or to standard output.

    Args:
        found: What differs.
        form: One of `FORMATS`.
        path: The file; None for standard output, where what is not text is in UTF-8.
        limit: The most rows that are shown.
        title: The title of a page.

    Raises:
        SyncerError: if the file cannot be written.
    """
    diff, more = _limited(found.diff, limit)
    notes = [*found.apart, *([f"{counted(more, 'more row')}: --limit {limit} leaves them out"] if more else [])]
    with suppress(BrokenPipeError):  # whoever read it, such as `head`, has enough
        if form == "text":
            _write_text(found.summary, notes, diff, path)
            return
        for note in notes:
            Console().say(f"note: {note}", "note")
        titled = _TitledDiff(diff, title)
        if path is not None:
            getattr(titled, f"to_{form}")(path)
            return
        binary = getattr(sys.stdout, "buffer", None)
        file: Any = sys.stdout if binary is None else codecs.getwriter("utf-8")(binary)
        getattr(titled, f"to_{form}")(file)


def _limited(diff: Diff, limit: int | None) -> tuple[Diff, int]:
    """Return the changes of the first objects, and the number of the others."""
    sizes = [sum(1 for _ in actions) for _, actions in groupby(diff, object_of)] if limit is not None else []
    if limit is None or len(sizes) <= limit:
        return diff, 0
    return diff[: [0, *accumulate(sizes)][limit]], len(sizes) - limit


def _write_text(summary: str, notes: Sequence[str], diff: Diff, path: str | None) -> None:
    terminal = path is None and sys.stdout.isatty()
    shown: dict[str, Any] = {
        "lines": None,
        "columns": shutil.get_terminal_size().columns if terminal else None,
        "colour": path is None and wants_colour(sys.stdout),
    }
    outlines = [Outline(summary, "stat"), *(Outline(f"  {note}", "note") for note in notes)]
    lines = [text(outline, **shown) for outline in outlines]
    if diff:
        lines.append(diff.text(**shown).partition("\n")[2])  # its title says no more than the summary
    result = "\n".join(lines) + "\n"
    if path is not None:
        deliver(iter([result]), path)
    else:
        sys.stdout.write(encodable(result, sys.stdout.encoding))
        sys.stdout.flush()

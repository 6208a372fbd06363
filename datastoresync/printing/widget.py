"""The interactive table of a notebook; importing this loads anywidget."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import anywidget
import traitlets

from datastoresync.printing.html import STYLE

_FOLDER = Path(__file__).parent


class TableWidget(anywidget.AnyWidget):
    """A table that is filtered, sorted and ticked in the page; only the ticks come back.

    Both traits are bytes, since these are sent as they are: ``rows`` is JSON in UTF-8, ``ticked`` has a bit a row.
    """

    _esm: ClassVar[Path] = _FOLDER / "table.js"
    _css: ClassVar[str] = STYLE + (_FOLDER / "table.css").read_text(encoding="utf-8")
    rows = traitlets.Bytes().tag(sync=True)
    ticked = traitlets.CBytes().tag(sync=True)  # what comes from the page is a memoryview

    @classmethod
    def of(cls, rows: Mapping[str, Any], ticked: bytes, keep: Callable[[bytes], Any]) -> Self:
        """Return a table of these rows; ``keep`` is called with the ticks whenever they change."""
        columns = json.dumps(rows, separators=(",", ":")).encode()
        table = cls(rows=columns, ticked=ticked)
        table.observe(lambda change: keep(change["new"]), "ticked")
        return table

    def bundle(self) -> dict[str, Any]:
        """Return what shows it, by MIME type, without words for where it cannot be shown."""
        found = self._repr_mimebundle_()
        data = found[0] if isinstance(found, tuple) else found
        return {kind: one for kind, one in (data or {}).items() if not kind.startswith("text/")}

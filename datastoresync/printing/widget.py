"""The interactive table of a notebook; importing this loads anywidget."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import anywidget
import traitlets
from IPython.display import display as ipython_display

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

    def show(self, text: str, html: str) -> None:
        """Show it below the cell, and what it holds once more, which its style hides where the table is.

        A notebook that is opened again has no table: JupyterLab then says that its model was not found, and shows
        nothing else of the same output.

        Args:
            text: What it holds, for where neither is shown.
            html: Likewise, as HTML.
        """
        display: Any = ipython_display  # which has no types
        found = self._repr_mimebundle_()
        data = (found[0] if isinstance(found, tuple) else found) or {}
        display({**data, "text/plain": ""}, raw=True)
        display({"text/plain": text, "text/html": html}, raw=True)

"""Run examples/notebook.ipynb, and keep what it shows: the same bytes after each run, unless what is shown changed.

python tools/run_notebook.py
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbclient
import nbformat

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
VIEW = "application/vnd.jupyter.widget-view+json"


def executed() -> Any:
    """Return the notebook after a run."""
    notebook = nbformat.read(NOTEBOOK, 4)
    where = {"metadata": {"path": str(ROOT)}}
    run: dict[str, Any] = {"timeout": 120, "record_timing": False, "store_widget_state": False, "resources": where}
    nbclient.NotebookClient(notebook, **run).execute()
    return notebook


def kept(notebook: Any) -> str:
    """Return what is kept of a run.

    A table needs a kernel: its view, of which viewers would say that they miss its model, is left out, and the list
    that follows it is kept. The seconds that anything took are 0.0.
    """
    notebook.metadata.language_info = {"name": "python"}  # without the version
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if VIEW not in output.get("data", {})]
    return re.sub(r"\b\d+\.\d s\b", "0.0 s", nbformat.writes(notebook)) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(kept(executed()), encoding="utf-8")

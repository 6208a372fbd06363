"""Workbooks through openpyxl, and their parts that a rewrite would lose.

Needs openpyxl, so it is imported when a workbook is opened.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import openpyxl

from datastoresync.errors import SyncerError
from datastoresync.syncers.files.excel_package import package, translate_errors

# Workbooks -----------------------------------------------------------------------------------------------------------

_LOST_PARTS = (
    "xl/charts/",
    "xl/chartsheets/",
    "xl/media/",
    "xl/pivotTables/",
    "xl/slicers/",
    "xl/vbaProject",
    "xl/embeddings/",
    "xl/diagrams/",
    "xl/threadedComments/",
    "xl/ctrlProps/",
    "xl/activeX/",
    "xl/queryTables/",
    "customXml/",
)
"""Parts of a workbook that openpyxl drops when it saves it again."""
_SHAPE = re.compile(rb"<(\w+:)?(sp|cxnSp|grpSp)[\s/>]")
"""Elements of a drawing that openpyxl drops: text boxes, arrows and the like, and groups of them."""


def check_rewritable(path: Path) -> None:
    """Refuse to rewrite a workbook with parts that would be lost.

    Raises:
        SyncerError: It has some.
        MalformedFileError: It cannot be read.
    """
    lost: list[str] = []
    with package(path) as book:
        for name in book.names:
            with book.open(name) as part:  # which refuses what would fill the memory
                is_drawing = name.startswith("xl/drawings/") and name.endswith(".xml")
                if name.startswith(_LOST_PARTS) or (is_drawing and _SHAPE.search(part.read())):
                    lost.append(name)
    if lost:
        message = (
            f"{path} holds {lost[0]}, which would be lost: keep charts, pictures, shapes, pivot tables, controls, "
            "threads of comments and macros elsewhere"
        )
        raise SyncerError(message)


@contextmanager
def workbook(path: Path) -> Iterator[Any]:
    """Open a workbook to change it, and close it in the end.

    Raises:
        MalformedFileError: It cannot be read.
    """
    with ExitStack() as stack:
        with translate_errors(path):
            file = stack.enter_context(path.open("rb"))  # openpyxl would leave its own open if it gave up
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # styles and extensions that it does not know
                warnings.filterwarnings("error", ".*removed")  # and would leave out when it saves them
                book = openpyxl.load_workbook(file)
        stack.callback(book.close)
        yield book

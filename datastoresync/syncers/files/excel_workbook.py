"""Opens workbooks through openpyxl, and says what can be called a sheet of one, and what would be lost of one."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from datastoresync.errors import MalformedFileError, MissingDependencyError, SyncerError

__all__ = ["check_kept", "openpyxl_module", "refusals", "title_fault", "title_of", "workbook"]

_TITLE = 31
_LOST = (
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
"""Parts of a workbook that openpyxl would leave out when it saves it again."""
_SHAPE = re.compile(rb"<(\w+:)?(sp|cxnSp|grpSp)[\s/>]")
"""What openpyxl would leave out of a drawing: text boxes, arrows and the like, and groups of them."""


def title_of(identifier: str) -> str:
    """Return the name of the sheet of a table that has a workbook of its own."""
    return "Sheet1" if title_fault(identifier) else identifier


def title_fault(identifier: str) -> str:
    """Return why a table's name cannot be that of a sheet; empty if it can."""
    if not isinstance(identifier, str):
        return f"it is {type(identifier).__name__}, and names are str"
    if not identifier.strip():
        return "it is empty"
    if len(identifier.encode("utf-16-le", "surrogatepass")) // 2 > _TITLE:
        return f"it has more than {_TITLE} characters"
    if found := sorted(set("[]:*?/\\") & set(identifier)):
        return f"it holds {' '.join(found)}"
    if identifier.startswith("'") or identifier.endswith("'"):
        return "it begins or ends with an apostrophe"
    if any(not character.isprintable() for character in identifier):
        return "it holds a character that cannot be printed"
    return "Excel keeps this name for itself" if identifier.casefold() == "history" else ""


def check_kept(path: Path) -> None:
    """Refuse to write a workbook again if something in it would be lost."""
    with refusals(path), zipfile.ZipFile(path) as parts:
        lost = [name for name in parts.namelist() if name.startswith(_LOST) or _has_shapes(parts, name)]
    if lost:
        message = (
            f"{path} holds {lost[0]}, which would be lost: keep charts, pictures, shapes, pivot tables, controls, "
            "threads of comments and macros elsewhere"
        )
        raise SyncerError(message)


def _has_shapes(parts: zipfile.ZipFile, name: str) -> bool:
    is_drawing = name.startswith("xl/drawings/") and name.endswith(".xml")
    return is_drawing and _SHAPE.search(parts.read(name)) is not None


@contextmanager
def workbook(path: Path, **options: Any) -> Iterator[Any]:
    """Open a workbook with the options of openpyxl, and close it in the end.

    Raises:
        MalformedFileError: It cannot be read.
        MissingDependencyError: openpyxl is not installed.
    """
    openpyxl = openpyxl_module()
    with ExitStack() as stack:
        with refusals(path):
            file = stack.enter_context(path.open("rb"))  # openpyxl would leave its own open if it gave up
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # styles and extensions that it does not know
                if not options.get("read_only"):
                    warnings.filterwarnings("error", ".*removed")  # and would leave out when it saves them
                book = openpyxl.load_workbook(file, **options)
        stack.callback(book.close)
        yield book


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Say which file it is that is no workbook."""
    try:
        yield
    except MalformedFileError:
        raise
    except UserWarning as error:
        message = f"{path} holds what would be lost if it were saved again: {error}"
        raise SyncerError(message) from error
    except OSError as error:
        message = f"the file cannot be read: {error.strerror or error}"
        raise MalformedFileError(message, where=os.fspath(path)) from error
    except Exception as error:
        message = f"not a workbook that openpyxl can read ({type(error).__name__}): see the error that caused this"
        raise MalformedFileError(message, where=os.fspath(path)) from error


def openpyxl_module() -> Any:
    """Return openpyxl.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import openpyxl
    except ImportError as error:
        message = "Excel workbooks need openpyxl: pip install 'datastoresync[excel]'"
        raise MissingDependencyError(message) from error
    return openpyxl

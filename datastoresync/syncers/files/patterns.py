"""Paths and patterns of files: which files they stand for."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import Literal

from datastoresync.errors import DeclarationError, MalformedFileError
from datastoresync.masking import masked


def resolve_files(
    pattern: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    newest: Literal["modified", "name"] | None = None,
) -> list[Path]:
    """Return the files of paths and patterns, sorted by path, each once.

    Args:
        pattern: A path, a pattern such as ``"exports/*.csv"`` (``**`` stands for any folders), or several of them.
        newest: Return only the file that was modified last, or the one whose name sorts last.

    Raises:
        DeclarationError: if ``newest`` is another value.
        MalformedFileError: if no file matches one of the patterns.
    """
    if newest not in (None, "modified", "name"):
        message = f"newest is 'modified', 'name' or None (got {newest!r})"
        raise DeclarationError(message)
    patterns = [pattern] if isinstance(pattern, (str, os.PathLike)) else list(pattern)
    if not patterns:
        raise MalformedFileError("no file is named: give a path or a pattern")
    for each in patterns:
        if isinstance(each, str) and not Path(each).exists() and ("://" in each or masked(each) != each):
            message = (
                f"{masked(each)} is a URL or the like, and no path: open it with open_syncer, or fetch the file first"
            )
            raise MalformedFileError(message)
    files = sorted({file for each in patterns for file in _matches(os.fspath(each))})
    if newest == "modified":
        return [max(files, key=lambda file: (file.stat().st_mtime_ns, file.name))]
    return [max(files, key=lambda file: file.name)] if newest else files


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.exists():  # its name may have brackets in it
        return [path]
    paths = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute patterns
    files = [file for file in map(Path, paths) if file.is_file()]
    if not files:
        parts = path.parent.parts
        folder = Path(*takewhile(lambda part: not glob.has_magic(part), parts)).absolute()
        fault = "no file matches" if glob.has_magic(pattern) else "there is no such file"
        where = f"in {folder}" if folder.is_dir() else f"since there is no folder {folder}"
        raise MalformedFileError(f"{fault} {where}", where=pattern)
    return files

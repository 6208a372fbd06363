"""Runs what is shown on a page of documentation, in one folder: Python, sessions, scripts and what a shell is told.

A block that begins with ``# sync.py`` or ``# sync.toml`` is that file; other Python runs where it stands. In a console
block ``$ cat FILE`` shows a file, and makes it if it is not there; ``$ cp``, ``$ python FILE``, ``$ datastoresync …``
and ``$ echo $?`` are run in this process, and all else fails. What a shell shows is compared with what is printed,
errors included; ``...`` stands for anything. Nothing is run under ``<!-- not run: reason -->``.
"""

from __future__ import annotations

import contextlib
import doctest
import gc
import io
import re
import runpy
import shlex
import shutil
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*).*\n(?P<source>(?:.*\n)*?)(?P=indent)```[ ]*$", re.MULTILINE)
NOT_RUN = re.compile(r"<!-- not run: \S.*-->\s*\Z")
FILE = re.compile(r"# ([\w/]+\.(?:py|toml))\n")
COMMAND = re.compile(r"^\$ ((?:[^\\\n]|\\[\s\S])*)\n", re.MULTILINE)


class Block(NamedTuple):
    """A fenced piece of a document; ``line`` is that of its first line of code."""

    source: str
    line: int
    language: str = "python"


def blocks_of(text: str) -> list[Block]:
    """Return the blocks that are to be run: all but those under ``<!-- not run: reason -->``."""
    return [
        Block(textwrap.dedent(match["source"]), text.count("\n", 0, match.start("source")) + 1, match["language"])
        for match in FENCE.finditer(text)
        if match["language"] in ("python", "console", "toml") and not NOT_RUN.search(text, 0, match.start())
    ]


def run_blocks(blocks: list[Block], path: Path, namespace: dict[str, object]) -> None:
    """Run blocks in order in one namespace and the current folder; what is shown is compared, the rest is executed."""
    shell = Shell()
    for block in blocks:
        if block.language == "console":
            shell.run(block, path)
        elif file := FILE.match(block.source):
            Path(file[1]).write_text(block.source, encoding="utf-8")
        elif block.source.lstrip().startswith(">>>"):
            _run_session(block, path, namespace)
        elif block.language == "python":
            code = "\n" * (block.line - 1) + block.source  # so that a traceback shows the document's own line
            exec(compile(code, str(path), "exec", dont_inherit=True), namespace)


def _run_session(block: Block, path: Path, namespace: dict[str, object]) -> None:
    test = doctest.DocTestParser().get_doctest(block.source, namespace, path.name, str(path), block.line - 1)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    runner.run(test, out=report.append, clear_globs=False)
    namespace.update(test.globs)
    if report:
        pytest.fail("".join(report), pytrace=False)


class Shell:
    """What a shell does on these pages; it remembers the last exit code."""

    def __init__(self) -> None:
        self.code = 0

    def run(self, block: Block, path: Path) -> None:
        """Run the commands of a block, and compare what each shows."""
        for start, command, expected in _commands(block.source):
            got = self._output(command, expected)
            if not doctest.OutputChecker().check_output(expected, got, doctest.ELLIPSIS):
                line = block.line + block.source.count("\n", 0, start)
                pytest.fail(f"{path}, line {line}: $ {command}\nExpected:\n{expected}Got:\n{got}", pytrace=False)

    def _output(self, command: str, shown: str) -> str:
        program, *arguments = shlex.split(command.replace("\\\n", ""))
        if program == "cat":
            file = Path(*arguments)
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(shown, encoding="utf-8")
            return file.read_text(encoding="utf-8")
        if program == "cp":
            shutil.copyfile(*arguments)
            return ""
        if program == "echo":
            assert arguments == ["$?"]
            return f"{self.code}\n"
        # A console writes bytes, too.
        output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            self.code = _call(program, arguments)
        return output.buffer.getvalue().decode()


def _commands(source: str) -> Iterator[tuple[int, str, str]]:
    found = [*COMMAND.finditer(source)]
    ends = [match.start() for match in found[1:]] + [len(source)]
    for match, end in zip(found, ends, strict=True):
        yield match.start(), match[1], source[match.end() : end]


def _call(program: str, arguments: list[str]) -> int:
    if program == "datastoresync":
        from datastoresync.app.commands.group import main

        return main(arguments)
    assert program == "python", f"pages run no {program}: begin the block with <!-- not run: reason -->"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments)
        code = _exit_code(arguments[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # a process of its own would have ended, and its connections with it
    return code


def _exit_code(script: str) -> int:
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0

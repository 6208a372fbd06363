"""An application: a reader, writers, a command line, and one run of it."""

from __future__ import annotations

import argparse
import inspect
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Literal, NoReturn

import attrs

from datastoresync.app.cli import CommandLine, Section, unique
from datastoresync.app.console import Console, finish, say
from datastoresync.app.parts import AppPart, Arguments, Reader, Writer
from datastoresync.app.report import AppReport, PartReport, nothing_written
from datastoresync.applying.preview import Preview
from datastoresync.applying.report import Result, reason_of, skipped
from datastoresync.errors import DatastoreSyncError, DeclarationError, SafeguardError, SyncInterrupted
from datastoresync.masking import hidden
from datastoresync.printing.text import counted
from datastoresync.tree import Tree


class AppRun:
    """Calls the parts of an application, and keeps their reports.

    Args:
        names: The names of the parts, the reader's first.
        console: Prints them.
    """

    def __init__(self, names: Iterable[str], console: Console) -> None:
        self.reports = [PartReport(name, "pending") for name in names]
        self.console = console

    @property
    def report(self) -> AppReport:
        """The results up to now."""
        return AppReport(self.reports[0], tuple(self.reports[1:]))

    def attempt(self, index: int, activity: str, call: Callable[[], Any]) -> PartReport:
        """Call a part, and return its report.

        Raises:
            SyncInterrupted: on Ctrl-C.
        """
        name = self.reports[index].name
        self.console.begin(name, activity)
        started = time.perf_counter()
        report = _call_part(name, call, _reader_report if index == 0 else _writer_report)
        self.reports[index] = attrs.evolve(report, seconds=time.perf_counter() - started)
        self.console.end(self.reports[index])
        if report.status == "interrupted":
            raise SyncInterrupted(self.report) from report.error
        return self.reports[index]


def _call_part(name: str, call: Callable[[], Any], report: Callable[[str, Any], PartReport]) -> PartReport:
    try:
        returned = call()
    except KeyboardInterrupt as error:
        so_far = getattr(error, "report", None)
        return PartReport(name, "interrupted", getattr(so_far, "stat", ""), so_far, error)
    except SafeguardError as error:
        return PartReport(name, "refused", str(error), None, error)
    except SystemExit as error:  # a part can only end itself
        if error.code in (None, 0):
            return PartReport(name, "succeeded")
        return PartReport(name, "failed", reason_of(error), None, error)
    except DatastoreSyncError as error:  # it says all, also to who knows no Python
        return PartReport(name, "failed", str(error), None, error)
    except Exception as error:  # noqa: BLE001 - it is reported, and the other parts run
        return PartReport(name, "failed", reason_of(error), None, error)
    return report(name, returned)


def _reader_report(name: str, returned: Any) -> PartReport:
    """Return the report of a reader that returned a value."""
    return PartReport(name, "succeeded", _stat(returned), returned)


def _writer_report(name: str, returned: Any) -> PartReport:
    """Return the report of a writer that returned a value, by the value's own status."""
    if returned is False:
        return PartReport(name, "failed", "it returned False")
    if inspect.iscoroutine(returned):
        returned.close()
        reason = "it is async and was not run: write a plain method, with asyncio.run(…) in it"
        return PartReport(name, "failed", reason)
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        return PartReport(name, "failed", "it is a generator and was not run: write a method without yield")
    if isinstance(returned, (list, tuple)) and returned:
        return _worst_report(name, returned)
    if isinstance(returned, Preview) and returned.refused:
        return PartReport(name, "refused", f"would be refused: {'; '.join(returned.refused)}", returned)
    if isinstance(returned, Result):
        status: Any = returned.status if returned.status in ("succeeded", "skipped") else "failed"
        return PartReport(name, status, returned.reason, returned)
    ok = isinstance(returned, Preview) or getattr(returned, "ok", True)
    return PartReport(name, "succeeded" if ok else "failed", _stat(returned), returned)


def _worst_report(name: str, returned: Sequence[Any]) -> PartReport:
    """Return the report of a writer that returned several values: the worst status, with the reasons for it."""
    reports = [_writer_report(name, each) for each in returned]
    order: tuple[Any, ...] = ("failed", "refused", "succeeded", "skipped")
    status = min((report.status for report in reports), key=order.index)
    reasons = dict.fromkeys(report.reason for report in reports if report.status == status and report.reason)
    return PartReport(name, status, "; ".join(reasons), returned)


def _stat(returned: Any) -> str:
    """Return the summary line of a report, or the sizes of a tree."""
    if isinstance(returned, Tree):
        return ", ".join(f"{name} {len(branch):,}" for name, branch in returned.items())
    stat = getattr(returned, "stat", "")
    if not isinstance(stat, str):
        return ""
    return f"nothing was written; {stat}" if nothing_written(returned) else stat


class App:
    """Reads a tree once, and hands it to each writer in turn.

    The parts add their options; missing ones are named before anything is read. The writers get the same tree. If one
    fails, by raising or by a report that is not ok, the others run nevertheless.

    On a terminal, progress is shown on standard error. Elsewhere, such as under cron, only failures are, unless
    ``--verbose`` asks for more. A vocabulary may override the methods that call the parts.

    Args:
        reader: Makes the tree.
        writers: Write it.
        name: The program's name in the usage; by default that of the script.
        description: The first lines of ``--help``.
        version: The text of ``--version``; without one, the option does not exist.

    Raises:
        DeclarationError: if a part is no reader or writer.

    >>> from datastoresync import Branch, Object, Tree
    >>> class PeopleReader(Reader):
    ...     def read(self, args):
    ...         return Tree(branches={"users": Branch(Object, importer=[{"idnumber": "1", "name": "Ann"}])}).load()
    >>> class NamesWriter(Writer):
    ...     def add_arguments(self, parser):
    ...         parser.add_argument("--greeting", required=True)
    ...     def write(self, args, tree):
    ...         for user in tree.users.values():
    ...             print(args.greeting, user.name)
    >>> App(PeopleReader(), NamesWriter()).run(["--greeting", "Hello"])
    Hello Ann
    exit code 0
      succeeded: people-reader: users 1
      succeeded: names-writer
    """

    def __init__(
        self,
        reader: Reader,
        *writers: Writer,
        name: str | None = None,
        description: str | None = None,
        version: str | None = None,
    ) -> None:
        _check_part(reader, Reader, "a reader first: App(reader, writer)")
        for writer in writers:
            _check_part(writer, Writer, "writers behind the reader: App(reader, writer, another)")
        if not writers:
            message = "an application needs a writer: App(reader, writer)"
            raise DeclarationError(message)
        self.reader = reader
        self.writers = writers
        self.name = name
        self.description = description
        self.version = version
        self._reported: BaseException | None = None

    def main(self, argv: Sequence[str] | None = None) -> NoReturn:
        """Run, and end the process with the exit code; for scripts and entry points.

        Raises:
            SystemExit: always; with 0 on success, 1 if something failed, 2 if the command line is wrong, 3 if the
                safeguards refused something and nothing else failed, and 130 after Ctrl-C.
        """
        try:
            code = self.run(argv).exit_code
        except KeyboardInterrupt:
            code = 130
        except DeclarationError as error:
            if error is not self._reported:
                Console().say(f"failed: {reason_of(error)}", "failed")
            code = 1
        finish()
        sys.exit(code)

    def run(self, argv: Sequence[str] | None = None) -> AppReport:
        """Run, and return the report. Failures are also printed to standard error.

        Args:
            argv: The arguments; those of the process if None.

        Raises:
            SystemExit: if the command line is wrong, or asks for help.
            DeclarationError: if a part requires an argument that it did not add, or the reader is declared wrongly or
                returned no tree.
            SyncInterrupted: on Ctrl-C; it has the ``report`` up to then.
        """
        argv = hidden(list(sys.argv[1:] if argv is None else argv))
        return self.run_with(*self.command_line().parse(argv))

    def run_with(self, own: argparse.Namespace, part_args: Sequence[argparse.Namespace]) -> AppReport:
        """Run with the values of the options, as `run` does.

        Args:
            own: Those of the application itself; a ``console`` among them is used.
            part_args: Those of each part, the reader's first.

        Raises:
            DeclarationError: as `run`.
            SyncInterrupted: as `run`.
        """
        reader_args, *writer_args = part_args
        console = getattr(own, "console", None) or Console(verbose=own.verbose, quiet=own.quiet)
        run = AppRun(self._names(), console)
        with console.logging():
            read = run.attempt(0, "reading", lambda: self._read_tree(reader_args))
            if isinstance(read.error, DeclarationError):
                self._reported = read.error
                raise read.error
            # own.dry_run, since args.dry_run may be an option of the writer
            activity, method = ("previewing", self.preview) if own.dry_run else ("writing", self.write)
            if own.rehearse:
                activity, method = "rehearsing", self.rehearse
            for index, (writer, args) in enumerate(zip(self.writers, writer_args, strict=True), 1):
                if read.ok:
                    run.attempt(index, activity, partial(method, writer, args, read.returned))
        return run.report

    def command_line(self) -> CommandLine:
        """Return the command line: the options of all parts.

        Raises:
            DeclarationError: if a part adds an option twice, or requires one that it does not add.
        """
        sections = []
        for name, part in zip(self._names(), (self.reader, *self.writers), strict=True):
            parser = Arguments()
            try:
                self.add_arguments(part, parser)
            except argparse.ArgumentError as error:
                message = f"{name} adds an option twice: {error}"
                raise DeclarationError(message) from error
            kind: Literal["reader", "writer"] = "reader" if part is self.reader else "writer"
            summary = (type(part).__doc__ or "").strip().partition("\n")[0].replace("``", "")
            sections.append(Section(name, kind, summary, tuple(part.required_arguments), parser))
        return CommandLine(sections, name=self.name, description=self.description, version=self.version)

    # Calls of the parts.

    def add_arguments(self, part: AppPart, parser: Arguments) -> None:
        """Add the options of a part."""
        part.add_arguments(parser)

    def read(self, args: argparse.Namespace) -> Any:
        """Return the tree."""
        return self.reader.read(args)

    def check(self, value: Any) -> None:
        """Refuse a value of the reader that the writers cannot use.

        Raises:
            DeclarationError: if it is no tree, or one of its branches was never imported.
        """
        if not isinstance(value, Tree):
            hint = "" if value is not None else "; is a `return` missing?"
            message = f"{self.reader.name} must return a tree (got {type(value).__name__}){hint}"
            raise DeclarationError(message)
        unread = ", ".join(name for name, branch in value.items() if branch.side().not_imported)
        if unread:
            message = f"{self.reader.name} returned a tree that was never imported ({unread}): write `return +tree`"
            raise DeclarationError(message)

    def write(self, writer: Writer, args: argparse.Namespace, value: Any) -> Any:
        """Write by a writer, and return its value."""
        return writer.write(args, value)

    def preview(self, writer: Writer, args: argparse.Namespace, value: Any) -> Any:
        """Show the effect of a writer; without a ``preview``, print the size of the tree instead."""
        preview = getattr(writer, "preview", None)
        if callable(preview):
            return preview(args, value)
        say(f"{writer.name}: would write {counted(self.size(value), 'object')}")
        return skipped("it has no preview")

    def rehearse(self, writer: Writer, args: argparse.Namespace, value: Any) -> Any:
        """Let a writer do its work and undo it.

        Raises:
            DeclarationError: if it has no ``rehearse``; it is not called.
        """
        rehearse = getattr(writer, "rehearse", None)
        if not callable(rehearse):
            message = f"{writer.name} cannot be rehearsed, as it has no rehearse(args, tree): use --dry-run"
            raise DeclarationError(message)
        return rehearse(args, value)

    def size(self, value: Any) -> int:
        """Return the number of objects read."""
        return sum(len(value[name]) for name in value.branches)

    def _names(self) -> list[str]:
        return unique(part.name for part in (self.reader, *self.writers))

    def _read_tree(self, args: argparse.Namespace) -> Any:
        value = self.read(args)
        self.check(value)
        return value


def _check_part(part: Any, kind: type[AppPart], fix: str) -> None:
    if not isinstance(part, kind):
        hint = f": write {part.__name__}()" if isinstance(part, type) and issubclass(part, kind) else f": {fix}"
        message = f"{part!r} is not a {kind.__name__.lower()}{hint}"
        raise DeclarationError(message)

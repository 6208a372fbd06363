"""An application: a reader, writers, a command line, and one run of it."""

from __future__ import annotations

import argparse
import inspect
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NoReturn

import attrs

from datastoresync.app.cli import CommandLine, Section, unique
from datastoresync.app.console import Console, finish, say
from datastoresync.app.parts import Arguments, Part, Reader, Writer
from datastoresync.app.report import AppReport, PartReport
from datastoresync.applying.preview import Preview
from datastoresync.applying.result import Result, reason_of, skipped
from datastoresync.errors import DeclarationError, SafeguardError, SyncInterrupted
from datastoresync.printing.text import counted
from datastoresync.tree import Tree


class Run:
    """Calls parts, and keeps their reports.

    Args:
        names: The parts', the reader's first.
        console: Hears of them.
    """

    def __init__(self, names: Iterable[str], console: Console) -> None:
        self.reports = [PartReport(name, "pending") for name in names]
        self.console = console

    @property
    def report(self) -> AppReport:
        """What was done up to now."""
        return AppReport(self.reports[0], tuple(self.reports[1:]))

    def attempt(self, index: int, doing: str, call: Callable[[], Any]) -> PartReport:
        """Call a part, and return what became of it.

        Raises:
            SyncInterrupted: on Ctrl-C.
        """
        name = self.reports[index].name
        self.console.begin(name, doing)
        started = time.perf_counter()
        report = _attempted(name, call, _read if index == 0 else _judged)
        self.reports[index] = attrs.evolve(report, seconds=time.perf_counter() - started)
        self.console.end(self.reports[index])
        if report.status == "interrupted":
            raise SyncInterrupted(self.report) from report.error
        return self.reports[index]


def _attempted(name: str, call: Callable[[], Any], judge: Callable[[str, Any], PartReport]) -> PartReport:
    try:
        returned = call()
    except KeyboardInterrupt as error:
        done = getattr(error, "report", None)
        return PartReport(name, "interrupted", getattr(done, "stat", ""), done, error)
    except SafeguardError as error:
        return PartReport(name, "refused", str(error), None, error)
    except SystemExit as error:  # a part that wants to end it all ends only itself
        if error.code in (None, 0):
            return PartReport(name, "succeeded")
        return PartReport(name, "failed", reason_of(error), None, error)
    except Exception as error:  # noqa: BLE001 - whatever a part raises is reported, and keeps no other from running
        return PartReport(name, "failed", reason_of(error), None, error)
    return judge(name, returned)


def _read(name: str, returned: Any) -> PartReport:
    """Return the report of a reader that came to its end."""
    return PartReport(name, "succeeded", _stat(returned), returned)


def _judged(name: str, returned: Any) -> PartReport:
    """Return the report of a writer that came to its end, by what it says of itself."""
    undone = _undone(returned)
    if undone:
        return PartReport(name, "failed", undone)
    if isinstance(returned, (list, tuple)) and returned:
        return _worst(name, returned)
    if isinstance(returned, Preview):
        if returned.refused:
            reason = f"would be refused: {'; '.join(returned.refused)}"
            return PartReport(name, "refused", reason, returned)
        return PartReport(name, "succeeded", returned.stat, returned)
    if isinstance(returned, Result):
        match returned.status:
            case "succeeded" | "skipped" as status:
                return PartReport(name, status, returned.reason, returned)
            case _:
                return PartReport(name, "failed", returned.reason, returned)
    return PartReport(name, "succeeded" if getattr(returned, "ok", True) else "failed", _stat(returned), returned)


def _worst(name: str, returned: Sequence[Any]) -> PartReport:
    """Return the report of a writer that returned several: the worst of them, with all reasons that are as bad."""
    parts = [_judged(name, each) for each in returned]
    status = next(
        (bad for bad in ("failed", "refused", "succeeded") if any(part.status == bad for part in parts)), "skipped"
    )
    reasons = dict.fromkeys(part.reason for part in parts if part.status == status and part.reason)
    return PartReport(name, status, "; ".join(reasons), returned)  # type: ignore[arg-type]


def _undone(returned: Any) -> str:
    """Say why a writer that returned this has done nothing, or failed; nothing if it may have succeeded."""
    if returned is False:
        return "it returned False"
    if inspect.iscoroutine(returned):
        returned.close()
        return "it is async and was not run: write a plain method, with asyncio.run(…) in it"
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        return "it is a generator and was not run: write a method without yield"
    return ""


def _stat(returned: Any) -> str:
    """Return the one line that a report has for this, or for a tree how much there is in it."""
    if isinstance(returned, Tree):
        return ", ".join(f"{name} {len(branch):,}" for name, branch in returned.items())
    stat = getattr(returned, "stat", "")
    return stat if isinstance(stat, str) else ""


class App:
    """Reads a tree once, and hands it to each writer in turn.

    The parts add their options; all that is missing is named before anything is read. The writers get the same tree.
    One that fails, by raising or by a report that is not ok, keeps none of the others from running.

    On a terminal it says on standard error what it does. Elsewhere, under cron say, it is silent unless something goes
    wrong or ``--verbose`` asks for more. A vocabulary may override the methods by which it calls its parts.

    Args:
        reader: Where the tree comes from.
        writers: What is done with it.
        name: What the usage calls the program; by default the name of the script.
        description: What ``--help`` begins with.
        version: What ``--version`` shows; without one there is no such option.

    Raises:
        DeclarationError: if these are no parts.

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
        self._said: BaseException | None = None

    def main(self, argv: Sequence[str] | None = None) -> NoReturn:
        """Run, and end the process with the exit code: what a script and an entry point call.

        Raises:
            SystemExit: always; with 0 if all is well, 1 if something failed, 2 if the command line is wrong, 3 if the
                safeguards refused something and nothing else failed, and 130 after Ctrl-C.
        """
        try:
            code = self.run(argv).exit_code
        except KeyboardInterrupt:
            code = 130
        except DeclarationError as error:
            if error is not self._said:
                Console().say(f"failed: {reason_of(error)}", "failed")
            code = 1
        finish()
        sys.exit(code)

    def run(self, argv: Sequence[str] | None = None) -> AppReport:
        """Run, and return what was done. Failures are in the report, and on standard error.

        Args:
            argv: The arguments; those of the process if None.

        Raises:
            SystemExit: if the command line is wrong, or asks for help.
            DeclarationError: if a part requires an argument that it did not add, or the reader is declared wrongly or
                returned no tree.
            SyncInterrupted: on Ctrl-C; its ``report`` is what would have been returned.
        """
        own, (reading, *writing) = self.command_line().parse(argv)
        console = Console(verbose=own.verbose, quiet=own.quiet)
        run = Run(self._names(), console)
        with console.logging():
            read = run.attempt(0, "reading", lambda: self._tree(reading))
            if isinstance(read.error, DeclarationError):
                self._said = read.error
                raise read.error
            for index, (writer, args) in enumerate(zip(self.writers, writing, strict=True), 1):
                if read.ok:
                    self._hand_over(run, index, writer, args, read.returned, dry_run=own.dry_run)
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
            said = (type(part).__doc__ or "").strip().partition("\n")[0].replace("``", "")
            sections.append(Section(name, kind, said, tuple(part.required_arguments), parser))
        return CommandLine(sections, name=self.name, description=self.description, version=self.version)

    # How the parts are called.

    def add_arguments(self, part: Part, parser: Arguments) -> None:
        """Let a part add its options."""
        part.add_arguments(parser)

    def read(self, args: argparse.Namespace) -> Any:
        """Return what the reader reads."""
        return self.reader.read(args)

    def check(self, value: Any) -> None:
        """Refuse what the reader returned if it is not what the writers take.

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
        """Let a writer write, and return what it returns."""
        return writer.write(args, value)

    def preview(self, writer: Writer, args: argparse.Namespace, value: Any) -> Any:
        """Let a writer show what it would do; one without a ``preview`` is not called, and the size said instead."""
        preview = getattr(writer, "preview", None)
        if callable(preview):
            return preview(args, value)
        say(f"{writer.name}: would write {counted(self.size(value), 'object')}")
        return skipped("it has no preview")

    def size(self, value: Any) -> int:
        """Return how many objects the reader returned."""
        return sum(len(value[name]) for name in value.branches)

    def _names(self) -> list[str]:
        return unique(part.name for part in (self.reader, *self.writers))

    def _tree(self, args: argparse.Namespace) -> Any:
        value = self.read(args)
        self.check(value)
        return value

    def _hand_over(
        self, run: Run, index: int, writer: Writer, args: argparse.Namespace, value: Any, *, dry_run: bool
    ) -> None:
        if dry_run:  # not args.dry_run, which may be an option of the writer's own
            run.attempt(index, "previewing", lambda: self.preview(writer, args, value))
        else:
            run.attempt(index, "writing", lambda: self.write(writer, args, value))


def _check_part(part: Any, kind: type[Part], fix: str) -> None:
    if not isinstance(part, kind):
        hint = f": write {part.__name__}()" if isinstance(part, type) and issubclass(part, kind) else f": {fix}"
        message = f"{part!r} is not a {kind.__name__.lower()}{hint}"
        raise DeclarationError(message)

"""The readers, writers and application of tsut: native ones, under the old names."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from datastoresync import syncers
from datastoresync.app import App, AppReport, Reader, Writer
from datastoresync.app.parts import AppPart
from datastoresync.errors import DeclarationError
from datastoresync.vocabularies.tsut.model import UsersAndGroups
from datastoresync.vocabularies.tsut.principal import SHEET_KINDS, sheet_records, sheet_rows
from datastoresync.vocabularies.tsut.writer import ThoughtSpotWriter


def _overridden_method(part: object, *names: str) -> Any:
    """Return the method that the most derived class defines under one of these names."""
    return next(getattr(part, name) for cls in type(part).__mro__ for name in names if name in vars(cls))


class _TSUGPart(AppPart):
    """Required arguments, and options under either old name."""

    def __init__(self, required_arguments: Iterable[str] | None = None) -> None:
        super().__init__(required_arguments=required_arguments)

    def add_arguments(self, parser: Any) -> None:
        """Add the options by the method that a subclass defines."""
        _overridden_method(self, "add_parser_args", "add_parser_arguments")(parser)

    def add_parser_args(self, parser: Any) -> None:
        """Add options, as with `argparse`."""

    def add_parser_arguments(self, parser: Any) -> None:
        """Add options; another name of `add_parser_args`."""
        self.add_parser_args(parser)


class TSUGReader(_TSUGPart, Reader):
    """Reads users and groups. Subclass it, and write `get_users_and_groups`."""

    def read(self, args: argparse.Namespace) -> Any:
        """Return the users and groups."""
        return self.get_users_and_groups(args)

    def get_users_and_groups(self, args: argparse.Namespace) -> UsersAndGroups:  # noqa: ARG002 - a hook
        """Return the users and groups, given the values of the options."""
        message = f"{type(self).__name__} must define get_users_and_groups(args)"
        raise DeclarationError(message)


class TSUGWriter(_TSUGPart, Writer):
    """Writes users and groups. Subclass it, and write `write_users_and_groups`, or `write_user_and_groups`."""

    def write(self, args: argparse.Namespace, tree: Any) -> Any:
        """Write the users and groups by the method that a subclass defines."""
        return _overridden_method(self, "write_users_and_groups", "write_user_and_groups")(args, tree)

    def write_users_and_groups(self, args: argparse.Namespace, ugs: UsersAndGroups) -> Any:  # noqa: ARG002 - a hook
        """Write the users and groups, given the values of the options. To fail, raise."""
        message = f"{type(self).__name__} must define write_users_and_groups(args, ugs)"
        raise DeclarationError(message)

    def write_user_and_groups(self, args: argparse.Namespace, ugs: UsersAndGroups) -> Any:
        """Write the users and groups; another name of `write_users_and_groups`."""
        return self.write_users_and_groups(args, ugs)


class TSUserGroupSyncApp(App):
    """Reads users and groups once, and hands them to each writer; native writers get their tree.

    Args:
        reader: A `TSUGReader`.
        writers: A writer, or a list of them.
    """

    def __init__(self, reader: Reader, writers: Writer | Iterable[Writer], **options: Any) -> None:
        super().__init__(reader, *([writers] if isinstance(writers, Writer) else writers), **options)

    def run(self, argv: Sequence[str] | None = None) -> AppReport:
        """Run, and return what was done.

        Raises:
            SystemExit: with code 2 if the command line is wrong, naming missing arguments before anything is read;
                after all writers, with 1 if something failed, and with 3 if only safeguards refused.
        """
        report = super().run(argv)
        if not report.ok:
            raise SystemExit(report.exit_code)
        return report

    def check(self, value: Any) -> None:
        """Refuse a value other than users and groups."""
        if not isinstance(value, UsersAndGroups):
            message = f"{self.reader.name} must return UsersAndGroups (got {type(value).__name__})"
            raise DeclarationError(message)

    def size(self, value: Any) -> int:
        """Return the number of users and groups."""
        return super().size(value.tree)

    def write(self, writer: Writer, args: argparse.Namespace, value: Any) -> Any:
        """Write by a writer."""
        return super().write(writer, args, value if isinstance(writer, TSUGWriter) else value.tree)

    def preview(self, writer: Writer, args: argparse.Namespace, value: Any) -> Any:
        """Show the effect of a writer."""
        return super().preview(writer, args, value if isinstance(writer, TSUGWriter) else value.tree)


class _FilePart(_TSUGPart):
    """A part with one option, the file."""

    _suffix = ".json"

    def __init__(self, required_arguments: Iterable[str] | None = None) -> None:
        super().__init__(["filename", *(required_arguments or ())])

    def add_parser_args(self, parser: Any) -> None:
        """Add the name of the file."""
        super().add_parser_args(parser)
        parser.add_argument("--filename", metavar="FILE", type=self._file, help=f"the file, a *{self._suffix}")

    def _file(self, text: str) -> str:
        """Return the name of a file; syncers take other names for folders.

        Raises:
            ArgumentTypeError: if it does not end in the format's suffix.
        """
        if Path(text).suffix.lower() != self._suffix:
            message = f"a file that ends in {self._suffix} is needed (got {text!r})"
            raise argparse.ArgumentTypeError(message)
        return text


class TSUGJsonReader(_FilePart, TSUGReader):
    """Reads a JSON file: a list of users and groups, as ThoughtSpot exports them."""

    def get_users_and_groups(self, args: argparse.Namespace) -> UsersAndGroups:
        """Return the users and groups in the file."""
        read = UsersAndGroups()
        read.add_records(syncers.JSONSyncer(args.filename).load(Path(args.filename).stem))
        return read


class TSUGJsonWriter(_FilePart, TSUGWriter):
    """Writes a JSON file: a list of users and groups, passwords too."""

    def write_users_and_groups(self, args: argparse.Namespace, ugs: UsersAndGroups) -> None:
        """Write the file."""
        syncers.JSONSyncer(args.filename).dump(Path(args.filename).stem, data=ugs.records())


class TSUGXLSReader(_FilePart, TSUGReader):
    """Reads an Excel workbook with sheets Users and Groups."""

    name = "tsug-xls-reader"
    _suffix = ".xlsx"

    def get_users_and_groups(self, args: argparse.Namespace) -> UsersAndGroups:
        """Return the users and groups in the workbook."""
        read = UsersAndGroups()
        workbook = syncers.ExcelSyncer(args.filename)
        for sheet in SHEET_KINDS:
            read.add_records(sheet_records(sheet, workbook.load(sheet)))
        return read


class TSUGXLSWriter(_FilePart, TSUGWriter):
    """Writes an Excel workbook with sheets Users and Groups, passwords too."""

    name = "tsug-xls-writer"
    _suffix = ".xlsx"

    def write_users_and_groups(self, args: argparse.Namespace, ugs: UsersAndGroups) -> None:
        """Write the workbook; other sheets in it stay."""
        workbook = syncers.ExcelSyncer(args.filename)
        workbook.dump("Users", data=sheet_rows(ugs.get_users()))
        workbook.dump("Groups", data=sheet_rows(ugs.get_groups()))


class TSUGStdOutWriter(TSUGWriter):
    """Writes users and groups to standard output as JSON, a line each, without their passwords."""

    def write_users_and_groups(self, args: argparse.Namespace, ugs: UsersAndGroups) -> None:  # noqa: ARG002 - a hook
        """Write the lines."""
        for record in ugs.records():
            record.pop("password", None)
            sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")


class TSUGSyncWriter(TSUGWriter):
    """Writes to ThoughtSpot, through the native `ThoughtSpotWriter`, by tsut's names of its options."""

    def __init__(
        self, required_arguments: Iterable[str] | None = None, *, native: ThoughtSpotWriter | None = None
    ) -> None:
        super().__init__(["ts_url", "username", *(required_arguments or ())])
        self._native = ThoughtSpotWriter() if native is None else native

    def add_parser_args(self, parser: Any) -> None:
        """Add the options of the native writer, and ``--validate_only``."""
        super().add_parser_args(parser)
        renaming: Any = _RenamingParser(parser)
        self._native.add_arguments(renaming)
        parser.add_argument("--validate_only", action="store_true", help="show the changes without making them")

    def write_users_and_groups(self, args: argparse.Namespace, ugs: UsersAndGroups) -> Any:
        """Write them, or preview with ``--validate_only``."""
        return self.preview(args, ugs) if args.validate_only else self._native.write(_native(args), ugs.tree)

    def preview(self, args: argparse.Namespace, ugs: UsersAndGroups) -> Any:
        """Ask ThoughtSpot for the changes, without making them."""
        return self._native.preview(_native(args), ugs.tree)


_OLD_NAMES = MappingProxyType({"url": "ts_url", "initial_password": "global_password"})


class _RenamingParser:
    """A parser that adds the native options under tsut's names."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser

    def add_argument(self, flag: str, **settings: Any) -> Any:
        """Add an option under its old name."""
        name = flag.removeprefix("--").replace("-", "_")
        return self._parser.add_argument(f"--{_OLD_NAMES.get(name, name)}", **settings)


def _native(args: argparse.Namespace) -> argparse.Namespace:
    """Return the values under the native names too."""
    return argparse.Namespace(**vars(args), **{name: getattr(args, old) for name, old in _OLD_NAMES.items()})

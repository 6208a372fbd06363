"""The readers, writers and application of tsut: native ones, under the old names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from datastoresync.app import App, AppReport, ExitCode, Reader, Writer
from datastoresync.app.parts import AppPart
from datastoresync.errors import DeclarationError
from datastoresync.vocabularies.tsut.api import SyncUserAndGroups
from datastoresync.vocabularies.tsut.io import (
    UGJsonReader,
    UGXLSReader,
    UGXLSWriter,
    read_csv,
    write_csv,
    write_json,
)
from datastoresync.vocabularies.tsut.model import UsersAndGroups
from datastoresync.vocabularies.tsut.principal import compact_json
from datastoresync.vocabularies.tsut.util import add_cnx_parser_arguments, eprint
from datastoresync.vocabularies.tsut.writer import ThoughtSpotWriter


def _overridden_method(part: object, *names: str) -> Any:
    """Return the method that the most derived class defines under one of these names."""
    return next(getattr(part, name) for cls in type(part).__mro__ for name in names if name in vars(cls))


class _TSUGPart(AppPart):
    """Required arguments, and options under either old name."""

    def __init__(self, required_arguments: Iterable[str] | None = None) -> None:
        super().__init__(required_arguments=required_arguments)

    def get_required_arguments(self) -> list[str]:
        """Return the names of the options that must have a value."""
        return list(self.required_arguments)

    def has_valid_arguments(self, args: argparse.Namespace) -> bool:
        """Say whether all required options have a value, and print which have none; override it to check more."""
        names = [name.lstrip("-") for name in self.get_required_arguments()]
        missing = [name for name in names if getattr(args, name.replace("-", "_"), None) in (None, "", [])]
        if missing:
            eprint(f"{self.name}: missing arguments: {', '.join(f'--{name}' for name in missing)}")
        return not missing

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
            SystemExit: with an `ExitCode`: 2 if the command line is wrong, naming missing arguments before anything is
                read; after all writers, 1 if something failed, 5 if something else was done, 3 if only safeguards
                refused; 130 after Ctrl-C, and then ``__cause__`` may have a ``report``.
        """
        try:
            report = super().run(argv)
        except KeyboardInterrupt as error:
            raise SystemExit(ExitCode.INTERRUPTED) from error
        if not report.ok:
            raise SystemExit(report.exit_code)
        return report

    def get_args(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        """Return the values of the options of all parts; of options of one name, that of the first part.

        Args:
            argv: The arguments; those of the process if None.

        Raises:
            SystemExit: with code 2 if they are wrong, or some are missing.
        """
        return _merged(self.command_line().parse(list(sys.argv[1:] if argv is None else argv))[1])

    def get_required_arguments(self) -> list[str]:
        """Return the names of the options that must have a value, of all parts."""
        return list(dict.fromkeys(name for part in self._parts for name in part.required_arguments))

    def has_valid_arguments(self, args: argparse.Namespace) -> bool:
        """Say whether all parts take the values of their options; each prints what it lacks."""
        given = getattr(args, "of_parts", None) or [args] * len(self._parts)
        parts = [(part, each) for part, each in zip(self._parts, given, strict=True) if isinstance(part, _TSUGPart)]
        valid = [part.has_valid_arguments(each) for part, each in parts]  # each is asked, even if the first has said no
        return all(valid)

    def run_with(self, own: argparse.Namespace, part_args: Sequence[argparse.Namespace]) -> AppReport:
        """Run with the values of the options, if all parts take them.

        Raises:
            SystemExit: with code 2 if a part does not take them; nothing was read.
        """
        if not self.has_valid_arguments(_merged(part_args)):
            raise SystemExit(ExitCode.WRONG_CALL)
        return super().run_with(own, part_args)

    @property
    def _parts(self) -> tuple[AppPart, ...]:
        return (self.reader, *self.writers)

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


def _merged(arguments: Sequence[argparse.Namespace]) -> argparse.Namespace:
    values: dict[str, Any] = {}
    for each in arguments:
        values = {**vars(each), **values}
    return argparse.Namespace(**values, of_parts=list(arguments))


class _FilePart(_TSUGPart):
    """A part with one option, the file, which may have any name."""

    def __init__(self, required_arguments: Iterable[str] | None = None) -> None:
        super().__init__(["filename", *(required_arguments or ())])

    def add_parser_args(self, parser: Any) -> None:
        """Add the name of the file."""
        super().add_parser_args(parser)
        parser.add_argument("--filename", metavar="FILE", help="the file")


class TSUGJsonReader(_FilePart, TSUGReader):
    """Reads a JSON file: a list of users and groups, as ThoughtSpot exports them."""

    def get_users_and_groups(self, args: argparse.Namespace) -> UsersAndGroups:
        """Return the users and groups in the file."""
        return UGJsonReader().read_from_file(args.filename)


class TSUGJSONWriter(_FilePart, TSUGWriter):
    """Writes a JSON file: a list of users and groups, passwords too."""

    name = "tsug-json-writer"

    def write_users_and_groups(self, args: argparse.Namespace, ugs: UsersAndGroups) -> None:
        """Write the file."""
        write_json(ugs, args.filename)


class TSUGXLSXReader(_FilePart, TSUGReader):
    """Reads an Excel workbook with sheets Users and Groups."""

    name = "tsug-xls-reader"

    def get_users_and_groups(self, args: argparse.Namespace) -> UsersAndGroups:
        """Return the users and groups in the workbook."""
        return UGXLSReader().read_from_excel(args.filename)


class TSUGXLSXWriter(_FilePart, TSUGWriter):
    """Writes an Excel workbook with sheets Users and Groups, passwords too."""

    name = "tsug-xls-writer"

    def write_users_and_groups(self, args: argparse.Namespace, ugs: UsersAndGroups) -> None:
        """Write the workbook; other sheets in it stay."""
        UGXLSWriter().write(ugs, args.filename)


class _CSVPart(_TSUGPart):
    """A part with two files.

    Args:
        required_arguments: Further required options.
        delimiter: What separates the columns.
    """

    def __init__(self, required_arguments: Iterable[str] | None = None, *, delimiter: str = ",") -> None:
        super().__init__(["user_csv", *(required_arguments or ())])
        self.delimiter = delimiter

    def add_parser_args(self, parser: Any) -> None:
        """Add the names of the files."""
        super().add_parser_args(parser)
        parser.add_argument("--user_csv", metavar="FILE", help="the CSV file of users")
        parser.add_argument("--group_csv", metavar="FILE", help="the CSV file of groups")


class TSUGCSVReader(_CSVPart, TSUGReader):
    """Reads users from a CSV file, and groups from another one if it is given."""

    name = "tsug-csv-reader"

    def get_users_and_groups(self, args: argparse.Namespace) -> UsersAndGroups:
        """Return the users and groups in the files."""
        read = UsersAndGroups()
        for filename, sheet in ((args.user_csv, "Users"), (args.group_csv, "Groups")):
            if filename:
                read.add_records(read_csv(filename, sheet, delimiter=self.delimiter))
        return read


class TSUGCSVWriter(_CSVPart, TSUGWriter):
    """Writes users to a CSV file, passwords too, and groups to another one."""

    name = "tsug-csv-writer"

    def __init__(self, required_arguments: Iterable[str] | None = None, *, delimiter: str = ",") -> None:
        super().__init__(["group_csv", *(required_arguments or ())], delimiter=delimiter)

    def write_users_and_groups(self, args: argparse.Namespace, ugs: UsersAndGroups) -> None:
        """Write the files."""
        write_csv(ugs.get_users(), args.user_csv, "Users", delimiter=self.delimiter)
        write_csv(ugs.get_groups(), args.group_csv, "Groups", delimiter=self.delimiter)


class TSUGStdOutWriter(TSUGWriter):
    """Writes users and groups to standard output as JSON, a line each, without their passwords."""

    def write_users_and_groups(self, args: argparse.Namespace, ugs: UsersAndGroups) -> None:  # noqa: ARG002 - a hook
        """Write the lines."""
        for record in ugs.records():
            record.pop("password", None)
            sys.stdout.write(compact_json(record) + "\n")


class TSUGOutputWriter(TSUGWriter):
    """Writes to standard output, an Excel workbook or a JSON file, as ``--output_type`` says."""

    name = "tsug-output-writer"

    def add_parser_args(self, parser: Any) -> None:
        """Add the kind of the output, and the name of the file."""
        super().add_parser_args(parser)
        parser.add_argument(
            "--output_type", choices=_OUTPUTS, default="stdout", help="what to write; by default stdout"
        )
        parser.add_argument("--filename", metavar="FILE", help="the file, unless it is stdout")

    def has_valid_arguments(self, args: argparse.Namespace) -> bool:
        """Say whether there is a file if one is needed."""
        missing = args.output_type != "stdout" and not args.filename
        if missing:
            eprint(f"{self.name}: --output_type {args.output_type} needs a --filename")
        return super().has_valid_arguments(args) and not missing

    def write_users_and_groups(self, args: argparse.Namespace, ugs: UsersAndGroups) -> None:
        """Write them."""
        _OUTPUTS[args.output_type]().write_users_and_groups(args, ugs)


_OUTPUTS: Final[Mapping[str, type[TSUGWriter]]] = MappingProxyType(
    {
        "stdout": TSUGStdOutWriter,
        **dict.fromkeys(("excel", "xls", "xlsx"), TSUGXLSXWriter),
        "json": TSUGJSONWriter,
    }
)


class TSUGSyncReader(TSUGReader):
    """Reads users and groups from ThoughtSpot, with the privileges of groups."""

    name = "tsug-sync-reader"

    def __init__(self, required_arguments: Iterable[str] | None = None) -> None:
        super().__init__(["ts_url", "username", *(required_arguments or ())])

    def add_parser_args(self, parser: Any) -> None:
        """Add the options of the connection."""
        super().add_parser_args(parser)
        add_cnx_parser_arguments(parser)

    def get_users_and_groups(self, args: argparse.Namespace) -> UsersAndGroups:
        """Return all users and groups.

        Raises:
            SyncerError: ThoughtSpot cannot be reached, or refuses.
        """
        return SyncUserAndGroups(args.ts_url, args.username, args.password, args.disable_ssl).get_all_users_and_groups()


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
    """A parser that adds the native options under tsut's names, and with hyphens, as messages have them."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser

    def add_argument(self, flag: str, **settings: Any) -> Any:
        """Add an option under its old name."""
        name = flag.removeprefix("--").replace("-", "_")
        flags = (f"--{_OLD_NAMES[name]}",) if name in _OLD_NAMES else dict.fromkeys((f"--{name}", flag))
        return self._parser.add_argument(*flags, **settings)


def _native(args: argparse.Namespace) -> argparse.Namespace:
    """Return the values under the native names too."""
    return argparse.Namespace(**vars(args), **{name: getattr(args, old) for name, old in _OLD_NAMES.items()})


TSUGJsonWriter = TSUGJSONWriter
TSUGXLSReader = TSUGXLSXReader
TSUGXLSWriter = TSUGXLSXWriter

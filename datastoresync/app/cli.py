"""The command line of an application: the options of all parts in one parser, under unique names."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Literal, NoReturn

import attrs

from datastoresync.app.console import QUIET, VERBOSE
from datastoresync.app.exit_codes import HELP
from datastoresync.app.parts import Argument, Arguments
from datastoresync.errors import DeclarationError
from datastoresync.masking import masked
from datastoresync.spelling import closest


@attrs.frozen(eq=False)
class Section:
    """The options of a part.

    Args:
        name: The unique name of the part.
        kind: Its kind.
        description: Its summary, or ``""``.
        required: The names in ``args`` that must have a value.
        parser: The parser with its options.
    """

    name: str
    kind: Literal["reader", "writer"]
    description: str
    required: tuple[str, ...]
    parser: Arguments

    @property
    def title(self) -> str:
        """The heading in ``--help``."""
        return f"{self.name} ({self.kind})"

    @property
    def slug(self) -> str:
        """The name, in a form fit for an option."""
        return re.sub(r"[^\w.]+", "-", self.name).strip("-") or self.kind


def unique(names: Iterable[str]) -> list[str]:
    """Return the names, with a number behind repeated ones.

    >>> unique(["csv", "csv", "excel", "csv"])
    ['csv', 'csv-2', 'excel', 'csv-3']
    """
    given = list(names)
    taken: set[str] = set()
    found: list[str] = []
    for name in given:
        free = name
        number = count(2)
        while free in taken or (free != name and free in given):
            free = f"{name}-{next(number)}"
        taken.add(free)
        found.append(free)
    return found


def unique_flags(sections: Sequence[Section], reserved: Collection[str]) -> Mapping[Argument, tuple[str, ...]]:
    """Return the flags of each argument on the command line.

    A flag that is reserved, or belongs to two arguments, gets the part's name as a prefix. An argument whose derived
    flags clash (``--no-x`` of ``--x``) has all its flags renamed.
    """
    arguments = [argument for section in sections for argument in section.parser.arguments]
    uses = Counter(string for argument in arguments for string in argument.action.option_strings)
    uses.update(reserved)
    taken = set(uses)
    found: dict[Argument, tuple[str, ...]] = {}
    slugs = unique(section.slug for section in sections)
    for section, slug in zip(sections, slugs, strict=True):
        for argument in section.parser.arguments:
            clashing = {string for string in argument.action.option_strings if uses[string] > 1}
            derived = bool(clashing.difference(argument.flags))
            found[argument] = tuple(
                _prefixed(argument, slug, flag, taken) if flag in clashing or derived else flag
                for flag in argument.flags
            )
    return found


def _prefixed(argument: Argument, slug: str, flag: str, taken: set[str]) -> str:
    """Return a free flag with a prefix, and mark it and its derived flags as taken."""
    base = f"--{slug}-{flag.lstrip('-')}"
    candidates = (base if number == 1 else f"{base}-{number}" for number in count(1))
    free = next(candidate for candidate in candidates if taken.isdisjoint(argument.option_strings((candidate,))))
    taken.update(argument.option_strings((free,)))
    return free


DRY_RUN = "show the changes without making them"
REHEARSE = "make the changes, report, and undo them"


class CommandLine:
    """The application's own options, and a section of options for each part.

    Args:
        sections: The sections, in the order of ``--help``.
        name: The program's name in the usage; None for that of the script.
        description: The first lines of ``--help``.
        version: The text of ``--version``; without one, the option does not exist.

    Raises:
        DeclarationError: if a part requires an argument that it did not add.
    """

    def __init__(
        self,
        sections: Sequence[Section],
        *,
        name: str | None = None,
        description: str | None = None,
        version: str | None = None,
    ) -> None:
        self._sections = sections
        self._name = name
        self._description = description
        self._version = version
        self._required = [set(_required_arguments(section)) for section in sections]
        reserved = self._add_own(_Parser(add_help=True))
        self._flags = unique_flags(sections, reserved)
        positional = Counter(_label(each) for each in self._flags if each.positional)
        self._ambiguous = {label for label, uses in positional.items() if uses > 1}
        self._help_parser = self._build(parsing=False)
        self._parser = self._build(parsing=True)
        self._parser.help_parser = self._help_parser

    def help(self) -> str:
        """Return the text of ``--help``."""
        return self._help_parser.format_help()

    def parse(self, argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[argparse.Namespace]]:
        """Return the application's own values, and for each section its values under its own names.

        Raises:
            SystemExit: with code 2 if something is wrong, after printing all missing arguments to standard error;
                with code 0 after ``--help``.
        """
        namespace, unknown = self._parser.parse_known_args(argv)
        given = vars(namespace)
        values = [_values(index, section, given) for index, section in enumerate(self._sections)]
        problems = [*self._unrecognized(unknown), *self._missing(given, values)]
        if problems:
            self._parser.error("\n".join(problems))
        own = {key: value for key, value in given.items() if "." not in key}
        return argparse.Namespace(**own), [argparse.Namespace(**{**own, **each}) for each in values]

    def _add_own(self, parser: argparse.ArgumentParser) -> list[str]:
        """Add the application's own options, and return their flags."""
        trials = parser.add_mutually_exclusive_group()
        actions = [
            trials.add_argument("--dry-run", action="store_true", help=DRY_RUN),
            trials.add_argument("--rehearse", action="store_true", help=REHEARSE),
            parser.add_argument("-v", "--verbose", action="count", default=0, help=VERBOSE),
            parser.add_argument("-q", "--quiet", action="store_true", help=QUIET),
        ]
        if self._version is not None:
            action = parser.add_argument("--version", action="version", version=f"%(prog)s {self._version}")
            actions.append(action)
        return ["-h", "--help", *(string for action in actions for string in action.option_strings)]

    def _build(self, *, parsing: bool) -> _Parser:
        """Return the parser for ``--help``, or the one for parsing, which leaves missing arguments to `_missing`."""
        parser = _Parser(
            prog=self._name,
            description=self._description,
            epilog=HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._add_own(parser)
        for index, section in enumerate(self._sections):
            group = parser.add_argument_group(section.title, section.description or None)
            groups: dict[Arguments, Any] = {section.parser: group}
            self._add_groups(parser, section, section.parser, groups, parsing=parsing)
            for argument in section.parser.arguments:
                action = groups[argument.group].add_argument(*self._flags[argument], **argument.settings)
                action.help, action.default = argument.action.help, argument.action.default
                action.metavar = self._metavar(section, argument)
                action.required = not parsing and argument in self._required[index]
                if parsing and (argument.required or argument.group.required):
                    action.default = argparse.SUPPRESS  # so that an argument not given is absent
                if action.dest != argparse.SUPPRESS:
                    action.dest = f"{index}.{argument.action.dest}"
        return parser

    def _add_groups(
        self, parser: _Parser, section: Section, parent: Arguments, groups: dict[Arguments, Any], *, parsing: bool
    ) -> None:
        for group in parent.groups:
            if group.exclusive:
                groups[group] = groups[parent].add_mutually_exclusive_group(required=group.required and not parsing)
            else:
                title = f"{section.name}: {group.title}" if group.title else section.name
                groups[group] = parser.add_argument_group(title, group.description)
            self._add_groups(parser, section, group, groups, parsing=parsing)

    def _metavar(self, section: Section, argument: Argument) -> Any:
        action = argument.action
        if argument.positional:
            label = _label(argument)
            return f"{section.slug}-{label}" if label in self._ambiguous else action.metavar or _plain(action)
        if action.metavar is not None or action.choices is not None or action.nargs == 0:
            return action.metavar
        return action.dest.upper()

    def _unrecognized(self, unknown: Sequence[str]) -> Iterator[str]:
        """Name unknown arguments, without values that may belong to a mistyped option."""
        options = [text.partition("=")[0] for text in unknown if text.startswith("-") and text != "-"]
        known = [string for argument, flags in self._flags.items() for string in argument.option_strings(flags)]
        for option in options:
            renamed = ["/".join(flags) for argument, flags in self._flags.items() if option in argument.flags]
            near = renamed or list(filter(None, [closest(option, known)]))
            either = " or ".join(near)
            shown = option if option.startswith("--") or near else option[:2]  # a value may follow
            yield f"unrecognized argument: {shown}{f' (did you mean {either}?)' if near else ''}"
        if unknown and not options:
            yield f"unrecognized arguments: {' '.join(unknown)}"

    def _missing(self, given: dict[str, Any], values: Sequence[dict[str, Any]]) -> list[str]:
        """Return a line for each part with missing arguments."""
        lines = []
        for index, section in enumerate(self._sections):
            names = []
            for argument in section.parser.arguments:
                name = argument.action.dest
                lacks = f"{index}.{name}" not in given if argument.required else values[index].get(name) in (None, [])
                if lacks and argument in self._required[index]:
                    names.append(self._display_name(section, argument))
            for group in section.parser.required_groups:
                members = [argument for argument in section.parser.arguments if argument.group is group]
                if not any(f"{index}.{argument.action.dest}" in given for argument in members):
                    names.append(f"one of {', '.join(self._display_name(section, each) for each in members)}")
            if names:
                lines.append(f"  {section.name}: {', '.join(names)}")
        return ["missing arguments:", *lines] if lines else []

    def _display_name(self, section: Section, argument: Argument) -> str:
        if argument.positional:
            label = self._metavar(section, argument)
            return label if isinstance(label, str) else argument.action.dest
        return "/".join(self._flags[argument])


class _Parser(argparse.ArgumentParser):
    """Shows another parser's help and usage, and hides passwords in errors."""

    help_parser: argparse.ArgumentParser | None = None

    def format_help(self) -> str:
        return super().format_help() if self.help_parser is None else self.help_parser.format_help()

    def format_usage(self) -> str:
        return super().format_usage() if self.help_parser is None else self.help_parser.format_usage()

    def error(self, message: str) -> NoReturn:
        super().error(masked(message))


def _required_arguments(section: Section) -> Iterator[Argument]:
    """Yield the required arguments: declared so, or named in ``required_arguments``."""
    arguments = section.parser.arguments
    names = {argument.action.dest: argument for argument in reversed(arguments)}
    for name in section.required:
        plain = name.lstrip("-").replace("-", "_")
        if plain not in names and name not in names:
            has = ", ".join(names) or "none"
            message = f"{section.name} requires the argument {name!r}, which it does not add: it adds {has}"
            raise DeclarationError(message)
        yield names[name if name in names else plain]
    yield from (argument for argument in arguments if argument.required)


def _values(index: int, section: Section, given: dict[str, Any]) -> dict[str, Any]:
    """Return a section's values under its own names."""
    values: dict[str, Any] = {}
    for argument in section.parser.arguments:
        name = argument.action.dest
        if f"{index}.{name}" in given:
            values[name] = given[f"{index}.{name}"]
        elif name not in values and argument.group.required:
            default, convert = argument.action.default, argument.action.type
            values[name] = convert(default) if isinstance(default, str) and callable(convert) else default
    for name, value in section.parser.defaults.items():
        values.setdefault(name, value)
    return {name: value for name, value in values.items() if value is not argparse.SUPPRESS}


def _label(argument: Argument) -> str:
    return str(argument.action.metavar or argument.action.dest)


def _plain(action: argparse.Action) -> str | None:
    return None if action.choices is not None else action.dest

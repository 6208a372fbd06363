"""The options of several parts on one command line: each part has its own, whatever the others have."""

from __future__ import annotations

import argparse
import contextlib
import io
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from datastoresync import DeclarationError
from datastoresync.app.cli import CommandLine, Section, unique
from datastoresync.app.parts import Arguments

OWN = {"dry_run", "rehearse", "verbose", "quiet"}
FLAGS = ["--file", "--no-file", "--out", "--a-file", "--b-c", "--c", "--a-b-c", "--dry-run", "--help", "--verbose"]
SHORT = ["-f", "-v", "-q", "-h", "-o"]
KINDS = {
    "text": ({}, ["x"]),
    "number": ({"type": int, "default": 3}, ["7"]),
    "converted default": ({"type": int, "default": "5"}, ["8"]),
    "several": ({"nargs": "+"}, ["1", "2"]),
    "append": ({"action": "append", "default": ["zero"]}, ["one"]),
    "count": ({"action": "count", "default": 2}, []),
    "switch": ({"action": "store_true"}, []),
    "constant": ({"action": "store_const", "const": "c"}, []),
    "boolean": ({"action": argparse.BooleanOptionalAction}, []),
    "choice": ({"choices": ["red", "green"]}, ["green"]),
    "silent": ({"default": argparse.SUPPRESS}, ["x"]),
    "required": ({"required": True}, ["x"]),
    "secret": ({"help": argparse.SUPPRESS}, ["x"]),
}

options = st.tuples(
    st.lists(st.sampled_from(FLAGS + SHORT), min_size=1, max_size=2, unique=True),
    st.sampled_from(sorted(KINDS)),
    st.booleans(),
)
positionals = st.tuples(st.just(["thing"]), st.sampled_from(["text", "number"]), st.just(True))
parts = st.lists(
    st.tuples(st.sampled_from(["a", "a-b", "b", "CSV reader", "a"]), st.lists(options | positionals, max_size=4)),
    min_size=1,
    max_size=4,
)


def add(parser, flags, kind, *, optional=False):
    settings = dict(KINDS[kind][0])
    if not flags[0].startswith("-"):
        settings.pop("default", None)
    if optional:
        settings.pop("required", None)
    return parser.add_argument(*flags, **settings)


def declared(drawn):
    """Return the options that one parser of its own can have, and that parser, which is the oracle."""
    alone, kept = argparse.ArgumentParser(add_help=False, allow_abbrev=False), []
    names = set()
    for flags, kind, is_given in drawn:
        if kind == "boolean" and not any(flag.startswith("--") for flag in flags):
            continue
        trial = argparse.ArgumentParser(add_help=False).add_argument(*flags, **KINDS[kind][0])
        if trial.dest in names or any(string in alone._option_string_actions for string in trial.option_strings):
            continue
        names.add(trial.dest)
        add(alone, flags, kind)
        kept.append((flags, kind, is_given or kind == "required"))
    return kept, alone


def sections_of(drawn):
    names = unique(name for name, _ in drawn)
    oracles, sections = [], []
    for name, (_, options_drawn) in zip(names, drawn, strict=True):
        kept, alone = declared(options_drawn)
        parser = Arguments()
        for flags, kind, _ in kept:
            add(parser, flags, kind)
        sections.append(Section(name, "reader" if not sections else "writer", "", (), parser))
        oracles.append((kept, alone))
    return sections, oracles


def argv_of(section, kept, flags_of):
    named, placed = [], []
    for argument, (_, kind, is_given) in zip(section.parser.arguments, kept, strict=True):
        if argument.positional:
            placed.append(KINDS[kind][1][0])
        elif is_given:
            named += [flags_of(argument)[-1], *KINDS[kind][1]]
    return named, placed


@given(parts)
def test_each_part_gets_back_its_own_values_whatever_the_others_declare(drawn):
    sections, oracles = sections_of(drawn)
    line = CommandLine(sections, name="app", version="1")
    together, behind, expected = [], [], []
    for section, (kept, alone) in zip(sections, oracles, strict=True):
        named, placed = argv_of(section, kept, line._flags.__getitem__)
        together += named
        behind += placed
        named, placed = argv_of(section, kept, lambda argument: argument.flags)
        expected.append(vars(alone.parse_args([*named, "--", *placed] if placed else named)))
    own, found = line.parse([*together, "--", *behind] if behind else together)
    assert vars(own) == {"dry_run": False, "rehearse": False, "verbose": False, "quiet": False}
    for values, wanted in zip(found, expected, strict=True):
        assert {name: value for name, value in vars(values).items() if name not in OWN - wanted.keys()} == wanted


@given(parts)
def test_no_two_parts_share_an_option_and_what_does_not_clash_keeps_its_name(drawn):
    sections, _ = sections_of(drawn)
    line = CommandLine(sections, name="app")
    arguments = [argument for section in sections for argument in section.parser.arguments]
    strings = [string for argument in arguments for string in argument.option_strings(line._flags[argument])]
    own = ["-h", "--help", "--dry-run", "--rehearse", "-v", "--verbose", "-q", "--quiet"]
    assert len({*strings, *own}) == len([*strings, *own])
    # A boolean called both --x and --no-x clashes with itself: argparse derives the second from the first.
    assume(all(len({*each.action.option_strings}) == len(each.action.option_strings) for each in arguments))
    original = [string for argument in arguments for string in argument.action.option_strings] + own
    assert not {string for string in original if original.count(string) > 1} & set(strings)
    for argument in arguments:
        if all(original.count(string) == 1 for string in argument.action.option_strings):
            assert line._flags[argument] == argument.flags


@given(parts)
def test_every_option_is_in_the_help_under_its_part(drawn):
    sections, _ = sections_of(drawn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "1000")
        line = CommandLine(sections, name="app")
        text = line.help()
    pieces = re.split(r"^(\S.*):$", text, flags=re.MULTILINE)
    shown = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    for section in sections:
        for argument in section.parser.arguments:
            for string in argument.option_strings(line._flags[argument]):
                there = re.search(rf"(?<![\w-]){string}(?![\w-])", shown.get(section.title, "")) is not None
                assert there != (argument.action.help == argparse.SUPPRESS)


@given(parts, st.data())
def test_all_that_is_missing_is_named_at_once(drawn, data):
    sections, oracles = sections_of(drawn)
    required = [
        (section, argument) for section in sections for argument in section.parser.arguments if argument.required
    ]
    left_out = {each for each in required if data.draw(st.booleans())}
    line = CommandLine(sections, name="app")
    argv = []
    for section, (kept, _) in zip(sections, oracles, strict=True):
        for argument, (_, kind, _) in zip(section.parser.arguments, kept, strict=True):
            if argument.required and not argument.positional and (section, argument) not in left_out:
                argv += [line._flags[argument][0], *KINDS[kind][1]]
    missing = [argument for section, argument in required if argument.positional or (section, argument) in left_out]
    if not missing:
        line.parse(argv)
        return
    said = error_of(line, argv)
    for argument in missing:
        assert line._display_name(next(s for s in sections if argument in s.parser.arguments), argument) in said
    for argument in {argument for _, argument in required} - set(missing):
        assert "/".join(line._flags[argument]) not in said.partition("missing")[2]


def error_of(line, argv):
    with contextlib.redirect_stderr(io.StringIO()) as error, pytest.raises(SystemExit) as stopped:
        line.parse(argv)
    assert stopped.value.code == 2
    return error.getvalue()


# --- examples -------------------------------------------------------------------------------------------------------


def line_of(*adders, required=((), (), ())):
    sections = []
    for name, adder, needed in zip(["one", "two", "three"], adders, required, strict=False):
        parser = Arguments()
        adder(parser)
        sections.append(Section(name, "writer", "", needed, parser))
    return CommandLine(sections, name="app")


def test_two_parts_with_one_option_have_one_each():
    line = line_of(lambda parser: parser.add_argument("--file"), lambda parser: parser.add_argument("--file"))
    _, (one, two) = line.parse(["--one-file", "1", "--two-file", "2"])
    assert (one.file, two.file) == ("1", "2")
    assert "did you mean --one-file or --two-file?" in error_of(line, ["--file", "1"])


def test_a_name_that_a_prefix_would_take_is_left_to_who_had_it():
    line = line_of(
        lambda parser: parser.add_argument("--file"),
        lambda parser: [parser.add_argument("--file"), parser.add_argument("--one-file")],
    )
    _, (one, two) = line.parse(["--one-file", "two's", "--one-file-2", "one's"])
    assert (one.file, two.one_file, two.file) == ("one's", "two's", None)


def test_what_is_derived_from_an_option_clashes_too():
    line = line_of(
        lambda parser: parser.add_argument("--colour", action=argparse.BooleanOptionalAction),
        lambda parser: parser.add_argument("--no-colour", action="store_true"),
    )
    _, (one, two) = line.parse(["--no-one-colour"])
    assert (one.colour, two.no_colour) == (False, False)
    _, (one, two) = line.parse(["--two-no-colour"])
    assert (one.colour, two.no_colour) == (None, True)


def test_the_options_of_the_application_stay_its_own():
    line = line_of(lambda parser: parser.add_argument("-v", "--dry-run", dest="dry_run", action="store_true"))
    own, (one,) = line.parse(["--one-dry-run"])
    assert (own.dry_run, own.verbose, one.dry_run, one.verbose) == (False, False, True, False)
    own, (one,) = line.parse(["--dry-run", "-v"])
    assert (own.dry_run, own.verbose, one.dry_run, one.verbose) == (True, True, False, True)


def test_groups_exclusive_ones_and_defaults_work_as_in_argparse():
    def adder(parser):
        group = parser.add_argument_group("format", "how it is written")
        choice = group.add_mutually_exclusive_group(required=True)
        choice.add_argument("--json", action="store_true")
        choice.add_argument("--csv", action="store_true")
        choice.add_argument("--depth", type=int, default="3")
        parser.add_argument("--size", type=int)
        parser.set_defaults(size=4, extra="more")
        assert (parser.get_default("size"), group.title, group.description) == (4, "format", "how it is written")

    line = line_of(adder, adder)
    _, (one, two) = line.parse(["--one-json", "--two-csv"])
    assert (one.json, one.csv, one.depth, one.size, one.extra) == (True, False, 3, 4, "more")
    assert (two.json, two.csv) == (False, True)
    assert "not allowed with" in error_of(line, ["--one-json", "--one-csv", "--two-csv"])
    said = error_of(line, ["--one-json"])
    assert "two: one of --two-json, --two-csv, --two-depth" in said
    assert "  one:" not in said
    assert "one: format:\n  how it is written" in line.help()


def test_positional_arguments_are_told_apart():
    line = line_of(
        lambda parser: parser.add_argument("file"),
        lambda parser: [parser.add_argument("file"), parser.add_argument("--colour", choices=["red"])],
        lambda parser: parser.add_argument("rest", nargs="*", choices=["x", "y"]),
    )
    _, (one, two, three) = line.parse(["1", "2", "x"])
    assert (one.file, two.file, three.rest) == ("1", "2", ["x"])
    assert "one: one-file\n  two: two-file\n" in error_of(line, [])
    assert "--colour {red}" in line.help()


def test_a_choice_that_must_be_made_is_named_when_it_is_missing():
    line = line_of(lambda parser: parser.add_argument("kind", choices=["x", "y"]))
    assert "one: kind" in error_of(line, [])


def test_required_arguments_may_be_written_as_options_and_need_a_value():
    def adder(parser):
        parser.add_argument("--users-file")
        parser.add_argument("--group", action="append")
        parser.add_argument("--size", default=3)

    for names in (("users_file", "group", "size"), ("--users-file", "--group", "--size"), ("users-file", "group")):
        line = line_of(adder, required=(names,))
        assert "missing arguments:\n  one: --users-file, --group\n" in error_of(line, [])
        line.parse(["--users-file", "x", "--group", "y"])
    assert re.search(r"\[--size SIZE\]", line.help())
    assert not re.search(r"\[--users-file", line.help())


def test_a_required_argument_that_was_never_added_is_a_mistake_in_the_program():
    with pytest.raises(DeclarationError, match=r"one requires the argument 'flie'.*it adds file"):
        line_of(lambda parser: parser.add_argument("--file"), required=(("flie",),))
    with pytest.raises(DeclarationError, match="it adds none"):
        line_of(lambda parser: None, required=(("file",),))


def test_unknown_options_name_the_nearest_and_never_show_what_stands_behind_them():
    line = line_of(lambda parser: parser.add_argument("--users-file"))
    said = error_of(line, ["--user-file", "postgresql://ann:secret@host/db", "--pass=secret"])
    assert "unrecognized argument: --user-file (did you mean --users-file?)" in said
    assert "unrecognized argument: --pass\n" in said
    assert "secret" not in said
    said = error_of(line, ["-psecret"])
    assert "unrecognized argument: -p\n" in said
    said = error_of(line, ["postgresql://ann:secret@host/db"])
    assert "unrecognized arguments: postgresql://ann:***@host/db" in said


def test_options_are_not_abbreviated():
    line = line_of(lambda parser: parser.add_argument("--users-file"))
    assert "unrecognized argument: --users" in error_of(line, ["--users", "x"])


def test_a_bad_value_is_shown_without_its_password():
    line = line_of(lambda parser: parser.add_argument("--size", type=int))
    said = error_of(line, ["--size", "postgresql://ann:secret@host/db"])
    assert "invalid int value" in said
    assert "secret" not in said


def test_an_action_of_the_parts_own_may_show_help_and_versions(capsys):
    line = line_of(
        lambda parser: parser.add_argument("--usage-of-one", action="help"),
        lambda parser: parser.add_argument("--version", action="version", version="%(prog)s two 1.2"),
    )
    for argv, said in ((["--usage-of-one"], "one (writer)"), (["--version"], "app two 1.2"), (["-h"], "exit codes:")):
        with pytest.raises(SystemExit) as stopped:
            line.parse(argv)
        assert stopped.value.code == 0
        assert said in capsys.readouterr().out


def test_what_a_part_cannot_do_to_a_parser_is_said():
    with pytest.raises(AttributeError, match=r"add_argument_group.*\(got add_subparsers\)"):
        Arguments().add_subparsers()


def test_sections_without_a_title_or_a_usable_name_have_one():
    def adder(parser):
        parser.add_argument_group().add_argument("--file")

    sections = []
    for name in ("日 本", "!"):
        parser = Arguments()
        adder(parser)
        sections.append(Section(name, "writer", "", (), parser))
    _, (one, two) = CommandLine(sections).parse(["--日-本-file", "1", "--writer-file", "2"])
    assert (one.file, two.file) == ("1", "2")


@given(st.lists(st.sampled_from(["a", "a-2", "a-3", "b", "a-2-2"]), max_size=8))
def test_unique_names_differ_and_the_first_of_each_keeps_its_own(names):
    found = unique(names)
    assert len(set(found)) == len(names)
    for name in names:
        assert found[names.index(name)] == name

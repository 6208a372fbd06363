"""The contract lets a good syncer pass, and says of a bad one what is wrong."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from types import MappingProxyType

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st

from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Outcome
from datastoresync.syncers.plugin.load_dump_adapter import LoadDumpAdapter
from datastoresync.testing import SyncerContract, texts
from datastoresync.testing.claims import Interruption

pytest_plugins = ["pytester"]


class Good:
    """A store in memory that does all there is to do."""

    def __init__(self):
        self.name, self.stored = "good", {}

    def _table(self, identifier):
        if identifier not in self.stored:
            raise SyncerError(f"there is no table {identifier!r}")
        return self.stored[identifier]

    def load(self, identifier):
        return [dict(record) for record in self._table(identifier)]

    def dump(self, identifier, *, data):
        self.stored[identifier] = [dict(record) for record in data]

    def append(self, identifier, *, data):
        new = [dict(record) for record in data]
        self.stored[identifier] = [*self.stored.get(identifier, ()), *new]
        return len(new)

    def _keyed(self, identifier, data, key, *, all_there=False):
        columns = [key] if isinstance(key, str) else list(key)
        given = {}
        for record in data:
            place = tuple(record.get(column) for column in columns)
            if None in place or place in given:
                raise SyncerError(f"the key {place} is given twice, or is none")
            given[place] = dict(record)
        stored = {}
        for record in self._table(identifier):
            place = tuple(record[column] for column in columns)
            if place in stored and place in given:
                raise SyncerError(f"the key {place} is stored twice")
            stored[place] = record
        if all_there and (lost := [place for place in given if place not in stored]):
            raise SyncerError(f"there is no {lost}")
        return given, stored

    def upsert(self, identifier, *, data, key):
        if identifier not in self.stored:
            return self.append(identifier, data=data)
        given, stored = self._keyed(identifier, data, key)
        self.stored[identifier] = list(
            (
                {p: stored.get(p, {}) | r for p, r in given.items()}
                | {p: r for p, r in stored.items() if p not in given}
            ).values()
        )
        return len(given)

    def update(self, identifier, *, data, key):
        given, stored = self._keyed(identifier, data, key, all_there=True)
        self.stored[identifier] = [record | given.get(place, {}) for place, record in stored.items()]
        return len(given)

    def delete(self, identifier, *, data, key):
        given, stored = self._keyed(identifier, data, key)
        self.stored[identifier] = [record for place, record in stored.items() if place not in given]
        return len(given.keys() & stored.keys())

    def tables(self):
        return sorted(self.stored)

    def read(self, table, attributes=None):
        for record in self.load(table):
            for attribute in attributes or ():
                if attribute not in record:
                    raise SyncerError(f"there is no column {attribute!r}")
            yield {name: record.get(name) for name in attributes or record}

    def apply_changes(self, changes, *, same):
        return LoadDumpAdapter(self).apply_changes(changes, same=same)

    def normalized(self, value):
        if value is None or isinstance(value, (str, int, float)):
            return value
        raise SyncerError(f"a {type(value).__name__} is refused")

    def close(self):
        pass


class Strict(Good):
    def dump(self, identifier, *, data):
        records = [dict(record) for record in data]
        for record in records:
            for value in record.values():
                self.normalized(value)
        self.stored[identifier] = records


class Contract(SyncerContract):
    rows = 500
    streams = True
    refusals = (SyncerError,)


def checks(contract):
    """Yield the checks of a contract as calls, each with all its parameters, by name."""
    for name, function in inspect.getmembers(contract, inspect.isfunction):
        if not name.startswith("test_"):
            continue
        calls = [{}]
        for mark in getattr(function, "pytestmark", ()):
            names = [each.strip() for each in mark.args[0].split(",")]
            calls = [call | dict(zip(names, [value], strict=True)) for call in calls for value in mark.args[1]]
        for call in calls:
            yield name, function, call


def failures(syncer_class, contract=Contract, only=None):
    """Return what the contract says of a syncer, by the names of the checks that fail."""
    found = {}
    for name, function, call in checks(contract):
        if only is not None and name not in only:
            continue
        try:
            function(contract(), syncer_class(), **call)
        except pytest.skip.Exception:
            continue
        except (
            AssertionError,
            pytest.fail.Exception,
            KeyError,
            TypeError,
            AttributeError,
            SyncerError,
            Interruption,
        ) as error:
            found.setdefault(name, str(error))
    return found


def test_a_good_syncer_passes():
    assert failures(Strict) == {}


class Bare:
    """Nothing but what must be, as a plug-in of old would have it."""

    name = "bare"

    def __init__(self):
        self.stored = {}

    def load(self, identifier):
        return [dict(record) for record in self.stored[identifier]]

    def dump(self, identifier, *, data):
        assert isinstance(data, list)
        self.stored[identifier] = [dict(record) for record in data]


def test_a_bare_syncer_is_given_lists():
    class Lists(SyncerContract):
        rows = 100

    assert failures(Bare, Lists) == {}


class Picky(Strict):
    """Refuses what it may refuse, and gives records that cannot be changed."""

    def load(self, identifier):
        return map(MappingProxyType, self._table(identifier))

    def dump(self, identifier, *, data):
        records = [dict(record) for record in data]
        for name in {identifier, *(name for record in records for name in record)}:
            if not name.isidentifier():
                raise SyncerError(f"{name!r} is no name")
        super().dump(identifier, data=records)


def test_a_syncer_that_refuses_odd_names_passes():
    class Plain(Contract):
        kinds = {"text": texts()}

        def tables(self, syncer, *, max_size=5):
            return st.lists(st.fixed_dictionaries({"idnumber": texts()}), max_size=max_size)

    assert failures(Picky, Plain) == {}


# --- what is wrong, and which check says so -------------------------------------------------------------------------


class Lossy(Strict):
    def dump(self, identifier, *, data):
        super().dump(identifier, data=[{name: value or None for name, value in each.items()} for each in data])


class Textual(Strict):
    def load(self, identifier):
        return [{name: str(value) for name, value in each.items()} for each in super().load(identifier)]


class Careless(Good):
    def normalized(self, value):
        return value

    def dump(self, identifier, *, data):
        self.stored[identifier] = json.loads(json.dumps([dict(each) for each in data], default=str))


class Appending(Strict):
    def dump(self, identifier, *, data):
        self.stored[identifier] = [*self.stored.get(identifier, ()), *map(dict, data)]


class Sorting(Strict):
    def load(self, identifier):
        return sorted(super().load(identifier), key=repr, reverse=True)


class Half(Strict):
    """Writes as it goes."""

    def dump(self, identifier, *, data):
        self.stored[identifier] = []
        for record in data:
            self.stored[identifier].append(dict(record))


class Truncating(Strict):
    def load(self, identifier):
        return super().load(identifier)[:200]


class Lenient(Strict):
    def _table(self, identifier):
        return self.stored.get(identifier, [])


class Wordless(Strict):
    def _table(self, identifier):
        if identifier not in self.stored:
            raise SyncerError("no")
        return self.stored[identifier]


class Aliasing(Strict):
    def load(self, identifier):
        return self._table(identifier)


class Keeping(Strict):
    def dump(self, identifier, *, data):
        self.stored[identifier] = list(data)


class CaseFolding(Strict):
    def _table(self, identifier):
        return super()._table(identifier.casefold())

    def dump(self, identifier, *, data):
        super().dump(identifier.casefold(), data=data)


class Stripping(Strict):
    def dump(self, identifier, *, data):
        super().dump(identifier, data=[{name.replace('"', ""): value for name, value in each.items()} for each in data])


class Unaligned(Strict):
    """Takes the columns of the first record for those of all."""

    def dump(self, identifier, *, data):
        records = list(data)
        super().dump(identifier, data=[{name: each.get(name) for name in records[0]} for each in records])


class Once(Strict):
    def load(self, identifier):
        return self.stored.pop(identifier)


class Nameless(Strict):
    def __init__(self):
        super().__init__()
        self.name = ""


class Unsettled(Strict):
    def normalized(self, value):
        return f"{value}." if isinstance(value, str) else super().normalized(value)


class Full(Strict):
    def normalized(self, value):
        if value is None:
            raise SyncerError("there is no None")
        return value


class Permissive(Strict):
    """Says that it refuses, and does not."""

    def dump(self, identifier, *, data):
        Good.dump(self, identifier, data=data)


class Uncounted(Strict):
    def append(self, identifier, *, data):
        super().append(identifier, data=data)


class Overwriting(Strict):
    def upsert(self, identifier, *, data, key):
        if identifier not in self.stored:
            return self.append(identifier, data=data)
        given, stored = self._keyed(identifier, data, key)
        self.stored[identifier] = list((stored | given).values())
        return len(given)


class Joining(Strict):
    """Takes keys of several columns for one text."""

    def delete(self, identifier, *, data, key):
        columns = [key] if isinstance(key, str) else list(key)
        joined = {"__".join(map(str, (each.get(name) for name in columns))) for each in data}
        left = [each for each in self._table(identifier) if "__".join(each[name] for name in columns) not in joined]
        count = len(self.stored[identifier]) - len(left)
        self.stored[identifier] = left
        return count


class Inserting(Strict):
    def update(self, identifier, *, data, key):
        self._table(identifier)
        return self.upsert(identifier, data=data, key=key)


class Forgetting(Strict):
    def tables(self):
        return self.stored and sorted(self.stored)[1:]


class Repeating(Strict):
    def tables(self):
        return [*self.stored, *self.stored]


class Streaming(Strict):
    def read(self, table, attributes=None):
        return self.load(table)


class Blind(Strict):
    """Overwrites what somebody else has changed."""

    def apply_changes(self, changes, *, same):
        return super().apply_changes(changes, same=lambda *facts: True)


class Idle(Strict):
    def apply_changes(self, changes, *, same):
        return [Outcome("done") for _ in changes]


class Fragile(Strict):
    def close(self):
        del self.stored


ROUND = "test_what_is_loaded_is_what_was_dumped"
BROKEN = [
    (Lossy, ROUND, "what is loaded is not what was dumped: in record "),
    (Textual, ROUND, " (str), and should be "),
    (Careless, "test_whatever_objects_hold_comes_back_or_is_refused", "is neither refused nor comes back"),
    (Appending, "test_a_dump_replaces_what_was_there", "a second dump does not replace the first"),
    (Appending, "test_a_dump_of_nothing_leaves_nothing", "after a dump of no records there are "),
    (Sorting, ROUND, " on: say ordered = False"),
    (Half, "test_a_dump_that_breaks_off_leaves_what_was_there", "a dump that broke off changed what was there"),
    (Truncating, "test_many_records_come_back", "of 500 records, 200 came back"),
    (
        Lenient,
        "test_a_table_that_is_not_there_is_an_error_and_not_an_empty_one",
        "must raise an error, but nothing was",
    ),
    (Wordless, "test_a_table_that_is_not_there_is_an_error_and_not_an_empty_one", "but the error does not name"),
    (Lenient, "test_a_table_that_is_not_there_is_named", "in a table that is not there must raise an error"),
    (Lenient, "test_changes_of_a_table_that_is_not_there_are_refused", "must raise an error, but nothing was raised"),
    (Aliasing, "test_whoever_changes_a_record_does_not_change_the_store", "changed after its load changes the store"),
    (Keeping, "test_whoever_changes_a_record_does_not_change_the_store", "changed after its dump changes the store"),
    (CaseFolding, "test_tables_are_kept_apart_whatever_they_are_called", "holds what was never dumped there"),
    (Stripping, "test_columns_come_back_whatever_they_are_called", "does not come back"),
    (Unaligned, "test_a_record_may_lack_what_others_have", "records with different columns do not come back"),
    (Once, "test_two_loads_give_the_same", "table_"),
    (Nameless, "test_it_is_a_syncer", "the name must not be empty"),
    (Unsettled, "test_what_it_declares_to_be_lost_is_lost_at_once", "normalized("),
    (Full, "test_what_it_declares_to_be_lost_is_lost_at_once", "normalized refuses None"),
    (Permissive, "test_a_value_that_cannot_be_kept_is_refused_and_nothing_is_written", "so that dump must refuse it"),
    (Uncounted, "test_it_does_what_a_dictionary_does", "append returns None, and should return"),
    (Overwriting, "test_it_does_what_a_dictionary_does", "after upsert, the table holds something else"),
    (Joining, "test_a_key_may_have_several_columns", "delete with a key of two columns is wrong"),
    (
        Inserting,
        "test_an_update_of_what_is_not_there_is_refused_as_a_whole",
        "must raise an error, but nothing was raised",
    ),
    (Forgetting, "test_its_tables_are_those_that_were_dumped", "tables() lacks one of"),
    (Repeating, "test_its_tables_are_those_that_were_dumped", "tables() names one twice"),
    (Streaming, "test_a_stream_gives_what_load_gives", "read gives "),
    (Idle, "test_members_are_linked_and_unlinked", "the members are others than were linked"),
    (Idle, "test_an_attribute_may_have_a_column_of_another_name", "Table(columns=...) is not heeded"),
    (Idle, "test_a_key_need_not_be_a_text", "the key is a "),
    (Blind, "test_what_somebody_else_changed_is_a_conflict_and_the_rest_goes_on", "the outcomes are "),
    (
        Idle,
        "test_changes_are_carried_out_and_the_second_time_nothing_is_left_to_do",
        "the changes were not carried out",
    ),
    (Fragile, "test_it_can_be_closed_twice", "stored"),
]


@pytest.fixture
def unshrunk():
    """Lets Hypothesis be content with the first example that fails."""
    before = settings.get_current_profile_name()
    settings.register_profile("unshrunk", settings(), derandomize=True, database=None, phases=[Phase.generate])
    settings.load_profile("unshrunk")
    yield
    settings.load_profile(before)


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize(
    ("broken", "check", "says"), BROKEN, ids=[f"{broken.__name__}-{check}" for broken, check, _ in BROKEN]
)
def test_a_bad_syncer_fails_and_is_told_why(broken, check, says):
    found = failures(broken, only=[check])
    assert says in found[check]


def test_every_check_has_a_syncer_that_fails_it():
    without = {
        "test_a_dump_of_nothing_makes_an_empty_table_or_says_why_it_cannot",
        "test_a_dump_whose_process_is_killed_leaves_what_was_there",  # shown below
        "test_a_key_that_is_given_twice_is_refused",
        "test_a_key_that_is_stored_twice_is_refused",
        "test_a_record_without_its_key_is_refused",
        "test_a_table_of_one_value_comes_back",
        "test_a_table_that_is_not_there_is_made",
        "test_an_operation_that_breaks_off_changes_nothing",
        "test_texts_that_look_like_something_else_stay_texts",
        "test_what_was_loaded_can_be_dumped_and_loses_nothing_more",
    }
    assert {name for name, _, _ in checks(Contract)} - {check for _, check, _ in BROKEN} == without


# --- as an author uses it -------------------------------------------------------------------------------------------

AUTHOR = """
import json, os, pytest
from pathlib import Path
from datastoresync.testing import SyncerContract

class Files:
    name = "files"

    def __init__(self, folder):
        self.folder = Path(folder)

    def load(self, identifier):
        return json.loads((self.folder / identifier).read_text())

    def dump(self, identifier, *, data):
        {dump}

class TestFiles(SyncerContract):
    rows = 100
    identifiers = ("users",)

    @pytest.fixture
    def syncer(self, tmp_path):
        self.place = tmp_path
        return Files(tmp_path)

    def reopening(self, syncer):
        return f"from test_files import Files\\nsyncer = Files({{str(self.place)!r}})"

class TestForgotten(SyncerContract):
    pass
"""
ATOMIC = """
        beside = self.folder / "new"
        beside.write_text(json.dumps(list(data)))
        os.replace(beside, self.folder / identifier)
"""
IN_PLACE = """
        with open(self.folder / identifier, "w") as file:
            json.dump(list(data), file)
"""


@pytest.mark.parametrize(
    ("dump", "outcome", "line"), [(ATOMIC, "passed", "* 1 passed*"), (IN_PLACE, "failed", "*JSONDecodeError*")]
)
def test_an_author_inherits_it_and_runs_pytest(pytester, dump, outcome, line):
    pytester.makepyfile(test_files=AUTHOR.format(dump=dump.strip()))
    check = "test_a_dump_whose_process_is_killed_leaves_what_was_there"
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", f"TestFiles and {check}")
    result.assert_outcomes(**{outcome: 1}, deselected=len(list(checks(SyncerContract))) * 2 - 1)
    result.stdout.fnmatch_lines([line])


def test_an_author_who_forgot_the_fixture_is_told(pytester):
    pytester.makepyfile(test_files=AUTHOR.format(dump="pass"))
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "TestForgotten and test_it_is_a_syncer")
    result.assert_outcomes(errors=1, deselected=len(list(checks(SyncerContract))) * 2 - 1)
    result.stdout.fnmatch_lines(["*TestForgotten must have a fixture called syncer, which returns an empty one*"])


@pytest.mark.parametrize("package", ["hypothesis", "pytest"])
def test_without_what_it_needs_it_says_so(package):
    code = f"import sys; sys.modules[{package!r}] = None; import datastoresync.testing"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"needs {package}, which is not installed: pip install pytest hypothesis" in run.stderr


def test_what_else_goes_wrong_with_its_import_is_not_hidden():
    code = "import sys; sys.modules['datastoresync.testing.strategies'] = None; import datastoresync.testing"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError: import of datastoresync.testing.strategies halted" in run.stderr

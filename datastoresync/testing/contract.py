"""The contract of a syncer, as a class of tests to inherit."""

from __future__ import annotations

import datetime
import decimal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from inspect import signature
from typing import Any

import pytest
from hypothesis import strategies as st

from datastoresync.syncers.changes import Change, Link, Table, WriteOptions
from datastoresync.syncers.loading import load_records
from datastoresync.syncers.protocol import Syncer, fault_of
from datastoresync.testing.claims import Claims, Interruption, breaking_off
from datastoresync.testing.strategies import NASTY_TEXTS, difference, texts

# ruff: noqa: D102 - the name of a check says what it shows


_PEOPLE = [
    {"idnumber": "1", "name": "Ann", "note": "a"},
    {"idnumber": "2", "name": "Bob", "note": "b"},
    {"idnumber": "3", "name": "Cid", "note": "c"},
]


class ChangeChecks(Claims):
    """Checks of optional methods, and of changes."""

    def test_its_tables_are_those_that_were_dumped(self, syncer: Any) -> None:
        self.require(syncer, "tables")
        names = sorted(self.fresh() for _ in range(2))
        for name in names:
            syncer.dump(name, data=self.given(syncer, _PEOPLE))
        found = list(syncer.tables())
        assert set(names) <= set(found), f"tables() lacks one of {names}: {found}"
        assert len(found) == len(set(found)), f"tables() names one twice: {found}"
        assert self.fresh() not in found, "tables() names one that was never made"

    def test_a_stream_gives_what_load_gives(self, syncer: Any) -> None:
        self.require(syncer, "read")
        identifier = self.dump(syncer, _PEOPLE)
        self._expect_stream(_PEOPLE, syncer.read(identifier))
        self._expect_stream([{"name": each["name"]} for each in _PEOPLE], syncer.read(identifier, ["name"]))
        self.expect_refusal(
            lambda: list(syncer.read(identifier, ["nmae"])),
            what="a stream of a column that is not there must raise an error",
            naming="nmae",
        )

    def test_changes_are_carried_out_and_the_second_time_nothing_is_left_to_do(self, syncer: Any) -> None:
        table, stored = self._dump_people(syncer)
        new = {"idnumber": "4", "name": "Dan", "note": "d"}
        changes = [
            self._change("insert", table, "4", values=new),
            self._change("update", table, "1", values={"name": "Anna"}, expected={"name": stored["1"]["name"]}),
            self._change("delete", table, "2", expected=stored["2"]),
        ]
        left = [_PEOPLE[0] | {"name": "Anna"}, _PEOPLE[2], new]
        for _ in range(2):
            assert self._applied(syncer, changes) == ["done"] * 3, "changes that nothing stands against must be done"
            self.expect(syncer, table.name, left, what="the changes were not carried out", ordered=False)

    def test_what_somebody_else_changed_is_a_conflict_and_the_rest_goes_on(self, syncer: Any) -> None:
        table, stored = self._dump_people(syncer)
        somebody = {"name": "somebody else's"}
        changes = [
            self._change("insert", table, "3", values={"idnumber": "3", "name": "Dan", "note": "d"}),
            self._change("update", table, "1", values={"name": "Anna"}, expected=somebody),
            self._change("update", table, "1", values={"note": "z"}, expected={"note": stored["1"]["note"]}),
            self._change("update", table, "gone", values={"name": "x"}, expected=somebody),
            self._change("update", table, "3", values={"note": "z"}, expected={"note": stored["3"]["note"]}),
            self._change("delete", table, "2", expected=stored["2"] | somebody),
        ]
        statuses = self._applied(syncer, changes)
        expected = ["conflict", "conflict", "conflict", "conflict", "done", "conflict"]
        assert statuses == expected, f"the outcomes are {statuses}, and should be {expected}"
        left = [_PEOPLE[0], _PEOPLE[1], _PEOPLE[2] | {"note": "z"}]
        self.expect(syncer, table.name, left, what="a conflict changed something, or kept the rest", ordered=False)

    def test_members_are_linked_and_unlinked(self, syncer: Any) -> None:
        table, _ = self._dump_people(syncer)
        link = Link(self.fresh(), "owner", "member")
        syncer.dump(link.table, data=self.given(syncer, [{"owner": "1", "member": "a"}, {"owner": "2", "member": "a"}]))
        table = Table(table.name, links={"groups": link})
        changes = [
            self._change("link", table, "1", values={"groups": "b"}),
            self._change("link", table, "2", values={"groups": "a"}),
            self._change("unlink", table, "1", values={"groups": "a"}),
            self._change("unlink", table, "3", values={"groups": "a"}),
        ]
        left = [{"owner": "2", "member": "a"}, {"owner": "1", "member": "b"}]
        for _ in range(2):
            assert self._applied(syncer, changes) == ["done"] * 4, "members that nothing stands against must be done"
            self.expect(syncer, link.table, left, what="the members are others than were linked", ordered=False)
        self.expect(syncer, table.name, _PEOPLE, what="a member changed the table of its owner", ordered=False)

    def test_an_attribute_may_have_a_column_of_another_name(self, syncer: Any) -> None:
        table, stored = self._dump_people(syncer)
        table = Table(table.name, columns={"key": "idnumber", "title": "name"})
        facts = {"values": {"title": "Anna"}, "expected": {"title": stored["1"]["name"]}}
        change = Change("update", table, ("key",), ("1",), **facts)
        assert self._applied(syncer, [change]) == ["done"], "Table(columns=...) is not heeded"
        left = [_PEOPLE[0] | {"name": "Anna"}, *_PEOPLE[1:]]
        self.expect(syncer, table.name, left, what="Table(columns=...) is not heeded", ordered=False)

    @pytest.mark.parametrize("key", [True, 0.1], ids=["bool", "float"])
    def test_a_key_need_not_be_a_text(self, syncer: Any, key: Any) -> None:
        self.require(syncer, "apply_changes")
        if not self.takes(syncer, key):
            pytest.skip(f"it does not keep a {type(key).__name__}")
        identifier = self.fresh()
        data = [{"idnumber": key, "name": "Ann"}, {"idnumber": False if key is True else 0.25, "name": "Bob"}]
        syncer.dump(identifier, data=self.given(syncer, data))
        table, name = Table(identifier), self.kept(syncer, "Ann")
        change = Change("update", table, ("idnumber",), (key,), {"name": "Anna"}, {"name": name})
        statuses = self._applied(syncer, [change])
        assert statuses == ["done"], f"a record is not found by its {type(key).__name__}: {statuses}"
        left = [data[0] | {"name": "Anna"}, data[1]]
        self.expect(syncer, identifier, left, what=f"the key is a {type(key).__name__}", ordered=False)

    def test_changes_of_a_table_that_is_not_there_are_refused(self, syncer: Any) -> None:
        self.require(syncer, "apply_changes")
        syncer.dump(self.fresh(), data=self.given(syncer, _PEOPLE))
        identifier = self.fresh()
        change = self._change("update", Table(identifier), "1", values={"name": "x"}, expected={"name": "y"})
        self.expect_refusal(
            lambda: self._applied(syncer, [change]),
            what="changes of a table that is not there must raise an error",
            naming=identifier,
        )

    def test_it_can_be_closed_twice(self, syncer: Any) -> None:
        self.require(syncer, "close")
        syncer.close()
        syncer.close()

    def _dump_people(self, syncer: Any) -> tuple[Table, dict[str, dict[str, Any]]]:
        self.require(syncer, "apply_changes")
        identifier = self.dump(syncer, _PEOPLE)
        return Table(identifier), {record["idnumber"]: dict(record) for record in load_records(syncer, identifier)}

    def _expect_stream(self, expected: Sequence[dict[str, Any]], found: Any) -> None:
        records = sorted(map(dict, found), key=repr) if not self.ordered else list(map(dict, found))
        assert records == list(expected), f"read gives {records}, and should give {list(expected)}"

    @staticmethod
    def _change(verb: Any, table: Table, key: str, **facts: Any) -> Change:
        return Change(verb, table, ("idnumber",), (key,), **facts)

    def _applied(self, syncer: Any, changes: Sequence[Change]) -> list[str]:
        def same(_change: Change, _attribute: str, raw: Any, expected: Any) -> bool:
            return bool(raw == expected) or raw == self.kept(syncer, expected)

        asked = dict.fromkeys({"options"} & signature(syncer.apply_changes).parameters.keys(), _WHOLE)
        return [outcome.status for outcome in syncer.apply_changes(changes, same=same, **asked)]


_WHOLE = WriteOptions(whole=lambda _table: True)
_KEY_METHODS = ("upsert", "update", "delete")
_KEYS = ("1", "2", "a", "ä", "x y", "'")
_GRADED = [{"idnumber": "1", "name": "Ann", "grade": "7"}, {"idnumber": "2", "name": "Bob", "grade": "8"}]
_EXTRA = {"idnumber": "1", "name": "changed", "grade": "9"}

Row = dict[str, Any]


class KeyChecks(Claims):
    """Checks of operations by key against a dictionary."""

    @pytest.mark.parametrize("method", ["append", *_KEY_METHODS])
    def test_it_does_what_a_dictionary_does(self, syncer: Any, method: str) -> None:
        self.require(syncer, method)
        takes = lambda text: self.takes(syncer, text)  # noqa: E731 - it is handed on twice
        values = st.fixed_dictionaries({}, optional={"name": texts().filter(takes), "grade": st.sampled_from("789")})
        rows = st.dictionaries(st.sampled_from(_KEYS), values, max_size=len(_KEYS))

        def law(drawn: tuple[dict[str, Row], dict[str, Row]]) -> None:
            stored, given = drawn
            model = {key: {"idnumber": key, "name": "", "grade": "7"} | values for key, values in stored.items()}
            given = {key: values for key, values in given.items() if _fits(method, key in model)}
            data = [{"idnumber": key} | (values if method != "delete" else {}) for key, values in given.items()]
            identifier = self.fresh()
            # So that the table has all its columns, whatever is stored.
            whole = {"idnumber": "whole", "name": "n", "grade": "1"}
            syncer.dump(identifier, data=self.given(syncer, [whole, *model.values()]))
            count = getattr(syncer, method)(identifier, data=self.given(syncer, data), **_by(method, "idnumber"))
            expected = sum(key in model for key in given) if method == "delete" else len(given)
            assert count == expected, f"{method} returns {count!r}, and should return {expected}"
            for key, values in given.items():
                if method == "delete":
                    model.pop(key, None)
                else:
                    model[key] = {"idnumber": key, **model.get(key, {}), **values}
            left = [whole, *model.values()]
            self.expect(syncer, identifier, left, what=f"after {method}, the table holds something else", ordered=False)

        self.for_all(st.tuples(rows, rows), law)

    @pytest.mark.parametrize("method", ["append", "upsert"])
    def test_a_table_that_is_not_there_is_made(self, syncer: Any, method: str) -> None:
        self.require(syncer, method)
        identifier = self.fresh()
        count = getattr(syncer, method)(identifier, data=self.given(syncer, _GRADED), **_by(method, "idnumber"))
        assert count == len(_GRADED), f"{method} returns {count!r}, and should return {len(_GRADED)}"
        self.expect(syncer, identifier, _GRADED, what=f"{method} does not make a table", ordered=False)

    @pytest.mark.parametrize("method", ["update", "delete"])
    def test_a_table_that_is_not_there_is_named(self, syncer: Any, method: str) -> None:
        self.require(syncer, method)
        syncer.dump(self.fresh(), data=self.given(syncer, _GRADED))
        identifier = self.fresh()
        self.expect_refusal(
            lambda: getattr(syncer, method)(identifier, data=self.given(syncer, _GRADED), key="idnumber"),
            what=f"{method} in a table that is not there must raise an error",
            naming=identifier,
        )

    @pytest.mark.parametrize("method", _KEY_METHODS)
    def test_a_key_may_have_several_columns(self, syncer: Any, method: str) -> None:
        self.require(syncer, method)
        # Joined to one text, all these keys would be the same.
        old = [{"a": "u", "b": "v__w", "x": "1"}, {"a": "u__v", "b": "w", "x": "2"}, {"a": "u", "b": "w", "x": "3"}]
        new = {"a": "u__v", "b": "w", "x": "changed"}
        identifier = self.dump(syncer, old)
        getattr(syncer, method)(identifier, data=self.given(syncer, [new]), key=["a", "b"])
        left = [old[0], old[2]] if method == "delete" else [old[0], new, old[2]]
        self.expect(syncer, identifier, left, what=f"{method} with a key of two columns is wrong", ordered=False)

    def test_an_update_of_what_is_not_there_is_refused_as_a_whole(self, syncer: Any) -> None:
        data = [_EXTRA, {"idnumber": "nobody", "name": "x"}]
        self._expect_refused(syncer, "update", data, what="an update of a key that is not there", naming="nobody")

    @pytest.mark.parametrize("method", _KEY_METHODS)
    def test_a_key_that_is_given_twice_is_refused(self, syncer: Any, method: str) -> None:
        twice = [_EXTRA, _EXTRA | {"name": "again"}]
        self._expect_refused(syncer, method, twice, what=f"{method} with one key twice")

    @pytest.mark.parametrize("method", _KEY_METHODS)
    def test_a_key_that_is_stored_twice_is_refused(self, syncer: Any, method: str) -> None:
        stored = [*_GRADED, _GRADED[0] | {"name": "Ann again"}]
        self._expect_refused(syncer, method, [_EXTRA], what=f"{method} of a key that is stored twice", stored=stored)

    @pytest.mark.parametrize("method", _KEY_METHODS)
    @pytest.mark.parametrize("wrong", [{"idnumber": None, "name": "x"}, {"name": "x"}], ids=["None", "missing"])
    def test_a_record_without_its_key_is_refused(self, syncer: Any, method: str, wrong: Row) -> None:
        self._expect_refused(syncer, method, [_EXTRA, wrong], what=f"{method} of a record without its key")

    @pytest.mark.parametrize("method", ["append", *_KEY_METHODS])
    @pytest.mark.parametrize("error", [Interruption("midway"), KeyboardInterrupt()], ids=["error", "ctrl-c"])
    def test_an_operation_that_breaks_off_changes_nothing(self, syncer: Any, method: str, error: BaseException) -> None:
        self.require(syncer, method)
        if not self.takes_streams(syncer):
            pytest.skip("its data are a list, which cannot break off")
        identifier = self.dump(syncer, _GRADED)
        with pytest.raises(type(error)):
            getattr(syncer, method)(identifier, data=breaking_off([_EXTRA], error), **_by(method, "idnumber"))
        self.expect(syncer, identifier, _GRADED, what=f"{method} broke off, and changed what was there", ordered=False)

    def _expect_refused(
        self, syncer: Any, method: str, data: list[Row], *, what: str, naming: str = "", stored: list[Row] = _GRADED
    ) -> None:
        self.require(syncer, method)
        identifier = self.dump(syncer, stored)
        operation: Callable[..., Any] = getattr(syncer, method)
        self.expect_refusal(
            lambda: operation(identifier, data=self.given(syncer, data), key="idnumber"),
            what=f"{what} must raise an error",
            naming=naming,
        )
        self.expect(syncer, identifier, stored, what=f"{what} is refused, and yet changed something", ordered=False)


def _fits(method: str, stored: bool) -> bool:  # noqa: FBT001 - a fact, not an option
    """Say whether an operation accepts a key, stored or not."""
    if method == "append":
        return not stored
    return stored or method != "update"


def _by(method: str, key: str) -> dict[str, str]:
    return {} if method == "append" else {"key": key}


_OLD = [{"idnumber": "1", "name": "old"}, {"idnumber": "2", "name": "older"}]
_NEW = [{"idnumber": "2", "name": "new"}, {"idnumber": "3", "name": "newer"}]
_VICTIM = """
import sys

sys.path[:] = {path!r}
{reopening}

def rows():
    for number in range(20_000):
        yield {{"idnumber": str(number), "name": "half"}}
    print("half", flush=True)
    sys.stdin.read()  # until it is killed

syncer.dump({identifier!r}, data=rows())
"""


class ReplacementChecks(Claims):
    """Checks that a dump replaces all records or none."""

    def test_a_dump_replaces_what_was_there(self, syncer: Any) -> None:
        identifier, other = self.fresh(), self.fresh()
        syncer.dump(identifier, data=self.given(syncer, _OLD))
        syncer.dump(other, data=self.given(syncer, _OLD))
        syncer.dump(identifier, data=self.given(syncer, _NEW))
        self.expect(syncer, identifier, _NEW, what="a second dump does not replace the first")
        self.expect(syncer, other, _OLD, what="a dump into one table changes another one")

    def test_a_dump_of_nothing_leaves_nothing(self, syncer: Any) -> None:
        identifier = self.dump(syncer, _OLD)
        syncer.dump(identifier, data=self.given(syncer, []))
        left = self.loaded(syncer, identifier)
        assert not left, f"after a dump of no records there are {left}"
        syncer.dump(identifier, data=self.given(syncer, _NEW))
        self.expect(syncer, identifier, _NEW, what="a table that was emptied takes no new records")

    def test_a_dump_of_nothing_makes_an_empty_table_or_says_why_it_cannot(self, syncer: Any) -> None:
        identifier = self.fresh()
        try:
            syncer.dump(identifier, data=self.given(syncer, []))
        except self.refusals as error:
            shown = str(error)
        else:
            shown = identifier
            left = self.loaded(syncer, identifier)
            assert not left, f"after a dump of no records there are {left}"
        assert identifier in shown, f"the error does not name the table {identifier!r}: {shown!r}"

    @pytest.mark.parametrize("error", [Interruption("midway"), KeyboardInterrupt()], ids=["error", "ctrl-c"])
    @pytest.mark.parametrize("after", [0, 2, 20_000])
    def test_a_dump_that_breaks_off_leaves_what_was_there(self, syncer: Any, error: BaseException, after: int) -> None:
        if not self.takes_streams(syncer):
            pytest.skip("its data are a list, which cannot break off")
        identifier = self.dump(syncer, _OLD)
        half = [{"idnumber": str(number), "name": "half"} for number in range(after)]
        with pytest.raises(type(error)):
            syncer.dump(identifier, data=breaking_off(half, error))
        self.expect(syncer, identifier, _OLD, what="a dump that broke off changed what was there")
        missing = self.fresh()
        with pytest.raises(type(error)):
            syncer.dump(missing, data=breaking_off(half, error))
        self._expect_nothing(syncer, missing)
        syncer.dump(identifier, data=self.given(syncer, _NEW))
        self.expect(syncer, identifier, _NEW, what="after a dump that broke off, the next one fails")

    def test_a_value_that_cannot_be_kept_is_refused_and_nothing_is_written(self, syncer: Any) -> None:
        self.require(syncer, "normalized")
        odd: list[Any] = ["a\0b", "\ud800", "\x01", "x" * 40_000, float("nan"), float("inf"), 2**80]
        odd += [b"\0\xff", [1, 2], {"a": 1}, {1, 2}, (1, 2), object()]
        identifier = self.dump(syncer, _OLD)
        for value in odd:
            data: list[dict[str, Any]] = [{"idnumber": "1", "name": "fine"}, {"idnumber": "2", "name": value}]
            shown = f"a {type(value).__name__} ({ascii(value)[:20]})"
            if self.takes(syncer, value):
                data = [{"idnumber": "1", "name": value}]
                self.expect(syncer, self.dump(syncer, data), data, what=f"{shown} does not come back as declared")
            else:
                fresh = self.fresh()
                self.expect_refusal(
                    partial(syncer.dump, fresh, data=self.given(syncer, data)),
                    what=f"{shown} cannot be kept, as normalized says, so that dump must refuse it",
                )
                self._expect_nothing(syncer, fresh)
                with suppress(*self.refusals):
                    syncer.dump(identifier, data=self.given(syncer, data))
                    syncer.dump(
                        identifier, data=self.given(syncer, _OLD)
                    )  # if the column keeps it in another form, as text
                self.expect(syncer, identifier, _OLD, what=f"a dump that refused {shown} changed what was there")

    def test_a_dump_whose_process_is_killed_leaves_what_was_there(self, syncer: Any) -> None:
        reopening = self.reopening(syncer)
        if not reopening:
            pytest.skip("reopening() does not say how another process opens the same store")
        identifier = self.dump(syncer, _OLD)
        code = _VICTIM.format(path=sys.path, reopening=reopening, identifier=identifier)
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as victim:  # noqa: S603
            assert victim.stdout is not None
            reached = victim.stdout.readline()
            victim.kill()
        assert reached == "half\n", "the other process ended before it could be killed; its error stands above"
        self.expect(syncer, identifier, _OLD, what="a dump that was killed changed what was there")
        syncer.dump(identifier, data=self.given(syncer, _NEW))
        self.expect(syncer, identifier, _NEW, what="after a dump that was killed, the next one fails")

    def _expect_nothing(self, syncer: Any, identifier: str) -> None:
        try:
            left = self.loaded(syncer, identifier)
        except self.refusals:
            return
        assert not left, f"a dump that failed left {len(left)} records in a table that was not there"


_RICH_VALUES = (
    {"a", "b"},
    ["a", "b"],
    datetime.date(2024, 2, 29),
    datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.UTC),
    decimal.Decimal("1.10"),
    float("nan"),
)
"""Values of objects that few formats keep: memberships, dates, datetimes, exact numbers, NaN."""


class RoundTripChecks(Claims):
    """Checks that records come back as they were dumped."""

    def test_it_is_a_syncer(self, syncer: Any) -> None:
        assert isinstance(syncer, Syncer), f"{type(syncer).__name__} lacks one of name, load and dump"
        assert isinstance(syncer.name, str), "the name must be a text"
        assert syncer.name, "the name must not be empty"
        fault = fault_of(syncer)
        assert not fault, f"{type(syncer).__name__} {fault}"

    def test_what_is_loaded_is_what_was_dumped(self, syncer: Any) -> None:
        def law(data: list[dict[str, Any]]) -> None:
            if data:
                identifier = self.dump(syncer, data)
                self.expect(syncer, identifier, data, what="what is loaded is not what was dumped")

        self.for_all(self.tables(syncer), law)

    def test_what_was_loaded_can_be_dumped_and_loses_nothing_more(self, syncer: Any) -> None:
        def law(data: list[dict[str, Any]]) -> None:
            if data:
                first, second = self.fresh(), self.fresh()
                syncer.dump(first, data=self.given(syncer, data))
                once = [dict(record) for record in load_records(syncer, first)]
                syncer.dump(second, data=self.given(syncer, once))
                self.expect(syncer, second, once, what="the second round trip loses something that the first did not")

        self.for_all(self.tables(syncer), law)

    def test_texts_that_look_like_something_else_stay_texts(self, syncer: Any) -> None:
        texts = [text for text in NASTY_TEXTS if self.takes(syncer, text)]
        data = [{"idnumber": str(number), "text": text} for number, text in enumerate(texts)]
        identifier = self.dump(syncer, data)
        self.expect(syncer, identifier, data, what="a text does not come back as it was")

    def test_a_table_of_one_value_comes_back(self, syncer: Any) -> None:
        for text in filter(lambda text: self.takes(syncer, text), ("", " ", "\n", "x")):
            identifier = self.dump(syncer, [{"only": text}])
            self.expect(
                syncer, identifier, [{"only": text}], what=f"a table of nothing but {text!r} does not come back"
            )

    def test_a_record_may_lack_what_others_have(self, syncer: Any) -> None:
        data = [{"idnumber": "1", "a": "x"}, {"b": "y", "idnumber": "2"}, {"idnumber": "3", "b": "z", "a": "w"}]
        identifier = self.dump(syncer, data)
        self.expect(syncer, identifier, data, what="records with different columns do not come back")

    def test_whatever_objects_hold_comes_back_or_is_refused(self, syncer: Any) -> None:
        # What a tree writes is what its objects hold. A text that only looks like it would be a change every night.
        for value in (value for value in _RICH_VALUES if self.takes(syncer, value)):
            identifier = self.fresh()
            try:
                syncer.dump(identifier, data=self.given(syncer, [{"idnumber": "1", "value": value}]))
            except Exception:  # noqa: BLE001, S112 - any error refuses the value
                continue
            wanted = self.kept(syncer, value)
            (record,) = self.loaded(syncer, identifier)
            found = record["value"]
            if isinstance(wanted, (set, frozenset)) and isinstance(found, list):
                found, wanted = sorted(found), sorted(wanted)
            shown = difference([{"value": wanted}], [{"value": found}])
            assert not shown, f"{value!r} is neither refused nor comes back ({shown}): refuse it in dump"

    def test_tables_are_kept_apart_whatever_they_are_called(self, syncer: Any) -> None:
        kept = {}
        for number, identifier in enumerate(self.identifiers):
            data = [{"idnumber": str(number), "identifier": f"number {number}"}]
            try:
                syncer.dump(identifier, data=self.given(syncer, data))
            except self.refusals:
                assert number > 0, f"the plain identifier {identifier!r} is refused"
            else:
                kept[identifier] = data
        for identifier, data in kept.items():
            self.expect(syncer, identifier, data, what=f"the table {identifier!r} holds what was never dumped there")

    def test_columns_come_back_whatever_they_are_called(self, syncer: Any) -> None:
        for column in self.columns:
            identifier = self.fresh()
            data = [{"idnumber": "1", column: "x"}, {"idnumber": "2", column: "y"}]
            try:
                syncer.dump(identifier, data=self.given(syncer, data))
            except self.refusals:
                assert not column.isascii() or not column.isalpha(), f"the plain column {column!r} is refused"
            else:
                self.expect(syncer, identifier, data, what=f"the column {column!r} does not come back")

    def test_many_records_come_back(self, syncer: Any) -> None:
        def many() -> Iterator[dict[str, Any]]:
            for number in range(self.rows):
                yield {"idnumber": f"{number:08}", "name": f"name {number}", "grade": number % 13}

        identifier = self.dump(syncer, many())
        grades = [self.kept(syncer, grade) for grade in range(13)]
        loaded = self.loaded(syncer, identifier)
        if not self.ordered:
            loaded.sort(key=lambda record: record["idnumber"])
        assert len(loaded) == self.rows, f"of {self.rows} records, {len(loaded)} came back"
        for number, (wanted, found) in enumerate(zip(many(), loaded, strict=True)):
            expected = wanted | {"grade": grades[number % 13]}
            assert dict(found) == expected, f"record {number} is {dict(found)}, and should be {expected}"

    def test_a_table_that_is_not_there_is_an_error_and_not_an_empty_one(self, syncer: Any) -> None:
        # An empty source asks for the deletion of all there is.
        for before in (False, True):
            if before:
                syncer.dump(self.fresh(), data=self.given(syncer, [{"idnumber": "1"}]))
            identifier = self.fresh()
            self.expect_refusal(
                partial(self.loaded, syncer, identifier),
                what="the load of a table that is not there must raise an error",
                naming=identifier if before else "",
            )

    def test_two_loads_give_the_same(self, syncer: Any) -> None:
        data = [{"idnumber": "1", "name": "Ann"}, {"idnumber": "2", "name": "Bob"}]
        identifier = self.dump(syncer, data)
        first, second = self.loaded(syncer, identifier), self.loaded(syncer, identifier)
        assert first == second, f"two loads give different records: {first} and {second}"

    def test_whoever_changes_a_record_does_not_change_the_store(self, syncer: Any) -> None:
        data = [{"idnumber": "1", "name": "Ann"}]
        identifier = self.dump(syncer, data)
        data[0]["name"] = "changed"
        before = [{"idnumber": "1", "name": "Ann"}]
        self.expect(syncer, identifier, before, what="a record that is changed after its dump changes the store")
        for record in load_records(syncer, identifier):
            if isinstance(record, dict):
                record["name"] = "changed"
        self.expect(syncer, identifier, before, what="a record that is changed after its load changes the store")

    def test_what_it_declares_to_be_lost_is_lost_at_once(self, syncer: Any) -> None:
        self.require(syncer, "normalized")
        if not self.takes(syncer, None):
            pytest.fail("normalized refuses None, which every record may hold")

        def law(data: list[dict[str, Any]]) -> None:
            for record in data:
                for value in record.values():
                    once = syncer.normalized(value)
                    twice = syncer.normalized(once)
                    assert (type(once), once) == (type(twice), twice) or once != once, (  # noqa: PLR0124 - NaN
                        f"normalized({value!r}) is {once!r}, but normalized({once!r}) is {twice!r}"
                    )

        self.for_all(self.tables(syncer), law)


class SyncerContract(RoundTripChecks, ReplacementChecks, KeyChecks, ChangeChecks):
    """The tests of a syncer: inherit them, with a fixture that makes an empty one.

    ::

        import pytest
        from datastoresync.testing import SyncerContract
        from my_package import MyStore

        class TestMyStore(SyncerContract):
            @pytest.fixture
            def syncer(self, tmp_path):
                return MyStore(tmp_path)

    It must load dumped records, of any number and under any name; replace all of a table or nothing; and name missing
    tables and columns. ``append``, ``upsert``, ``update``, ``delete``, ``tables``, ``read``, ``apply_changes`` and
    ``close`` are checked if it has them, and skipped if not. Losses are declared by a method ``normalized(value)``,
    which returns the value that ``load`` gives for it, or raises a `SyncerError` if ``dump`` refuses it. Without that
    method, every value must come back unchanged.

    Attributes:
        kinds: The kinds of values, with a Hypothesis strategy each; None for `PLAIN_KINDS`, or `RICH_KINDS` if
            there is ``normalized``.
        identifiers: Names of tables. The first must be accepted; the others may be refused, but never confused.
        columns: Names of columns. Plain ones must be accepted; the others may be refused, but never changed.
        ordered: Whether records come back in their order.
        streams: Whether ``data`` may be any iterable; if not, it is a list, which cannot fail midway. None for what the
            syncer's own attribute ``streams`` says.
        rows: The number of records of the largest table.
        max_examples: The number of Hypothesis examples of a law.
        refusals: The errors of a refusal; for stores of this library, ``(SyncerError,)``.

    A method ``reopening(syncer)`` may return Python code that assigns ``syncer`` to the same store in another process,
    which is then killed in the middle of a dump.
    """

"""What is loaded is what was dumped."""

# ruff: noqa: D102 - the name of a check says what it shows

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from datastoresync.syncers.protocol import Syncer, fault_of
from datastoresync.testing.claims import Claims
from datastoresync.testing.sameness import difference
from datastoresync.testing.strategies import NASTY_TEXTS

__all__ = ["RoundTrips"]

_HELD = (
    {"a", "b"},
    ["a", "b"],
    datetime.date(2024, 2, 29),
    datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.UTC),
    decimal.Decimal("1.10"),
    float("nan"),
)
"""Values that objects hold, and that few formats can: memberships, days, moments, exact numbers, no number at all."""


class RoundTrips(Claims):
    """Whatever goes into a store comes out of it."""

    def test_it_is_a_syncer(self, syncer: Any) -> None:
        assert isinstance(syncer, Syncer), f"{type(syncer).__name__} lacks one of name, load and dump"
        assert isinstance(syncer.name, str), "the name must be a text"
        assert syncer.name, "the name must not be empty"
        fault = fault_of(syncer)
        assert not fault, f"{type(syncer).__name__} {fault}"

    def test_what_is_loaded_is_what_was_dumped(self, syncer: Any) -> None:
        def law(data: list[dict[str, Any]]) -> None:
            if data:
                identifier = self.fresh()
                syncer.dump(identifier, data=self.given(data))
                self.expect(syncer, identifier, data, what="what is loaded is not what was dumped")

        self.for_all(self.tables(syncer), law)

    def test_what_was_loaded_can_be_dumped_and_loses_nothing_more(self, syncer: Any) -> None:
        def law(data: list[dict[str, Any]]) -> None:
            if data:
                first, second = self.fresh(), self.fresh()
                syncer.dump(first, data=self.given(data))
                once = [dict(record) for record in syncer.load(first)]
                syncer.dump(second, data=self.given(once))
                self.expect(syncer, second, once, what="the second round trip loses something that the first did not")

        self.for_all(self.tables(syncer), law)

    def test_texts_that_look_like_something_else_stay_texts(self, syncer: Any) -> None:
        texts = [text for text in NASTY_TEXTS if self.takes(syncer, text)]
        data = [{"idnumber": str(place), "text": text} for place, text in enumerate(texts)]
        identifier = self.fresh()
        syncer.dump(identifier, data=self.given(data))
        self.expect(syncer, identifier, data, what="a text does not come back as it was")

    def test_a_table_of_one_value_comes_back(self, syncer: Any) -> None:
        for text in filter(lambda text: self.takes(syncer, text), ("", " ", "\n", "x")):
            identifier = self.fresh()
            syncer.dump(identifier, data=self.given([{"only": text}]))
            self.expect(
                syncer, identifier, [{"only": text}], what=f"a table of nothing but {text!r} does not come back"
            )

    def test_a_record_may_lack_what_others_have(self, syncer: Any) -> None:
        data = [{"idnumber": "1", "a": "x"}, {"b": "y", "idnumber": "2"}, {"idnumber": "3", "b": "z", "a": "w"}]
        identifier = self.fresh()
        syncer.dump(identifier, data=self.given(data))
        self.expect(syncer, identifier, data, what="records with different columns do not come back")

    def test_whatever_objects_hold_comes_back_or_is_refused(self, syncer: Any) -> None:
        # What a tree writes is what its objects hold. A text that only looks like it would be a change every night.
        for value in (held for held in _HELD if self.takes(syncer, held)):
            identifier = self.fresh()
            try:
                syncer.dump(identifier, data=self.given([{"idnumber": "1", "value": value}]))
            except Exception:  # noqa: BLE001, S112 - whatever it raises, it refuses the value
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
        for place, identifier in enumerate(self.identifiers):
            data = [{"idnumber": str(place), "identifier": f"number {place}"}]
            try:
                syncer.dump(identifier, data=self.given(data))
            except self.refusals:
                assert place > 0, f"the plain identifier {identifier!r} is refused"
            else:
                kept[identifier] = data
        for identifier, data in kept.items():
            self.expect(syncer, identifier, data, what=f"the table {identifier!r} holds what was never dumped there")

    def test_columns_come_back_whatever_they_are_called(self, syncer: Any) -> None:
        for column in self.columns:
            identifier = self.fresh()
            data = [{"idnumber": "1", column: "x"}, {"idnumber": "2", column: "y"}]
            try:
                syncer.dump(identifier, data=self.given(data))
            except self.refusals:
                assert not column.isascii() or not column.isalpha(), f"the plain column {column!r} is refused"
            else:
                self.expect(syncer, identifier, data, what=f"the column {column!r} does not come back")

    def test_many_records_come_back(self, syncer: Any) -> None:
        def many() -> Iterator[dict[str, Any]]:
            for number in range(self.rows):
                yield {"idnumber": f"{number:08}", "name": f"name {number}", "grade": number % 13}

        identifier = self.fresh()
        syncer.dump(identifier, data=self.given(many()))
        grades = [self.kept(syncer, grade) for grade in range(13)]
        loaded = list(syncer.load(identifier))
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
                syncer.dump(self.fresh(), data=self.given([{"idnumber": "1"}]))
            identifier = self.fresh()
            self.expect_refusal(
                partial(self.loaded, syncer, identifier),
                what="the load of a table that is not there must raise an error",
                naming=identifier if before else "",
            )

    def test_two_loads_give_the_same(self, syncer: Any) -> None:
        data = [{"idnumber": "1", "name": "Ann"}, {"idnumber": "2", "name": "Bob"}]
        identifier = self.fresh()
        syncer.dump(identifier, data=self.given(data))
        first, second = list(syncer.load(identifier)), list(syncer.load(identifier))
        assert first == second, f"two loads give different records: {first} and {second}"

    def test_whoever_changes_a_record_does_not_change_the_store(self, syncer: Any) -> None:
        data = [{"idnumber": "1", "name": "Ann"}]
        identifier = self.fresh()
        syncer.dump(identifier, data=self.given(data))
        data[0]["name"] = "changed"
        before = [{"idnumber": "1", "name": "Ann"}]
        self.expect(syncer, identifier, before, what="a record that is changed after its dump changes the store")
        for record in syncer.load(identifier):
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

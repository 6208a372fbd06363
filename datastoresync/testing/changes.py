"""What a syncer may offer beyond its data: its tables, a stream, and the changes of a whole diff."""

# ruff: noqa: D102 - the name of a check says what it shows

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from datastoresync.syncers.changes import Change, Link, Table
from datastoresync.testing.claims import Claims

__all__ = ["Changes"]

_OLD = [
    {"idnumber": "1", "name": "Ann", "note": "a"},
    {"idnumber": "2", "name": "Bob", "note": "b"},
    {"idnumber": "3", "name": "Cid", "note": "c"},
]


class Changes(Claims):
    """Each further member is checked if it is there."""

    def test_its_tables_are_those_that_were_dumped(self, syncer: Any) -> None:
        self.require(syncer, "tables")
        names = sorted(self.fresh() for _ in range(2))
        for name in names:
            syncer.dump(name, data=self.given(_OLD))
        found = list(syncer.tables())
        assert set(names) <= set(found), f"tables() lacks one of {names}: {found}"
        assert len(found) == len(set(found)), f"tables() names one twice: {found}"
        assert self.fresh() not in found, "tables() names one that was never made"

    def test_a_stream_gives_what_load_gives(self, syncer: Any) -> None:
        self.require(syncer, "read")
        identifier = self.fresh()
        syncer.dump(identifier, data=self.given(_OLD))
        self._expect_stream(_OLD, syncer.read(identifier))
        self._expect_stream([{"name": each["name"]} for each in _OLD], syncer.read(identifier, ["name"]))
        self.expect_refusal(
            lambda: list(syncer.read(identifier, ["nmae"])),
            what="a stream of a column that is not there must raise an error",
            naming="nmae",
        )

    def test_changes_are_carried_out_and_the_second_time_nothing_is_left_to_do(self, syncer: Any) -> None:
        table, stored = self._stored(syncer)
        new = {"idnumber": "4", "name": "Dan", "note": "d"}
        changes = [
            self._change("insert", table, "4", values=new),
            self._change("update", table, "1", values={"name": "Anna"}, expected={"name": stored["1"]["name"]}),
            self._change("delete", table, "2", expected=stored["2"]),
        ]
        left = [_OLD[0] | {"name": "Anna"}, _OLD[2], new]
        for _ in range(2):
            assert self._applied(syncer, changes) == ["done"] * 3, "changes that nothing stands against must be done"
            self.expect(syncer, table.name, left, what="the changes were not carried out", ordered=False)

    def test_what_somebody_else_changed_is_a_conflict_and_the_rest_goes_on(self, syncer: Any) -> None:
        table, stored = self._stored(syncer)
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
        left = [_OLD[0], _OLD[1], _OLD[2] | {"note": "z"}]
        self.expect(syncer, table.name, left, what="a conflict changed something, or kept the rest", ordered=False)

    def test_members_are_linked_and_unlinked(self, syncer: Any) -> None:
        table, _ = self._stored(syncer)
        link = Link(self.fresh(), "owner", "member")
        syncer.dump(link.table, data=self.given([{"owner": "1", "member": "a"}, {"owner": "2", "member": "a"}]))
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
        self.expect(syncer, table.name, _OLD, what="a member changed the table of its owner", ordered=False)

    def test_an_attribute_may_have_a_column_of_another_name(self, syncer: Any) -> None:
        table, stored = self._stored(syncer)
        table = Table(table.name, columns={"key": "idnumber", "title": "name"})
        facts = {"values": {"title": "Anna"}, "expected": {"title": stored["1"]["name"]}}
        change = Change("update", table, ("key",), ("1",), **facts)
        assert self._applied(syncer, [change]) == ["done"], "Table(columns=...) is not heeded"
        left = [_OLD[0] | {"name": "Anna"}, *_OLD[1:]]
        self.expect(syncer, table.name, left, what="Table(columns=...) is not heeded", ordered=False)

    @pytest.mark.parametrize("key", [True, 0.1], ids=["bool", "float"])
    def test_a_key_need_not_be_a_text(self, syncer: Any, key: Any) -> None:
        self.require(syncer, "apply_changes")
        if not self.takes(syncer, key):
            pytest.skip(f"it does not keep a {type(key).__name__}")
        identifier = self.fresh()
        data = [{"idnumber": key, "name": "Ann"}, {"idnumber": False if key is True else 0.25, "name": "Bob"}]
        syncer.dump(identifier, data=self.given(data))
        table, name = Table(identifier), self.kept(syncer, "Ann")
        change = Change("update", table, ("idnumber",), (key,), {"name": "Anna"}, {"name": name})

        def same(_change: Change, _attribute: str, raw: Any, expected: Any) -> bool:
            return bool(raw == expected) or raw == self.kept(syncer, expected)

        statuses = [outcome.status for outcome in syncer.apply_changes([change], same=same)]
        assert statuses == ["done"], f"a record is not found by its {type(key).__name__}: {statuses}"
        left = [data[0] | {"name": "Anna"}, data[1]]
        self.expect(syncer, identifier, left, what=f"the key is a {type(key).__name__}", ordered=False)

    def test_changes_of_a_table_that_is_not_there_are_refused(self, syncer: Any) -> None:
        self.require(syncer, "apply_changes")
        syncer.dump(self.fresh(), data=self.given(_OLD))
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

    def _stored(self, syncer: Any) -> tuple[Table, dict[str, dict[str, Any]]]:
        self.require(syncer, "apply_changes")
        identifier = self.fresh()
        syncer.dump(identifier, data=self.given(_OLD))
        return Table(identifier), {record["idnumber"]: dict(record) for record in syncer.load(identifier)}

    def _expect_stream(self, expected: Sequence[dict[str, Any]], found: Any) -> None:
        records = [dict(record) for record in found]
        if not self.ordered:
            records.sort(key=repr)
        assert records == list(expected), f"read gives {records}, and should give {list(expected)}"

    @staticmethod
    def _change(verb: Any, table: Table, key: str, **facts: Any) -> Change:
        return Change(verb, table, ("idnumber",), (key,), **facts)

    @staticmethod
    def _applied(syncer: Any, changes: Sequence[Change]) -> list[str]:
        def same(_change: Change, _attribute: str, raw: Any, expected: Any) -> bool:
            return bool(raw == expected)

        return [outcome.status for outcome in syncer.apply_changes(changes, same=same)]

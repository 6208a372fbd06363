"""Single records, by their key: append, upsert, update and delete, of a syncer that has them."""

# ruff: noqa: D102 - the name of a check says what it shows

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from datastoresync.testing.claims import Claims, Interruption, breaking_off
from datastoresync.testing.strategies import texts

__all__ = ["Keyed"]

_KEYED = ("upsert", "update", "delete")
_KEYS = ("1", "2", "a", "ä", "x y", "'")
_OLD = [{"idnumber": "1", "name": "Ann", "grade": "7"}, {"idnumber": "2", "name": "Bob", "grade": "8"}]
_EXTRA = {"idnumber": "1", "name": "changed", "grade": "9"}

Row = dict[str, Any]


class Keyed(Claims):
    """A plain dictionary says what is to come of every operation."""

    @pytest.mark.parametrize("member", ["append", *_KEYED])
    def test_it_does_what_a_dictionary_does(self, syncer: Any, member: str) -> None:
        self.require(syncer, member)
        takes = lambda text: self.takes(syncer, text)  # noqa: E731 - it is handed on twice
        values = st.fixed_dictionaries({}, optional={"name": texts().filter(takes), "grade": st.sampled_from("789")})
        rows = st.dictionaries(st.sampled_from(_KEYS), values, max_size=len(_KEYS))

        def law(drawn: tuple[dict[str, Row], dict[str, Row]]) -> None:
            stored, given = drawn
            model = {key: {"idnumber": key, "name": "", "grade": "7"} | values for key, values in stored.items()}
            given = {key: values for key, values in given.items() if _fits(member, key in model)}
            data = [{"idnumber": key} | (values if member != "delete" else {}) for key, values in given.items()]
            identifier = self.fresh()
            # So that the table has all its columns, whatever is stored.
            whole = {"idnumber": "whole", "name": "n", "grade": "1"}
            syncer.dump(identifier, data=self.given([whole, *model.values()]))
            count = getattr(syncer, member)(identifier, data=self.given(data), **_by(member, "idnumber"))
            expected = sum(key in model for key in given) if member == "delete" else len(given)
            assert count == expected, f"{member} returns {count!r}, and should return {expected}"
            for key, values in given.items():
                if member == "delete":
                    model.pop(key, None)
                else:
                    model[key] = {"idnumber": key, **model.get(key, {}), **values}
            left = [whole, *model.values()]
            self.expect(syncer, identifier, left, what=f"after {member}, the table holds something else", ordered=False)

        self.for_all(st.tuples(rows, rows), law)

    @pytest.mark.parametrize("member", ["append", "upsert"])
    def test_a_table_that_is_not_there_is_made(self, syncer: Any, member: str) -> None:
        self.require(syncer, member)
        identifier = self.fresh()
        count = getattr(syncer, member)(identifier, data=self.given(_OLD), **_by(member, "idnumber"))
        assert count == len(_OLD), f"{member} returns {count!r}, and should return {len(_OLD)}"
        self.expect(syncer, identifier, _OLD, what=f"{member} does not make a table", ordered=False)

    @pytest.mark.parametrize("member", ["update", "delete"])
    def test_a_table_that_is_not_there_is_named(self, syncer: Any, member: str) -> None:
        self.require(syncer, member)
        syncer.dump(self.fresh(), data=self.given(_OLD))
        identifier = self.fresh()
        self.expect_refusal(
            lambda: getattr(syncer, member)(identifier, data=self.given(_OLD), key="idnumber"),
            what=f"{member} in a table that is not there must raise an error",
            naming=identifier,
        )

    @pytest.mark.parametrize("member", _KEYED)
    def test_a_key_may_have_several_columns(self, syncer: Any, member: str) -> None:
        self.require(syncer, member)
        # Joined to one text, all these keys would be the same.
        old = [{"a": "u", "b": "v__w", "x": "1"}, {"a": "u__v", "b": "w", "x": "2"}, {"a": "u", "b": "w", "x": "3"}]
        new = {"a": "u__v", "b": "w", "x": "changed"}
        identifier = self.fresh()
        syncer.dump(identifier, data=self.given(old))
        getattr(syncer, member)(identifier, data=self.given([new]), key=["a", "b"])
        left = [old[0], old[2]] if member == "delete" else [old[0], new, old[2]]
        self.expect(syncer, identifier, left, what=f"{member} with a key of two columns is wrong", ordered=False)

    def test_an_update_of_what_is_not_there_is_refused_as_a_whole(self, syncer: Any) -> None:
        data = [_EXTRA, {"idnumber": "nobody", "name": "x"}]
        self._expect_refused(syncer, "update", data, what="an update of a key that is not there", naming="nobody")

    @pytest.mark.parametrize("member", _KEYED)
    def test_a_key_that_is_given_twice_is_refused(self, syncer: Any, member: str) -> None:
        twice = [_EXTRA, _EXTRA | {"name": "again"}]
        self._expect_refused(syncer, member, twice, what=f"{member} with one key twice")

    @pytest.mark.parametrize("member", _KEYED)
    def test_a_key_that_is_stored_twice_is_refused(self, syncer: Any, member: str) -> None:
        stored = [*_OLD, _OLD[0] | {"name": "Ann again"}]
        self._expect_refused(syncer, member, [_EXTRA], what=f"{member} of a key that is stored twice", stored=stored)

    @pytest.mark.parametrize("member", _KEYED)
    @pytest.mark.parametrize("wrong", [{"idnumber": None, "name": "x"}, {"name": "x"}], ids=["None", "missing"])
    def test_a_record_without_its_key_is_refused(self, syncer: Any, member: str, wrong: Row) -> None:
        self._expect_refused(syncer, member, [_EXTRA, wrong], what=f"{member} of a record without its key")

    @pytest.mark.parametrize("member", ["append", *_KEYED])
    @pytest.mark.parametrize("error", [Interruption("midway"), KeyboardInterrupt()], ids=["error", "ctrl-c"])
    def test_an_operation_that_breaks_off_changes_nothing(self, syncer: Any, member: str, error: BaseException) -> None:
        self.require(syncer, member)
        if not self.streams:
            pytest.skip("its data are a list, which cannot break off")
        identifier = self.fresh()
        syncer.dump(identifier, data=self.given(_OLD))
        with pytest.raises(type(error)):
            getattr(syncer, member)(identifier, data=breaking_off([_EXTRA], error), **_by(member, "idnumber"))
        self.expect(syncer, identifier, _OLD, what=f"{member} broke off, and changed what was there", ordered=False)

    def _expect_refused(
        self, syncer: Any, member: str, data: list[Row], *, what: str, naming: str = "", stored: list[Row] = _OLD
    ) -> None:
        self.require(syncer, member)
        identifier = self.fresh()
        syncer.dump(identifier, data=self.given(stored))
        operation: Callable[..., Any] = getattr(syncer, member)
        self.expect_refusal(
            lambda: operation(identifier, data=self.given(data), key="idnumber"),
            what=f"{what} must raise an error",
            naming=naming,
        )
        self.expect(syncer, identifier, stored, what=f"{what} is refused, and yet changed something", ordered=False)


def _fits(member: str, stored: bool) -> bool:  # noqa: FBT001 - a fact, not an option
    """Say whether an operation makes sense for a key that is stored, or is not."""
    if member == "append":
        return not stored
    return stored or member != "update"


def _by(member: str, key: str) -> dict[str, str]:
    return {} if member == "append" else {"key": key}

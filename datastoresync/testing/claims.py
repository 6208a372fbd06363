"""The declarations of a syncer's author, and the steps that the checks share."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datastoresync.errors import DatastoreSyncError
from datastoresync.syncers.loading import load_records
from datastoresync.testing.strategies import PLAIN_KINDS, RICH_KINDS, difference, records

Rows = Sequence[Mapping[str, Any]]


class Interruption(Exception):  # noqa: N818 - it stands for any error
    """An error in the middle of the data."""


class Claims:
    """The class attributes that `SyncerContract` describes, and the steps that its checks share."""

    kinds: ClassVar[Mapping[str, st.SearchStrategy[Any]] | None] = None
    # fmt: off
    identifiers: ClassVar[Sequence[str]] = (
        "Users2", "users", "./users", "a/../users", "../up", "/abs", "", "USERS", "two words", "名前", "é", "e\u0301",
        "select", "it's", 'a"; drop table t;--', "100%", "a:b", "a*b?", "trailing.", " padded ", "con", "-x",
        "x" * 60,
    )
    columns: ClassVar[Sequence[str]] = (
        "Name", "name", "two words", "名前", "select", "it's", 'quo"te', "a,b;c|d", "x.y", "%s", ":x", "=x", "x\ny",
        "{x}", "$x",
    )
    # fmt: on
    ordered: ClassVar[bool] = True
    streams: ClassVar[bool | None] = None
    rows: ClassVar[int] = 100_000
    max_examples: ClassVar[int] = 20
    refusals: ClassVar[tuple[type[Exception], ...]] = (Exception,)

    @pytest.fixture
    def syncer(self) -> Any:
        """Return an empty syncer; the author overrides this."""
        message = f"{type(self).__name__} must have a fixture called syncer, which returns an empty one"
        raise NotImplementedError(message)

    def reopening(self, syncer: Any) -> str:  # noqa: ARG002 - for overrides
        """Return Python code that assigns ``syncer`` to the same store in another process, or ``""``."""
        return ""

    # The steps ------------------------------------------------------------------------------------------------------

    def kept(self, syncer: Any, value: Any) -> Any:
        """Return the value that ``load`` gives after a ``dump``, as the syncer declares it."""
        normalized = getattr(syncer, "normalized", None)
        return value if normalized is None else normalized(value)

    def takes(self, syncer: Any, value: Any) -> bool:
        """Say whether the syncer accepts a value, by its declaration."""
        try:
            self.kept(syncer, value)
        except DatastoreSyncError:
            return False
        return True

    def for_all(self, strategy: st.SearchStrategy[Any], law: Callable[[Any], None]) -> None:
        """Test a law on the examples of a strategy."""
        suppressed = [HealthCheck.too_slow, HealthCheck.filter_too_much]
        limits = settings(max_examples=self.max_examples, deadline=None, suppress_health_check=suppressed)

        @limits
        @given(strategy)
        def tried(drawn: Any) -> None:
            law(drawn)

        tried()

    def tables(self, syncer: Any, *, max_size: int = 5) -> st.SearchStrategy[list[dict[str, Any]]]:
        """Return a strategy for tables that this syncer can keep."""
        declared = hasattr(syncer, "normalized")
        kinds = self.kinds or (RICH_KINDS if declared else PLAIN_KINDS)
        return records(kinds, takes=lambda value: self.takes(syncer, value), max_size=max_size)

    def fresh(self) -> str:
        """Return an unused identifier, so that the table has no older columns."""
        return f"table_{secrets.token_hex(6)}"

    def dump(self, syncer: Any, data: Iterable[Mapping[str, Any]]) -> str:
        """Dump data into a new table, and return its identifier."""
        identifier = self.fresh()
        syncer.dump(identifier, data=self.given(syncer, data))
        return identifier

    def takes_streams(self, syncer: Any) -> bool:
        """Say whether data may be any iterable; as the syncer itself says, unless the author of the tests does."""
        return bool(getattr(syncer, "streams", False) if self.streams is None else self.streams)

    def given(self, syncer: Any, data: Iterable[Mapping[str, Any]]) -> Any:
        """Return data in the form that this syncer takes: an iterator, or a list."""
        return iter(data) if self.takes_streams(syncer) else list(data)

    def loaded(self, syncer: Any, identifier: str) -> list[Mapping[str, Any]]:
        """Return all records of a table."""
        return [dict(record) for record in load_records(syncer, identifier)]

    def expect(self, syncer: Any, identifier: str, data: Rows, *, what: str, ordered: bool | None = None) -> None:
        """Check that a table has these data, up to the declared losses."""
        expected = [{column: self.kept(syncer, value) for column, value in record.items()} for record in data]
        absent = self.kept(syncer, None) if self.takes(syncer, None) else None
        found = difference(
            expected,
            self.loaded(syncer, identifier),
            absent=absent,
            ordered=self.ordered if ordered is None else ordered,
        )
        assert not found, f"{what}: {found}"

    def expect_refusal(self, call: Callable[[], Any], *, what: str, naming: str = "") -> None:
        """Check that a call raises an error whose message has this name in it."""
        try:
            call()
        except self.refusals as error:
            shown = str(error)
            assert naming in shown, f"{what}, but the error does not name {naming!r}: {shown!r}"
            return
        pytest.fail(f"{what}, but nothing was raised")

    def require(self, syncer: Any, *members: str) -> None:
        """Skip a check of optional methods that this syncer does not have."""
        for member in members:
            if not callable(getattr(syncer, member, None)):
                pytest.skip(f"{type(syncer).__name__} has no {member}")


def breaking_off(data: Rows, error: BaseException) -> Iterator[Mapping[str, Any]]:
    """Yield data, and then raise."""
    yield from data
    raise error

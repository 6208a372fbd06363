"""A dump replaces all that was there, or nothing."""

# ruff: noqa: D102 - the name of a check says what it shows

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import pytest

from datastoresync.testing.claims import Claims, Interruption, breaking_off

__all__ = ["Replacement"]

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


class Replacement(Claims):
    """The old records stand until the new ones are in, and then they are gone."""

    def test_a_dump_replaces_what_was_there(self, syncer: Any) -> None:
        identifier, other = self.fresh(), self.fresh()
        syncer.dump(identifier, data=self.given(_OLD))
        syncer.dump(other, data=self.given(_OLD))
        syncer.dump(identifier, data=self.given(_NEW))
        self.expect(syncer, identifier, _NEW, what="a second dump does not replace the first")
        self.expect(syncer, other, _OLD, what="a dump into one table changes another one")

    def test_a_dump_of_nothing_leaves_nothing(self, syncer: Any) -> None:
        identifier = self.fresh()
        syncer.dump(identifier, data=self.given(_OLD))
        syncer.dump(identifier, data=self.given([]))
        left = list(syncer.load(identifier))
        assert not left, f"after a dump of no records there are {left}"
        syncer.dump(identifier, data=self.given(_NEW))
        self.expect(syncer, identifier, _NEW, what="a table that was emptied takes no new records")

    def test_a_dump_of_nothing_makes_an_empty_table_or_says_why_it_cannot(self, syncer: Any) -> None:
        identifier = self.fresh()
        try:
            syncer.dump(identifier, data=self.given([]))
        except self.refusals as error:
            shown = str(error)
        else:
            shown = identifier
            left = list(syncer.load(identifier))
            assert not left, f"after a dump of no records there are {left}"
        assert identifier in shown, f"the error does not name the table {identifier!r}: {shown!r}"

    @pytest.mark.parametrize("error", [Interruption("midway"), KeyboardInterrupt()], ids=["error", "ctrl-c"])
    @pytest.mark.parametrize("after", [0, 2, 20_000])
    def test_a_dump_that_breaks_off_leaves_what_was_there(self, syncer: Any, error: BaseException, after: int) -> None:
        if not self.streams:
            pytest.skip("its data are a list, which cannot break off")
        identifier = self.fresh()
        half = [{"idnumber": str(number), "name": "half"} for number in range(after)]
        syncer.dump(identifier, data=self.given(_OLD))
        with pytest.raises(type(error)):
            syncer.dump(identifier, data=breaking_off(half, error))
        self.expect(syncer, identifier, _OLD, what="a dump that broke off changed what was there")
        missing = self.fresh()
        with pytest.raises(type(error)):
            syncer.dump(missing, data=breaking_off(half, error))
        self._expect_nothing(syncer, missing)
        syncer.dump(identifier, data=self.given(_NEW))
        self.expect(syncer, identifier, _NEW, what="after a dump that broke off, the next one fails")

    def test_a_value_that_cannot_be_kept_is_refused_and_nothing_is_written(self, syncer: Any) -> None:
        self.require(syncer, "normalized")
        odd = [
            "a\0b",
            "\ud800",
            "\x01",
            "x" * 40_000,
            float("nan"),
            float("inf"),
            2**80,
            b"\0\xff",
            [1, 2],
            {"a": 1},
            {1, 2},
            (1, 2),
            object(),
        ]
        identifier = self.fresh()
        syncer.dump(identifier, data=self.given(_OLD))
        for value in odd:
            data: list[dict[str, Any]] = [{"idnumber": "1", "name": "fine"}, {"idnumber": "2", "name": value}]
            shown = f"a {type(value).__name__} ({ascii(value)[:20]})"
            if self.takes(syncer, value):
                fresh = self.fresh()
                data = [{"idnumber": "1", "name": value}]
                syncer.dump(fresh, data=self.given(data))
                self.expect(syncer, fresh, data, what=f"{shown} does not come back as declared")
            else:
                fresh = self.fresh()
                self.expect_refusal(
                    partial(syncer.dump, fresh, data=self.given(data)),
                    what=f"{shown} cannot be kept, as normalized says, so that dump must refuse it",
                )
                self._expect_nothing(syncer, fresh)
                try:
                    syncer.dump(identifier, data=self.given(data))
                except self.refusals:
                    pass
                else:  # the column is of a type that can hold it in its own way, as text say
                    syncer.dump(identifier, data=self.given(_OLD))
                self.expect(syncer, identifier, _OLD, what=f"a dump that refused {shown} changed what was there")

    def test_a_dump_whose_process_is_killed_leaves_what_was_there(self, syncer: Any) -> None:
        identifier = self.fresh()
        reopening = self.reopening(syncer)
        if not reopening:
            pytest.skip("reopening() does not say how another process opens the same store")
        syncer.dump(identifier, data=self.given(_OLD))
        code = _VICTIM.format(path=sys.path, reopening=reopening, identifier=identifier)
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as victim:  # noqa: S603
            assert victim.stdout is not None
            reached = victim.stdout.readline()
            victim.kill()
        assert reached == "half\n", "the other process ended before it could be killed; its error stands above"
        self.expect(syncer, identifier, _OLD, what="a dump that was killed changed what was there")
        syncer.dump(identifier, data=self.given(_NEW))
        self.expect(syncer, identifier, _NEW, what="after a dump that was killed, the next one fails")

    def _expect_nothing(self, syncer: Any, identifier: str) -> None:
        try:
            left = list(syncer.load(identifier))
        except self.refusals:
            return
        assert not left, f"a dump that failed left {len(left)} records in a table that was not there"

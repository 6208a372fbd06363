"""Every built-in store, and one of somebody's own, fulfils the public contract."""

from __future__ import annotations

import json
import textwrap

import pytest
from hypothesis import strategies as st
from profiles import examples

from datastoresync.errors import SyncerError
from datastoresync.syncers import load_syncer, open_syncer
from datastoresync.testing import PLAIN_KINDS, RICH_KINDS, SyncerContract


class FileContract(SyncerContract):
    refusals = (SyncerError,)
    max_examples = examples(20)
    rows = 5_000
    scheme = ""
    options = ""

    @pytest.mark.slow
    def test_very_many_records_come_back(self, syncer):
        self.rows = SyncerContract.rows
        self.test_many_records_come_back(syncer)

    @pytest.fixture
    def url(self, tmp_path):
        return f"{self.scheme}:{tmp_path / 'store'}{self.options}"

    @pytest.fixture
    def syncer(self, url):
        return open_syncer(url)

    def reopening(self, syncer):
        return ""


class Reopened(FileContract):
    @pytest.fixture
    def syncer(self, url):
        self.url_of_syncer = url
        syncer = open_syncer(url)
        yield syncer
        syncer.close()

    def reopening(self, syncer):
        return f"from datastoresync.syncers import open_syncer\nsyncer = open_syncer({self.url_of_syncer!r})"


class TestCSV(Reopened):
    scheme = "csv"


@pytest.mark.slow  # the path of CSV and TSV, with another delimiter
class TestCSVWithBars(Reopened):
    scheme = "csv"
    options = "?delimiter=%7C"


class TestCSVAsItIs(Reopened):
    scheme = "csv"
    options = "?formulas=keep"


class TestTSV(Reopened):
    scheme = "tsv"


class TestJSON(Reopened):
    scheme = "json"
    # What JSON has no word for, and columns of many kinds.
    kinds = {
        **RICH_KINDS,
        "any": st.one_of(*RICH_KINDS.values()),
        "pair": st.tuples(PLAIN_KINDS["text"], st.booleans()),
    }


class TestJSONLines(Reopened):
    scheme = "jsonl"
    kinds = TestJSON.kinds


class TestExcel(Reopened):
    scheme = "xlsx"
    max_examples = 5
    kinds = {**RICH_KINDS, "any": st.one_of(*RICH_KINDS.values())}


class TestParquet(Reopened):
    scheme = "parquet"


class TestSQLite(Reopened):
    ordered = False

    @pytest.fixture
    def url(self, tmp_path):
        return f"sqlite:///{tmp_path}/x.db"


class TestPostgreSQL(Reopened):
    ordered = False

    @pytest.fixture
    def url(self, database):
        return database


LEDGER = """
    import json
    import os
    from dataclasses import dataclass
    from pathlib import Path

    @dataclass
    class Ledger:
        '''A file of JSON a table.'''

        folder: str
        name: str = "ledger"

        def path(self, identifier):
            return Path(self.folder) / (identifier.encode().hex() + ".json")

        def load(self, identifier):
            if not self.path(identifier).exists():
                raise LookupError(f"there is no table {identifier!r}")
            return json.loads(self.path(identifier).read_text())

        def dump(self, identifier, *, data):
            beside = self.path(identifier).with_suffix(".new")
            beside.write_text(json.dumps([dict(record) for record in data]))
            os.replace(beside, self.path(identifier))
"""


class TestOneOfYourOwn(SyncerContract):
    rows = 10_000

    @pytest.fixture
    def syncer(self, tmp_path):
        folder = tmp_path / "ledger"
        folder.mkdir()
        (folder / "syncer.py").write_text(textwrap.dedent(LEDGER))
        (folder / "MANIFEST.json").write_text(json.dumps({"name": "ledger", "syncer_class": "Ledger"}))
        self.folder, self.store = folder, tmp_path
        return load_syncer(folder, {"folder": str(tmp_path)})

    def reopening(self, syncer):
        return (
            "from datastoresync.syncers import load_syncer\n"
            f"syncer = load_syncer({str(self.folder)!r}, {{'folder': {str(self.store)!r}}})"
        )

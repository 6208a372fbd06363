import copy
import json
import pickle
import subprocess
import sys
import types
from pathlib import Path

import pytest

from datastoresync import Action, Branch, ComparisonError, FilterError, Object, Template, Tree, succeeded
from datastoresync.diffing import change_table, diff
from datastoresync.diffing.change_table import Ticks, columns_of
from datastoresync.diffing.diff import Diff


class User(Object):
    _sensitive = ("pin",)
    _references = {"friends": "users"}
    name: str
    pin: str = ""
    friends: set[str] = set()


class Source(Tree):
    users = Branch(
        User,
        importer=[
            {"idnumber": "1", "name": "<b>\u202eAnn", "pin": "old secret", "friends": {"2"}},
            {"idnumber": "2", "name": "Bob", "pin": "new secret"},
            {"idnumber": "3", "name": "Cy", "pin": "third secret"},
        ],
    )


class Dest(Tree):
    users = Branch(
        User,
        importer=[
            {"idnumber": "1", "name": "Anna", "pin": "another secret", "friends": {"9"}},
            {"idnumber": "2", "name": "Bob", "pin": "new secret"},
            {"idnumber": "9", "name": "Zoë", "pin": "last secret"},
        ],
    )


@pytest.fixture
def changes():
    return +Source() - +Dest()


def shown(changes):
    columns = columns_of(changes.actions, changes._sides)
    return [
        (
            columns["verbs"][verb],
            columns["branches"][columns["branch"][index]],
            columns["key"][index],
            columns["attrs"][columns["attr"][index]],
            columns["old"][index],
            columns["new"][index],
        )
        for index, verb in enumerate(columns["verb"])
    ]


def test_a_value_that_stands_in_most_rows_is_sent_once():
    def tree(**values):
        rows = [{"idnumber": str(key), "name": f"{key}", **values} for key in range(9)]
        return +Tree(branches={"users": Branch(Object, importer=rows)})

    changes = tree(grade="7", note=["a", 1]) - tree(grade=None, note=None)
    columns = columns_of(changes.actions, changes._sides)
    assert (columns["olds"], columns["news"]) == (["None"], ["'7'", "['a', 1]"])
    assert columns["old"] == [0] * 18
    assert columns["new"] == [0, 1] * 9
    few = columns_of(changes.actions[:2], changes._sides)
    assert (few["old"], few["new"]) == ([0, 0], ["'7'", "['a', 1]"])


def test_a_row_an_action_with_old_and_new_values_and_without_secrets(changes):
    assert shown(changes) == [
        ("new", "users", "3", "", "", "name: 'Cy', pin: ***"),
        ("add", "users", "1", "friends", "", "'2'"),
        ("remove", "users", "1", "friends", "'9'", ""),
        ("update", "users", "1", "name", "'Anna'", "'<b>\\u202eAnn'"),
        ("update", "users", "1", "pin", "***", "***"),
        ("old", "users", "9", "", "name: 'Zoë', pin: ***", ""),
    ]
    assert "secret" not in json.dumps(columns_of(changes.actions, changes._sides))


def test_long_values_are_cut_so_that_all_of_them_stay_bounded(monkeypatch):
    long = Diff([Action("update", "users", "1", "name", "x" * 10_000, "y")])
    assert shown(long)[0][4:] == ("'y'", f"'{'x' * 999}… (10,002 characters)")
    monkeypatch.setattr(change_table, "_CHARACTERS", 0)
    assert shown(long)[0][4:] == ("'y'", f"'{'x' * 79}… (10,002 characters)")


def test_what_is_hidden_in_a_value_is_seen():
    hidden = Diff([Action("update", "users", "1", "home", Path("a\u202eb"), Path("c\nd"))])
    assert shown(hidden)[0][4:] == ("c\\nd", "a\\u202eb")


def test_nothing_is_ticked_at_first_and_what_is_ticked_is_a_diff(changes):
    assert list(changes.ticked) == []
    assert changes.tick(verb="old") is changes
    changes.tick("users.name").tick(lambda action: action.value == "2")
    assert [(one.verb, one.attr) for one in changes.ticked] == [("add", "friends"), ("update", "name"), ("old", "")]
    assert changes.ticked.partial
    assert changes.only("update").ticked.stat.endswith("total=0"), "another diff has ticks of its own"
    with pytest.raises(FilterError):
        changes.tick("users.nane")


def test_what_is_ticked_can_be_applied_and_the_rest_is_left():
    class Named(Template):
        def update_name(self, action):
            return succeeded()

    source, dest = +Source(), +Dest()
    report = (source - dest).tick("users.name").ticked | Named
    assert report.ok
    assert [one.attr for one in (source - dest).only("update")] == ["pin"]


def test_ticks_are_bits_and_come_back_from_pickles_and_copies(changes):
    ticks = Ticks()
    ticks.tick([0, 9, 17], 20)
    assert ticks.bits == bytes([1, 2, 2])
    assert list(ticks.positions()) == [0, 9, 17]
    changes.tick("old")
    for other in (pickle.loads(pickle.dumps(changes)), copy.deepcopy(changes)):
        assert other.ticked == changes.ticked
        assert len(other.ticked) == 1


def test_too_many_actions_have_no_table_and_say_what_to_do(changes, monkeypatch):
    monkeypatch.setattr(diff, "MOST", 3)
    in_a_kernel(monkeypatch)
    with pytest.raises(NotImplementedError):
        changes._ipython_display_()
    for ask in (lambda: changes.ticked, lambda: changes.tick("old")):
        with pytest.raises(ComparisonError, match=r"at most 3 actions are ticked: choose some first, with only\(\)"):
            ask()


def in_a_kernel(monkeypatch):
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))


def test_outside_of_a_notebook_and_without_anywidget_ipython_shows_text_and_html(changes, monkeypatch):
    with pytest.raises(NotImplementedError):
        changes._ipython_display_()
    in_a_kernel(monkeypatch)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "datastoresync.printing.widget", raising=False)
    for shown in (changes, Diff(())):
        with pytest.raises(NotImplementedError):
            shown._ipython_display_()


KERNEL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
from datastoresync import Branch, Object, Tree
class Source(Tree):
    users = Branch(Object, importer=[{"idnumber": str(index)} for index in range(9)])
class Dest(Tree):
    users = Branch(Object, importer=[])
found = +Source() - +Dest()
shell, shown = InteractiveShell.instance(), []
shell.display_pub.publish = lambda data, *_, **__: shown.append(data)
assert shell.display_formatter.format(found)[0].keys() >= {"text/plain", "text/html"}, "no kernel, no table"
assert "anywidget" not in sys.modules
shell.kernel = object()
for _ in range(2):
    assert shell.display_formatter.format(found) == ({}, {})
table, listed, again, _ = shown
widget = "application/vnd.jupyter.widget-view+json"
assert table["text/plain"] == ""
assert table[widget] == again[widget], "shown again, it is the same table"
assert listed == {"text/plain": repr(found), "text/html": found._repr_html_()}
table = found._ticks.widget
assert b'"key":["0","1",' in table.rows
table.set_state({"ticked": memoryview(bytes([0b100, 1]))})  # as the page sends it
assert [action.idnumber for action in found.ticked] == ["2", "8"]
found.tick(idnumber="0")
assert table.ticked == bytes([0b101, 1])
"""


def test_a_click_in_the_table_ticks_in_python_and_the_other_way_round():
    pytest.importorskip("anywidget")
    pytest.importorskip("IPython")
    run = subprocess.run([sys.executable, "-c", KERNEL], capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr


def test_the_module_of_the_page_makes_no_markup_of_texts_and_loads_nothing():
    source = (Path(change_table.__file__).parents[1] / "printing/table.js").read_text(encoding="utf-8")
    assert "textContent" in source
    for word in ("HTML", "eval", "Function(", "http", "import ", "import(", "fetch"):
        assert word not in source

"""What ``>`` prints and returns: the stat line, what would be refused, the changes; and what it can be piped to."""

import io
import re

import pytest

from datastoresync import Branch, Limits, Object, Preview, Template, Tree


class Terminal(io.StringIO):
    def isatty(self):
        return True


def trees(source, dest):
    return (
        +Tree("source", branches={"users": Branch(Object, importer=source)}),
        +Tree("dest", branches={"users": Branch(Object, importer=dest)}),
    )


@pytest.fixture
def changed():
    return trees([{"idnumber": "a", "name": "x"}, {"idnumber": "b", "name": "n"}], [{"idnumber": "a", "name": "y"}])


def test_it_prints_the_stat_the_verdict_and_each_object_and_changes_nothing(changed, capsys):
    source, dest = changed
    before = source - dest
    preview = source > dest
    assert capsys.readouterr().out.splitlines() == [
        "source - dest: new=1 update=1 add=0 remove=0 old=0 total=2",
        "  within the limits",
        "  users  1 new, 1 value changes",
        "    + users b  name: 'n'",
        "    ~ users a  name: 'y' → 'x'",
    ]
    assert preview.diff == before == source - dest
    assert preview.stat == before.stat
    assert preview.refused == ()


def test_two_objects_and_two_branches_can_be_previewed(changed, capsys):
    source, dest = changed
    assert len((source.users > dest.users).diff) == 2
    assert len((source.users["a"] > dest.users["a"]).diff) == 1
    assert capsys.readouterr().out.count("users a  name: 'y' → 'x'") == 2


def test_filters_and_limits_of_the_call_are_those_of_the_preview(capsys):
    rows = [{"idnumber": n} for n in range(100)]
    source, dest = trees(rows[:50], rows)
    assert len(source.preview(dest).refused) == 1
    assert "would be refused: dest.users: 50 deletions" in capsys.readouterr().out
    assert source.preview(dest, limits=Limits(deletions=50)).refused == ()
    assert source.users.preview(dest.users, limits=Limits(deletions=50)).refused == ()
    assert source.preview(dest, exclude="old").refused == ()
    assert len(source.preview(dest, only="new").diff) == 0


def test_it_can_be_piped_on(changed, capsys):
    source, dest = changed
    done = []

    class Listing(Template):
        def new(self, action):
            done.append(action.method)

        update = new

    report = (source > dest) | Listing
    assert done == ["new_users", "update_name"]
    assert report.ok
    assert not source - dest


def test_it_is_neither_true_nor_false(changed, capsys):
    source, dest = changed
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(source > dest)
    with pytest.raises(TypeError, match="two trees at a time"):
        source > dest > source


def test_data_cannot_act_on_the_terminal(capsys):
    source, dest = trees([{"idnumber": "\x1b[2J[red]\n\u202eb", "name": 1}], [])
    preview = source > dest
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 4
    assert all(line.isprintable() for line in out.splitlines())
    assert "[red]" in out
    preview.show(terminal := Terminal(), colour=False)
    assert "\x1b" not in terminal.getvalue()
    source, dest = trees([{"idnumber": "<i>"}], [])
    assert "<i>" not in Preview.of(source - dest)._repr_html_()


def test_colours_are_for_terminals(changed):
    source, dest = changed
    preview = Preview.of(source - dest)
    plain, painted = io.StringIO(), io.StringIO()
    assert preview.show(plain) is preview
    preview.show(painted, colour=True)
    assert "\x1b[" not in plain.getvalue()
    assert "\x1b[" in painted.getvalue()


def test_the_repr_says_whether_it_would_be_refused(changed):
    source, dest = changed
    assert repr(Preview.of(source - dest)).startswith("<Preview of source - dest: new=1 update=1")
    assert "would be refused" not in repr(Preview.of(source - dest))
    source, dest = trees([], [{"idnumber": "a"}])
    preview = Preview.of(source - dest)
    assert repr(preview).endswith("would be refused>")
    shown = re.sub("<[^>]*>", "", preview._repr_html_())
    assert "would be refused: source.users is empty" in shown

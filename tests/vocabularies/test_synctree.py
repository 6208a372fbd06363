"""The words of synctree: laws over generated mirrored trees, and each word by itself."""

import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples
from strategies import KINDS, NO_LIMITS, plain_actions, plain_diff

import datastoresync
from datastoresync import (
    DeclarationError,
    ImporterError,
    Limits,
    LoggingReporter,
    Report,
    SafeguardError,
    Template,
    TemplateError,
    batch,
)
from datastoresync.vocabularies.synctree import (
    Action,
    DefaultReporter,
    DefaultTemplate,
    SyncTree,
    dropped_action,
    successful_result,
    unsuccessful_result,
)

law = settings(deadline=None, max_examples=examples(60))

SUBBRANCHES = ("apples", "bears")

CONTENTS = st.fixed_dictionaries(
    {
        name: st.dictionaries(
            st.sampled_from(["1", "2", "10", "a", "ä"]),
            st.fixed_dictionaries({"alpha": KINDS["text"].values, "beta": KINDS["texts"].values}),
            max_size=4,
        )
        for name in SUBBRANCHES
    }
)


class Anything(DefaultTemplate):
    """Accepts every action, and keeps the messages."""

    reporters = ()

    def __init__(self):
        super().__init__()
        self.seen = []

    def accept(self, action):
        self.seen.append(action.message)

    def __getattr__(self, name):
        if name.partition("_")[0] in ("new", "update", "add", "remove", "old"):
            return self.accept
        raise AttributeError(name)


def mirrored(source, destination):
    tree = SyncTree(["source", "destination"], SUBBRANCHES)
    for branch, contents in (("source", source), ("destination", destination)):
        for subbranch, objects in contents.items():
            for idnumber, attributes in objects.items():
                tree.new(branch, subbranch, idnumber, **attributes)
    return tree


def school():
    tree = SyncTree(["source", "destination"], ["students", "staff"])
    tree.new("source", "students", "111", name="Ann")
    tree.new("source", "students", "999", name="Bob")
    tree.new("destination", "students", "111", name="Anna")
    return tree


# --- laws -------------------------------------------------------------------------------------------------------


@law
@given(CONTENTS, CONTENTS)
def test_the_actions_are_those_between_plain_dictionaries(source, destination):
    tree = mirrored(source, destination)
    expected = Counter()
    for name in SUBBRANCHES:
        expected += plain_diff(name, source[name], destination[name])
    assert plain_actions((tree.source > tree.destination).diff) == expected
    for name in SUBBRANCHES:
        assert plain_actions((tree.source[name] > tree.destination[name]).diff) == plain_diff(
            name, source[name], destination[name]
        )


@law
@given(CONTENTS, CONTENTS)
def test_the_actions_are_those_of_the_core_in_its_order(source, destination):
    tree = mirrored(source, destination)
    actions = list(tree.source > tree.destination)
    native = list(tree.source.diff(tree.destination))
    assert actions == list(tree.source - tree.destination)
    assert [one[:4] for one in actions] == [
        (one.idnumber, one.source or one.dest, one.source, one.dest) for one in native
    ]
    assert [one[5:] for one in actions] == [(one.attr or None, one.value, one.old_value) for one in native]
    prepositions = {"add": "_to_destination", "remove": "_from_destination"}
    assert [one.method for one in actions] == [
        "_".join(filter(None, (one.verb, one.branch, one.attr))) + prepositions.get(one.verb, "") for one in native
    ]


@law
@given(CONTENTS, CONTENTS)
def test_applying_actions_leaves_none_and_does_nothing_the_second_time(source, destination):
    tree = mirrored(source, destination)
    actions = tree.source > tree.destination
    report = Anything().apply(actions.diff, limits=NO_LIMITS)
    assert report.ok
    assert report.unhandled == 0
    assert list(actions) == []
    again = Anything()
    assert (actions | again).planned == 0
    assert again.seen == []


@law
@given(CONTENTS)
def test_a_stored_tree_is_read_as_it_was(contents):
    tree = mirrored(contents, contents)
    with tempfile.TemporaryDirectory() as folder:
        tree.store(Path(folder) / "tree.json")
        again = SyncTree.from_file(Path(folder) / "tree.json")
    assert again.to_json() == tree.to_json()
    for name in tree.branches:
        assert [vars(item) for own in again[name].values() for item in own] == [
            vars(item) for own in tree[name].values() for item in own
        ]


# --- the tree ---------------------------------------------------------------------------------------------------


def test_a_tree_is_mirrored():
    tree = SyncTree(("source", "destination"), (name for name in ("students", "staff")))
    assert (tree.branches, tree.subbranches) == (["source", "destination"], ["students", "staff"])
    for branch in tree.branches:
        assert tree[branch].branches == tree.subbranches
    assert tree.source.students is not tree.destination.students


def test_everything_says_what_it_is():
    tree = school()
    assert repr(tree) == "<SyncTree: source, destination>"
    assert repr(tree.source) == "<Branch source: students 2, staff 0>"
    assert repr(tree.source.students) == "<Subbranch students of branch source>"
    assert repr(tree.source > tree.destination) == f"<Actions {tree.source!r} > {tree.destination!r}>"
    assert repr(SyncTree([], [])) == "<SyncTree: no branches>"
    assert repr(SyncTree(["alone"], []).alone) == "<Branch alone: no subbranches>"
    assert repr(type(tree.source.students)()) == "<Subbranch>"


@pytest.mark.parametrize(
    ("branches", "subbranches", "says"),
    [
        ("source", ["students"], "two lists"),
        (["source"], "students", "two lists"),
        (["source", "source"], ["students"], "taken"),
        (["source"], ["students", "students"], "taken"),
        (["branches"], ["students"], "'branches' cannot be the name of a branch"),
        (["subbranches"], ["students"], "'subbranches' cannot be the name of a branch"),
        (["new"], ["students"], "taken"),
        (["source"], ["class room"], "not an identifier"),
    ],
)
def test_names_that_cannot_be_reached_are_refused(branches, subbranches, says):
    with pytest.raises(DeclarationError, match=says):
        SyncTree(branches, subbranches)


def test_new_makes_an_object_with_attributes_and_takes_names_too():
    tree = school()
    made = tree.new(branch="source", subbranch="staff", idnumber="7", name="Eve")
    assert tree.source.staff["7"] is made
    assert (made.idnumber, made.name) == ("7", "Eve")
    with pytest.raises(ImporterError, match="there already"):
        tree.new("source", "staff", "7")
    with pytest.raises(KeyError, match="no tree 'sorce'"):
        tree.new("sorce", "staff", "7")


def test_importers_are_set_on_subbranches_and_run_by_plus():
    tree = SyncTree(["source", "destination"], ["students"])
    assert tree.source.students.importer is None
    tree.source.students.importer = lambda: [{"idnumber": "1", "name": "Ann"}]
    tree.destination.students.importer = [{"idnumber": "1", "name": "Anna"}, {"idnumber": "2", "name": "Bob"}]
    assert +tree.source is tree.source
    assert (len(tree.source.students), len(tree.destination.students)) == (1, 0)
    assert +tree is tree
    assert [student.name for student in tree.destination.students] == ["Anna", "Bob"]
    tree.destination.students.importer = None
    assert (+tree).destination.students.idnumbers == {"1", "2"}
    with pytest.raises(DeclarationError, match="CSVImporter"):
        tree.source.students.importer = "students.csv"


def test_a_branch_with_an_importer_that_never_ran_is_no_destination():
    tree = SyncTree(["source", "destination"], ["students"])
    tree.new("source", "students", "1")
    tree.destination.students.importer = []
    with pytest.raises(SafeguardError, match=r"destination\.students was never imported"):
        (tree.source > tree.destination) | Anything
    +tree.destination
    assert ((tree.source > tree.destination) | Anything).ok


# --- greater than -----------------------------------------------------------------------------------------------


def test_actions_are_compared_when_they_are_used_and_as_often(capsys):
    tree = SyncTree(["source", "destination"], ["students"])
    actions = tree.source > tree.destination
    tree.new("source", "students", "999")
    for _ in range(2):
        assert [repr(action) for action in actions] == ["Action(idnumber='999', message='new_students')"]
    tree.new("destination", "students", "999")
    assert list(actions) == []
    assert capsys.readouterr() == ("", "")


def test_what_cannot_be_compared_is_said_when_the_actions_are_used():
    tree = SyncTree(["source", "destination"], ["students"])
    tree.new("source", "students", "1", grade=7)
    tree.new("destination", "students", "1", grade="7")
    actions = tree.source > tree.destination
    with pytest.raises(datastoresync.SchemaMismatchError, match="grade"):
        next(iter(actions))
    with pytest.raises(datastoresync.SchemaMismatchError, match="grade"):
        actions | Anything


def test_next_goes_through_the_actions_once():
    tree = school()
    actions = tree.source > tree.destination
    assert (next(actions).message, next(actions).message) == ("new_students", "update_students_name")
    assert next(actions, None) is None
    assert next(actions, None) is None
    assert len(list(actions)) == 2


def test_an_action_has_what_the_core_knows_of_it():
    tree = school()
    _, update = tree.source > tree.destination
    assert isinstance(update, Action)
    assert repr(update) == "Action(idnumber='111', message='update_students_name', attribute='name', value='Ann')"
    assert (update.value, update.old_value) == ("Ann", "Anna")
    assert update.source is tree.source.students["111"]
    assert update.dest is tree.destination.students["111"]


def test_a_chain_of_comparisons_is_refused():
    tree = school()
    with pytest.raises(TypeError, match="neither true nor false"):
        tree.source > tree.destination > tree.source


def test_foreign_operands_are_refused():
    tree = school()
    with pytest.raises(TypeError, match=r"write source\.students > destination\.students"):
        tree.source > tree.destination.students
    with pytest.raises(TypeError, match=r"write source - dest \| Template"):
        tree.source > Anything()
    for left in (tree.source, tree.source.students):
        with pytest.raises(TypeError, match="not supported"):
            left > 3
    with pytest.raises(TypeError, match=r"\(source > dest\) \| Template"):
        tree.source > tree.destination | Anything


# --- the template -----------------------------------------------------------------------------------------------


def test_methods_get_actions_in_these_words_and_the_report_says_more():
    seen = []

    class Students(DefaultTemplate):
        reporters = ()

        def new_students(self, action):
            seen.append(action)

        def update_students_name(self, action):
            seen.append(action)
            raise RuntimeError("out of order")

    tree = school()
    report = (tree.source > tree.destination) | Students
    assert [(type(one), one.message) for one in seen] == [
        (Action, "new_students"),
        (Action, "update_students_name"),
    ]
    assert isinstance(report, Report)
    assert (report.succeeded, report.failed, report.ok, report.exit_code) == (1, 1, False, 1)
    (failure,) = report.failures
    assert (
        failure.message == "failed: update_name(idnumber='111', attr='name', value='Ann'): RuntimeError: out of order"
    )
    assert [action.message for action in tree.source > tree.destination] == ["update_students_name"]


def test_a_subbranch_may_be_applied_alone():
    tree = school()
    template = Anything()
    assert ((tree.source.students > tree.destination.students) | template).ok
    assert template.seen == ["new_students", "update_students_name"]


def test_a_branch_may_have_a_template_of_its_own():
    tree = school()
    tree.destination.template = Anything
    assert (tree.source >> tree.destination).succeeded == 2
    assert not tree.source - tree.destination


def test_a_template_of_the_core_is_taken_too_and_gets_its_own_actions():
    seen = []

    class Students(Template):
        def new(self, action):
            seen.append(repr(action))

    tree = school()
    assert ((tree.source > tree.destination) | Students()).unhandled == 1
    assert seen == ["Action('new', 'students', '999')"]


def test_a_method_may_take_a_batch():
    seen = []

    class Students(Anything):
        @batch(10)
        def new_students(self, actions):
            seen.append([repr(action) for action in actions])

    tree = school()
    tree.new("source", "students", "1000", name="Cid")
    assert ((tree.source > tree.destination) | Students).ok
    assert seen == [
        ["Action(idnumber='1000', message='new_students')", "Action(idnumber='999', message='new_students')"]
    ]


def test_a_function_in_the_place_of_a_class_is_a_slip_that_is_named():
    def Template(DefaultTemplate):  # noqa: N802, N803 - the slip
        return DefaultTemplate

    tree = school()
    with pytest.raises(TemplateError, match=r"write `class Template\(DefaultTemplate\):` rather than `def`"):
        (tree.source > tree.destination) | Template


def test_an_import_string_that_leads_nowhere_is_named():
    tree = school()
    with pytest.raises(TemplateError, match="leads nowhere"):
        (tree.source > tree.destination) | "datastoresync.vocabularies.synctree.Nobody"


def test_what_is_no_method_is_not_called():
    class Students(Anything):
        new_students = "not a method"

    tree = school()
    template = Students()
    report = (tree.source > tree.destination) | template
    assert report.unhandled_methods == {"new_students": 1}
    assert template.seen == ["update_students_name"]


def test_names_that_synctree_did_not_know_are_helpers():
    class Students(DefaultTemplate):
        reporters = ()

        def update(self, statement, *values): ...
        def new(self, action):
            raise AssertionError

        update_name = old = add = remove = new

        @property
        def new_student(self):
            raise AssertionError

    tree = school()
    report = (tree.source > tree.destination) | Students
    assert report.unhandled_methods == {"new_students": 1, "update_students_name": 1}


def test_methods_may_be_left_out_and_must_take_an_action():
    class Students(Anything):
        leaves_out = ("new_students", "old_students")
        __getattr__ = object.__getattribute__

        def update_students_name(self, action): ...

    tree = school()
    assert ((tree.source > tree.destination) | Students).skipped == 1
    Students.leaves_out = ("new_student",)
    with pytest.raises(DeclarationError, match=r"leaves_out names 'new_student'.*did you mean 'new_students'"):
        (tree.source > tree.destination) | Students
    Students.leaves_out = "new_students"
    with pytest.raises(DeclarationError, match=r"must be a tuple of names: \('new_students',\)"):
        (tree.source > tree.destination) | Students
    Students.leaves_out, Students.old_students = (), lambda self: None
    with pytest.raises(DeclarationError, match=r"Students\.old_students cannot be called with 1 argument"):
        (tree.source > tree.destination) | Students


# --- results ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "status", "reason"),
    [
        (None, "succeeded", ""),
        (successful_result, "succeeded", ""),
        (successful_result(), "succeeded", ""),
        (successful_result(method="create", info="id 7"), "succeeded", "create: id 7"),
        (unsuccessful_result, "failed", "unsuccessful"),
        (unsuccessful_result(), "failed", "unsuccessful"),
        (unsuccessful_result(info="no such class"), "failed", "no such class"),
        (unsuccessful_result("create", 404), "failed", "create: 404"),
        (dropped_action, "skipped", "dropped"),
        (dropped_action(method="new_students"), "skipped", "new_students"),
        ([successful_result, unsuccessful_result(info="no class"), dropped_action], "failed", "no class"),
        ([successful_result, dropped_action], "skipped", "dropped"),
    ],
)
def test_what_a_method_returned_is_its_result(returned, status, reason):
    class Students(Anything):
        def new_students(self, action):
            return returned

    tree = school()
    report = (tree.source > tree.destination) | Students
    assert (report.results[0].status, report.results[0].reason) == (status, reason)
    assert ("999" in tree.destination.students) == (status == "succeeded")


# --- reporters --------------------------------------------------------------------------------------------------


class Diary(DefaultReporter):
    def __init__(self):
        self.heard = []

    def will_start(self):
        self.heard.append("start")

    def success(self, action, result):
        self.heard.append(("success", repr(action), result.success))

    def fail(self, action, result):
        self.heard.append(("fail", action.message, result.info))

    def exception(self, action, result):
        self.heard.append(("exception", action.message, type(result.exception)))

    def not_implemented(self, action, result):
        self.heard.append(("not_implemented", action.message, result.success))

    def dropped(self, action, result):
        self.heard.append(("dropped", action.message, result.success))

    def finished(self):
        self.heard.append("finish")


def test_a_reporter_hears_of_everything_under_the_names_of_old():
    diary = Diary()

    class Students(DefaultTemplate):
        _reporter = diary
        on_error = "stop"

        def new_students(self, action):
            return dropped_action if action.idnumber == "999" else None

        def update_students_name(self, action):
            raise RuntimeError

    tree = school()
    tree.new("source", "students", "1000", name="Cid")
    tree.new("source", "staff", "5")
    tree.new("source", "students", "112", name="Dee")
    tree.new("destination", "students", "112", name="Dea")
    (tree.source > tree.destination) | Students
    assert diary.heard == [
        "start",
        ("success", "Action(idnumber='1000', message='new_students')", True),
        ("dropped", "new_students", None),
        ("not_implemented", "new_staff", None),
        ("exception", "update_students_name", RuntimeError),
        ("fail", "update_students_name", "not come to after a failure"),
        "finish",
    ]


def test_a_reporter_needs_only_the_hooks_that_it_wants():
    class Failures(DefaultReporter):
        pass

    tree = school()
    report = Anything().apply(tree.source - tree.destination, reporters=[Failures()])
    assert (report.ok, report.warnings) == (True, ())
    tree = school()
    report = DefaultTemplate().apply(tree.source - tree.destination, reporters=[Failures()])
    assert (report.unhandled, report.warnings) == (2, ())


def test_a_result_without_an_action_is_nobodys():
    diary = Diary()
    diary.result(datastoresync.succeeded())
    assert diary.heard == []


def test_a_failure_is_seen_where_nobody_set_up_logging():
    script = """
        from datastoresync.vocabularies.synctree import DefaultTemplate, SyncTree

        tree = SyncTree(["source", "destination"], ["students"])
        tree.new("source", "students", "111")
        tree.new("source", "students", "999")

        class Template(DefaultTemplate):
            def new_students(self, action):
                if action.idnumber == "999":
                    raise RuntimeError("no room")

        (tree.source > tree.destination) | Template
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=Path(datastoresync.__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == ""
    first, second = run.stderr.splitlines()
    assert first == "failed: new_students(idnumber='999'): RuntimeError: no room"
    assert "succeeded=1 failed=1" in second
    assert isinstance(DefaultTemplate.reporters[0], LoggingReporter)


# --- safeguards -------------------------------------------------------------------------------------------------


def test_an_empty_source_deletes_nothing_unless_it_is_meant():
    tree = SyncTree(["source", "destination"], ["students"])
    tree.new("destination", "students", "1")
    with pytest.raises(SafeguardError, match=r"source\.students is empty"):
        (tree.source > tree.destination) | Anything
    assert tree.destination.students.idnumbers == {"1"}
    report = Anything().apply(tree.source - tree.destination, limits=Limits(empty="students", deletions=1))
    assert report.ok
    assert list(tree.destination.students) == []


def test_many_deletions_are_refused_as_a_whole():
    tree = SyncTree(["source", "destination"], ["students"])
    for number in range(20):
        tree.new("destination", "students", str(number))
    tree.new("source", "students", "0")
    template = Anything()
    with pytest.raises(SafeguardError, match="19 deletions"):
        (tree.source > tree.destination) | template
    assert template.seen == []

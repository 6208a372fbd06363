"""Each sentence of what synctree's clients use of templates, results and reporters, by the modules they import."""

import re
from pathlib import Path

import pytest
from synctree_trees import tree_of

from datastoresync import DeclarationError, SafeguardError
from datastoresync.vocabularies import synctree
from datastoresync.vocabularies.synctree.base import Base
from datastoresync.vocabularies.synctree.reporters import DefaultReporter, LoggerReporter
from datastoresync.vocabularies.synctree.results import (
    dropped_action,
    exception_during_call,
    successful_result,
    unsuccessful_result,
)
from datastoresync.vocabularies.synctree.templates import (
    DefaultTemplate,
    LoggerTemplate,
    PrintTemplate,
    TemplateWrapper,
)


def changes():
    return tree_of(
        {"idnumber": "1", "name": "Ann", "classes": {"a"}},
        {"idnumber": "2", "name": "Bob", "classes": set()},
        destination=[{"idnumber": "1", "name": "Anna", "classes": {"b"}}],
    )


def test_templates_have_methods_under_these_names_and_are_told_what_is_misspelt():
    called = []

    class Students(DefaultTemplate):
        def init(self):
            self.started = True

        def take(self, action):
            assert self.started
            called.append((action.method, action.value))

        new_students = update_students_name = add_students_classes_to_dest = remove_students_classes_from_dest = take

    tree = changes()
    assert ((tree.source > tree.dest) | Students).ok
    assert called == [
        ("new_students", None),
        ("add_students_classes_to_dest", "a"),
        ("remove_students_classes_from_dest", "b"),
        ("update_students_name", "Ann"),
    ]
    assert not tree.source - tree.dest

    class Misspelt(DefaultTemplate):
        def add_students_clases_to_dest(self, action): ...

    tree = changes()
    with pytest.raises(DeclarationError, match="did you mean 'add_students_classes_to_dest'"):
        (tree.source > tree.dest) | Misspelt


def test_results_are_named_tuples():
    assert successful_result._fields == ("success", "method", "info", "exception")
    assert [one.success for one in (successful_result, unsuccessful_result, dropped_action, exception_during_call)] == [
        *(True, False, None, False)
    ]
    assert successful_result(method="m", info="i") == (True, "m", "i", None)
    assert successful_result("m", "i") == (True, "m", "i", None)


def test_reporters_are_told_what_a_method_returned_each_of_it():
    heard = []

    def hook(name):
        return lambda self, action, result: heard.append((name, action.method, result.info))

    names = ("success", "fail", "exception", "not_implemented", "dropped")
    reporter = type("Reporter", (DefaultReporter,), {name: hook(name) for name in names})
    error = OSError("gone")

    class Students(DefaultTemplate):
        reporters = ()
        _reporter = reporter
        _exceptions = (OSError,)

        def new_students(self, action):
            return [successful_result(info="made"), dropped_action(info="no mail"), unsuccessful_result(info="no room")]

        def update_students_name(self, action):
            return exception_during_call(method="rename", exception=error)

        def add_students_classes_to_dest(self, action):
            raise error

    tree = changes()
    template = Students()
    report = (tree.source > tree.dest) | template
    assert heard == [
        ("success", "new_students", "made"),
        ("dropped", "new_students", "no mail"),
        ("fail", "new_students", "no room"),
        ("exception", "add_students_classes_to_dest", "OSError: gone"),
        ("not_implemented", "remove_students_classes_from_dest", "no method"),
        ("exception", "update_students_name", ""),
    ]
    assert [report.results[position].reason for position in (0, 3)] == ["no room", "rename: OSError: gone"]
    assert (report.failed, report.results[3].error) == (3, error)
    assert report.unhandled_methods == {"remove_students_classes_from_dest": 1}
    assert isinstance(template._reporter, reporter)


def test_a_reporter_is_a_class_an_instance_or_an_import_string():
    for given in (LoggerReporter, LoggerReporter(), "datastoresync.vocabularies.synctree.reporters.LoggerReporter"):
        template = type("Students", (DefaultTemplate,), {"_reporter": given, "reporters": ()})()
        tree = changes()
        (tree.source > tree.dest) | template
        (entry,) = template._reporter._log["students"]["2"]
        assert (entry.outcome, entry.action.idnumber) == ("not_implemented", "2")
    wrong = type("Students", (DefaultTemplate,), {"_reporter": dict})
    with pytest.raises(TypeError, match="none of the hooks of DefaultReporter"):
        (tree.source > tree.dest) | wrong


def test_a_reporter_that_is_of_no_class_of_ours_may_have_some_of_the_hooks():
    class Said:
        def __init__(self):
            self.lines = []

        def not_implemented(self, action, result):
            self.lines.append((action.method, result.success))

    template = type("Students", (DefaultTemplate,), {"_reporter": Said, "reporters": ()})()
    tree = changes()
    (tree.source > tree.dest) | template
    assert ("new_students", None) in template._reporter.lines


def test_a_template_may_answer_to_every_name():
    class Every(DefaultTemplate):
        def __getattr__(self, name):
            if name.startswith("_"):
                raise AttributeError(name)
            return lambda action: called.append((name, action.idnumber))

    called = []
    tree = changes()
    assert ((tree.source > tree.dest) | Every).ok
    assert {"new_students", "update_students_name"} <= {name for name, _ in called}
    assert "current" not in dict(called)


def test_a_logger_keeps_what_became_of_each_action():
    class Students(DefaultTemplate):
        reporters = ()
        _reporter = LoggerReporter

        def new_students(self, action):
            return successful_result(info="made")

        def update_students_name(self, action):
            return exception_during_call(method="rename", exception="timeout")

        def add_students_classes_to_dest(self, action):
            raise OSError("gone")

        def remove_students_classes_from_dest(self, action):
            return unsuccessful_result

    tree, template = changes(), Students()
    report = (tree.source > tree.dest) | template
    (made,), others = template._reporter._log["students"]["2"], template._reporter._log["students"]["1"]
    assert (made.outcome, made.action.source, made.result.info) == ("success", tree.source.students.get("2"), "made")
    assert [one.outcome for one in others] == ["exception", "fail", "exception"]
    assert [one.reason for one in report.failures] == ["OSError: gone", "unsuccessful", "rename: timeout"]


def test_loggers_and_printers_do_nothing_and_no_limit_stops_them(capsys):
    tree = tree_of(destination=[{"idnumber": str(number)} for number in range(9)])
    template = LoggerTemplate()
    report = (tree.source > tree.dest) | template
    assert (report.skipped, report.ok) == (9, True)
    assert {key: [one.outcome for one in entries] for key, entries in template._reporter._log["students"].items()} == {
        str(number): ["dropped"] for number in range(9)
    }
    assert len(tree.dest.students) == 9
    assert capsys.readouterr().out == ""
    (tree.source - tree.dest) | PrintTemplate
    assert capsys.readouterr().out.splitlines()[0] == "Action(idnumber='0', message='old_students')"
    deleting = type("Deleting", (LoggerTemplate,), {"old_students": lambda self, action: None})
    for limited in (DefaultTemplate, deleting):
        with pytest.raises(SafeguardError):
            (tree.source > tree.dest) | limited


class Recorder(DefaultTemplate):
    reporters = ()

    def __init__(self):
        super().__init__()
        self.called = []

    def take(self, action):
        self.called.append(action.method)

    new_students = update_students_name = add_students_classes_to_dest = remove_students_classes_from_dest = take


@pytest.mark.parametrize(
    ("options", "called"),
    [
        ({"mock": True}, []),
        ({"only_these": "new_students add_students_classes_to_dest"}, ["new_students", "add_students_classes_to_dest"]),
        ({"exclude_these": "new_students,update_students_name", "only_these": "new_students"}, []),
        (
            {"exclude_these": "add_students_classes_to_dest, new_students"},
            ["remove_students_classes_from_dest", "update_students_name"],
        ),
    ],
)
def test_a_wrapper_carries_out_some_or_none(options, called):
    tree, template = changes(), Recorder()
    report = (tree.source > tree.dest) | TemplateWrapper(template, **options)
    assert template.called == called
    assert report.mock == options.get("mock", False)
    assert TemplateWrapper(Recorder, mock=True).apply(tree.source > tree.dest).succeeded == 0


def test_a_wrapper_is_told_what_is_misspelt():
    tree = changes()
    with pytest.raises(DeclarationError, match="did you mean 'new_students'"):
        (tree.source > tree.dest) | TemplateWrapper(Recorder, only_these="new_student")


def test_every_test_that_the_documentation_names_is_there():
    tests = Path(__file__).resolve().parents[1]
    named = set(re.findall(r"`(test_\w+)", (tests.parent / "docs" / "migrating.md").read_text(encoding="utf-8")))
    files = list(tests.rglob("test_*.py"))
    there = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))}
    there |= {file.stem for file in files}
    assert len(named) > 80
    assert [name for name in sorted(named) if not any(each.startswith(name) for each in there)] == []


def test_all_names_are_in_the_package_too():
    for name in synctree.__all__:
        assert hasattr(synctree, name)
    assert synctree.Base is Base

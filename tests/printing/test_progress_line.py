import io
import sys
import types

import pytest

from datastoresync import Branch, Object, ProgressLine, Template, Tree, import_progress, succeeded


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_line_of_a_terminal_is_written_over_and_left_at_the_end():
    terminal = Terminal()
    line = ProgressLine(terminal, interval=0)
    line("import", 1_000, 0)
    line("diff", 5, 10)
    line.close()
    line.close()
    assert terminal.getvalue() == "\rreading: 1,000 rows\rcomparing: 5 of 10 \n"


def test_it_is_not_updated_more_often_than_it_should_be_but_for_the_end():
    terminal = Terminal()
    line = ProgressLine(terminal, interval=3600)
    for done in range(1, 1_001):
        line("sync", done, 1_000)
    assert terminal.getvalue() == "\rwriting: 1 of 1,000\rwriting: 1,000 of 1,000"


def test_a_file_and_a_pipe_get_nothing():
    file = io.StringIO()
    line = ProgressLine(file, interval=0)
    line("diff", 10, 10)
    line.close()
    assert file.getvalue() == ""


@pytest.fixture
def page(monkeypatch):
    """A kernel's outputs, each with what it showed one after the other."""
    outputs = []

    class Handle:
        def __init__(self, data, *, raw, display_id):
            self.data = [data]
            outputs.append(self)

        def update(self, data, *, raw):
            self.data.append(data)

    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    display = types.SimpleNamespace(display=Handle)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return outputs


def test_a_notebook_has_one_output_that_is_updated(page):
    line = ProgressLine(interval=0)
    line("<b>", 1, 2)
    line("diff", 2, 2)
    (output,) = page
    assert [data["text/plain"] for data in output.data] == ["<b>: 1 of 2", "comparing: 2 of 2"]
    assert output.data[0]["text/html"] == '<label><progress value="1" max="2"></progress> &lt;b&gt;: 1 of 2</label>'


def test_it_tells_of_imports_comparison_and_applying(page):
    class Accepting(Template):
        def new(self, action):
            return succeeded()

    class Source(Tree):
        users = Branch(Object, importer=[{"idnumber": "1"}, {"idnumber": "2"}])

    class Dest(Tree):
        users = Branch(Object, importer=[])
        template = Accepting

    with import_progress(ProgressLine(interval=0)):
        source = +Source()
    dest = +Dest()
    assert source.sync_to(dest, progress=ProgressLine(interval=0)).ok
    imported, output = page
    assert [data["text/plain"] for data in imported.data] == ["reading: 2 of 2"]
    assert [data["text/plain"] for data in output.data] == ["comparing: 2 of 2", "writing: 1 of 2", "writing: 2 of 2"]

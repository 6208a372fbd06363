"""Diffs in a real JupyterLab and Chromium: the table, its ticks, its size; and the page without any of it."""

import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import chromium
import pytest
from chromium import serious

from datastoresync import Branch, Object, Tree
from datastoresync.printing.html import page

ROOT = Path(__file__).resolve().parents[2]
COUNT = 100_000

pytestmark = pytest.mark.browser

CELLS = [
    f"""from datastoresync import Branch, Object, Tree
class User(Object):
    _sensitive = ("pin",)
def rows(kind):
    return [
        {{"idnumber": str(index), "pin": f"secret {{kind}}",
         "note": f"<b>plays the {{kind}}</b> in the orchestra of the school, desk {{index % 9}}"}}
        for index in range({COUNT // 2})
    ]
class Source(Tree):
    users = Branch(User, importer=rows("violin"))
class Dest(Tree):
    users = Branch(User, importer=rows("cello"))
changes = +Source() - +Dest()""",
    "changes",
    "print('ticked', *sorted((int(one.idnumber), one.attr) for one in changes.ticked))",
    "_ = changes.tick(idnumber='7')",
]


@pytest.fixture(scope="module")
def browser():
    with chromium.started() as chrome:
        yield chrome


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)
    return found


def answers(url):
    try:
        return urllib.request.urlopen(url).close() is None
    except OSError:
        return False


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """A notebook of `CELLS` in JupyterLab, of which all but the last two have run."""
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("jupyterlab")
    pytest.importorskip("anywidget")
    folder = tmp_path_factory.mktemp("lab")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "table.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = ["ServerApp.port_retries=0", "IdentityProvider.token=", "LabApp.expose_app_in_browser=True"]
    settings += [f"ServerApp.port={port}", f"ServerApp.root_dir={folder}", "LabApp.news_url=None"]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *(f"--{one}" for one in settings)]
    own = {f"JUPYTER_{name}": str(folder / name) for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), **own}
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/api"))
        browser.get(f"http://127.0.0.1:{port}/lab/tree/table.ipynb")
        kernel = "return window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status"
        until(lambda: browser.execute_script(kernel) == "idle")
        yield browser
    finally:
        browser.get("about:blank")
        server.terminate()
        server.wait()


RUN = """
const [cell, done] = arguments, app = window.jupyterapp, notebook = app.shell.currentWidget.content;
notebook.deselectAll();
notebook.activeCellIndex = cell;
const start = performance.now();
app.commands.execute("notebook:run-cell").then(() => done(notebook.widgets[cell].node.innerText));
if (cell === 1) {
  const painted = () => document.querySelector(".dss-body [data-position]")
    ? requestAnimationFrame(() => setTimeout(() => { window.painted = performance.now() - start; }))
    : requestAnimationFrame(painted);
  painted();
}
"""
FILTER = """
const [words, done] = arguments, search = document.querySelector(".dss-table input[type=search]");
const start = performance.now();
search.value = words;
search.dispatchEvent(new Event("input"));
requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
"""


def status(browser):
    return browser.execute_script("return document.querySelector('.dss-table [role=status]').textContent")


def lines_of(browser):
    """The texts of the rows that are in the document."""
    return [line.text.split("\n") for line in browser.find_elements("css selector", ".dss-body [data-position]")]


def check_ticked(browser, model):
    """Check what the kernel says of `changes.ticked`; a click and the output of a cell take their time."""
    end = time.monotonic() + 10
    while (found := ticked(browser)) != model and time.monotonic() < end:
        time.sleep(0.2)
    assert found == model


def ticked(browser):
    said = browser.execute_async_script(RUN, 2)
    found = re.search(r"^ticked\b.*", said, re.MULTILINE)
    return {(int(key), attr) for key, attr in re.findall(r"\((\d+), '(\w+)'\)", found[0] if found else "")}


def test_a_table_of_100_000_changes_in_jupyterlab(lab):
    for cell in (0, 1):
        lab.execute_async_script(RUN, cell)
    until(lambda: lab.execute_script("return window.painted"))
    times = {"first paint": lab.execute_script("return window.painted")}
    assert status(lab) == "100,000 of 100,000 shown, 0 ticked"
    assert lab.execute_script("return document.querySelectorAll('.dss-body [data-position]').length") < 80
    text = lab.execute_script("return document.querySelector('.dss-table').textContent")
    assert "<b>plays the " in text, "whatever stands in a value is text"
    assert "***" in text
    assert "secret" not in text

    for key in ("4999", "49", "7"):
        times[key] = lab.execute_async_script(FILTER, f"VIOLIN {key}")
        count = sum(key in f"{one} {one % 9}" for one in range(COUNT // 2))  # the word is in notes alone
        assert status(lab).startswith(f"{count:,} of 100,000 shown")
    print({name: f"{time:.0f} ms" for name, time in times.items()})  # noqa: T201 - what pytest -s shows

    # Sorted up, down, and as it came; numbers in keys count as numbers.
    lab.execute_async_script(FILTER, "")
    heading = lab.find_element("css selector", ".dss-head [role=columnheader]:nth-child(3) button")
    for way, keys in (("ascending", ["1", "2"]), ("descending", ["49998", "49997"]), ("none", ["1", "10"])):
        heading.click()
        assert [row[1] for row in lines_of(lab)[3:5]] == keys, way
        assert lab.execute_script("return arguments[0].parentElement.ariaSort", heading) == way

    # Ticked by the mouse, by the keyboard and all that are shown; a plain set is what it must come to.
    model = set()
    from selenium.webdriver import ActionChains, Keys

    boxes = lab.find_elements("css selector", ".dss-body input")
    lines = lines_of(lab)
    boxes[3].click()
    model.add((int(lines[3][1]), lines[3][2]))
    down = ActionChains(lab).send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, " ", Keys.ARROW_DOWN, " ", " ")
    down.perform()
    model.add((int(lines[5][1]), lines[5][2]))
    check_ticked(lab, model)
    lab.execute_async_script(FILTER, "note 4999")
    lab.find_element("css selector", ".dss-head input").click()
    model |= {(key, "note") for key in range(COUNT // 2) if "4999" in str(key)}
    check_ticked(lab, model)

    # And what is ticked in Python is seen in the page.
    lab.execute_async_script(RUN, 3)
    model |= {(7, "note"), (7, "pin")}
    until(lambda: status(lab).endswith(f"{len(model)} ticked"))
    check_ticked(lab, model)
    lab.execute_async_script(FILTER, "")
    lab.find_element("css selector", ".dss-bar label input").click()
    assert status(lab) == f"{len(model)} of 100,000 shown, {len(model)} ticked"

    listed = lab.find_elements("css selector", ".dss-outline:not(.dss-table)")
    assert [one.is_displayed() for one in listed] == [False], "the list is for where no table is"
    assert serious(lab, ".dss-table") == []


class Source(Tree):
    users = Branch(Object, importer=[{"idnumber": str(one), "note": "plays the violin " * 20} for one in range(40)])


class Dest(Tree):
    users = Branch(Object, importer=[{"idnumber": str(one), "note": "plays the cello " * 20} for one in range(20, 60)])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("wide", [600, 1600])
def test_the_page_without_a_table_reads_well(browser, tmp_path, scheme, wide):
    path = tmp_path / "page.html"
    path.write_text(page((+Source() - +Dest()).outline()), encoding="utf-8")
    with chromium.emulated(browser, scheme, wide):
        browser.get(path.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= wide
        dark = browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(18, 18, 18)"
        assert dark == (scheme == "dark")
        assert serious(browser, "body") == []
        if folder := os.environ.get("PICTURES"):  # for whoever wants to look at them
            browser.save_screenshot(f"{folder}/page-{scheme}-{wide}.png")


VSCODE = """<!doctype html><html lang="en" style="--vscode-descriptionForeground: {4};
--vscode-font-family: Theme; --vscode-editor-font-family: Code"><title>VS Code</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<body class="{0}" data-vscode-theme-kind="{0}" style="background: {1}; color: {2}">{3}"""
LOOKS = """
const of = (name) => getComputedStyle(document.querySelector(name));
return [of(".dss-outline").colorScheme, of(".dss-red").color, of(".dss-muted").color, of(".dss-outline").fontFamily,
        of(".dss-code").fontFamily.split(",")[0]];
"""


@pytest.mark.parametrize(
    ("kind", "scheme", "red"),
    [
        ("vscode-light", "light", "rgb(179, 21, 31)"),
        ("vscode-dark", "dark", "rgb(255, 142, 134)"),
        ("vscode-high-contrast", "dark", "rgb(255, 142, 134)"),
        ("vscode-high-contrast-light", "light", "rgb(179, 21, 31)"),
    ],
)
def test_in_a_page_like_that_of_vs_code_its_theme_decides(browser, tmp_path, kind, scheme, red):
    path = tmp_path / "page.html"
    colours = ("#fff", "#000") if scheme == "light" else ("#000", "#fff")
    muted = "rgb(1, 103, 2)" if scheme == "light" else "rgb(151, 203, 152)"
    path.write_text(VSCODE.format(kind, *colours, (+Source() - +Dest())._repr_html_(), muted), encoding="utf-8")
    with chromium.emulated(browser, {"light": "dark", "dark": "light"}[scheme], 800):  # that of the system is another
        browser.get(path.as_uri())
        assert browser.execute_script(LOOKS) == [scheme, red, muted, "Theme", "Code"]
        assert serious(browser, ".dss-outline") == []


TOGETHER = """
const [source, before, after, done] = arguments;
import(`data:text/javascript,${encodeURIComponent(source)}`).then((module) => done(module.words(before, after)));
"""


def test_the_words_that_are_marked_put_both_texts_together_again(browser):
    browser.get("about:blank")
    source = (ROOT / "datastoresync/printing/table.js").read_text(encoding="utf-8")
    drawn = random.Random(1)
    for _ in range(30):
        before = " ".join(drawn.choices(["Zoë", "山田", "a-b", "x", "<i>"], k=drawn.randrange(9)))
        after = " ".join(drawn.choices(["Zoë", "山田", "a-b", "y", "<i>"], k=drawn.randrange(9)))
        found = browser.execute_async_script(TOGETHER, source, before, after)
        assert ["".join(text for text, _ in side) for side in found] == [before, after]
        equal = ["".join(text for text, changed in side if not changed) for side in found]
        assert equal[0] == equal[1], json.dumps(found)
    same = "the quick {} fox jumps"
    found = browser.execute_async_script(TOGETHER, source, same.format("brown"), same.format("red"))
    assert found[0] == [["the quick ", False], ["brown", True], [" fox jumps", False]]
    assert found[1][1] == ["red", True]

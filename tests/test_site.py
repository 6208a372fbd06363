"""The documentation's site is built without a warning, and axe-core finds nothing serious on its pages."""

from __future__ import annotations

import functools
import http.server
import subprocess
import sys
import threading
from html.parser import HTMLParser
from itertools import cycle, product
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import chromium
import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


class Links(HTMLParser):
    """Collects where the links of a page lead, and its anchors."""

    def __init__(self):
        super().__init__()
        self.targets, self.anchors = set(), set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("a", "img", "link", "script"):
            self.targets.add(given.get("href") or given.get("src"))
        self.anchors.add(given.get("id"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", folder / "trees"]
    ran = subprocess.run([*command, ROOT / "docs", folder / "html"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return folder / "html"


def test_every_link_leads_to_a_page_and_an_anchor_of_the_site(site):
    pages = {}
    for path in site.rglob("*.html"):
        pages[path] = Links()
        pages[path].feed(path.read_text(encoding="utf-8"))
    assert len(pages) > 12
    missing = []
    for path, page in pages.items():
        for target in page.targets - {None}:
            bare, anchor = urldefrag(target)
            found = urlparse(bare)
            if found.scheme:
                continue
            there = (path.parent / unquote(found.path)).resolve() if bare else path
            if not there.exists() or (anchor and there in pages and unquote(anchor) not in pages[there].anchors):
                missing.append((path.name, target))
    assert missing == []


FEW = """
const wide = document.documentElement.scrollWidth, seen = {};
for (const one of document.querySelectorAll("article :is(dl.py:not(dl.py *), section, tr, li, pre, p)")) {
  seen[one.tagName] = (seen[one.tagName] ?? 0) + 1;
  if (seen[one.tagName] > 6) one.remove();
}
return wide;
"""
WCAG = {"runOnly": ["wcag2a", "wcag2aa"], "resultTypes": ["violations"]}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_about):
        pass


@pytest.mark.browser
def test_nothing_serious_is_wrong_with_a_page_in_light_and_dark_narrow_and_wide(site):
    looks = list(product(("light", "dark"), (600, 1600)))
    pages = sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))
    shown = [("index.html", look) for look in looks] + list(zip(pages, cycle(looks)))
    with (
        chromium.started() as browser,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        wrong = []
        for name, look in shown:
            with chromium.emulated(browser, *look):
                browser.get(f"http://127.0.0.1:{server.server_port}/{name}")
                # axe takes minutes for a thousand signatures: of each kind of element it is shown a few.
                wide = browser.execute_script(FEW)
                found = chromium.serious(browser, "html", WCAG)
                wrong += [(name, look, one) for one in found] + [(name, look, wide)] * (wide > look[1])
                title, headings = browser.title, browser.find_elements("css selector", "h1")
                wrong += [(name, "no title")] * (not title or not headings) if name != "search.html" else []
        server.shutdown()
    assert wrong == []

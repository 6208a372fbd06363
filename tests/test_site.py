"""The documentation's site is built without a warning."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

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

"""How Sphinx makes the site: `make site`, then open build/site/index.html."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
from sphinx.application import Sphinx

import datastoresync

project = "datastoresync"
author = copyright = "the datastoresync developers"  # noqa: A001 - the name that Sphinx reads
release = datastoresync.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]

html_theme = "furo"
html_title = f"datastoresync {release}"
html_static_path: list[str] = []
html_theme_options = {
    "source_repository": "https://github.com/datastoresync/datastoresync",
    "source_directory": "docs/",
}
exclude_patterns = ["releasing.md"]

myst_heading_anchors = 4  # links to headings, as they are on the pages of the repository
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["myst.strikethrough"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature has them
autodoc_preserve_defaults = True
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

_REPOSITORY = f"{html_theme_options['source_repository']}/blob/main/"


def _link_outside(app: Sphinx, name: str, source: list[str]) -> None:
    """Let links to files outside of this folder lead to the repository, which has them."""
    page = Path(app.srcdir) / f"{name}.md"

    def changed(found: re.Match[str]) -> str:
        target, _, anchor = found[1].partition("#")
        path = (page.parent / target).resolve()
        outside = target and not path.is_relative_to(app.srcdir) and path.exists()
        if not outside:
            return found[0]
        return f"]({_REPOSITORY}{path.relative_to(Path(app.srcdir).parent)}{'#' * bool(anchor)}{anchor})"

    source[0] = re.sub(r"\]\((?!\w+:)([^)\s]+)\)", changed, source[0])


def _make_accessible(app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: object) -> None:  # noqa: ARG001 - Sphinx's
    """Say the level of headings that are paragraphs, and let code that is too wide be scrolled by keys."""
    for part, before, after in (
        ("furo_navigation_tree", 'role="heading"', 'role="heading" aria-level="2"'),
        ("body", 'role="heading"', 'role="heading" aria-level="2"'),
        ("body", "<pre>", '<pre tabindex="0">'),
    ):
        context[part] = context.get(part, "").replace(before, after)


def _with_defaults(*about: Any) -> tuple[str, str] | None:
    """Show the defaults of an attrs class, of which its source only says where they are."""
    _, _, _, documented, _, signature, returned = about

    def default(found: re.Match[str]) -> str:
        shown = repr(attrs.fields_dict(documented)[found[1]].default)
        return "…" if " object at " in shown else shown

    if not signature:
        return None
    return re.sub(r"attr_dict\['(\w+)'\]\.default", default, signature).replace("=NOTHING", "=…"), returned


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", _with_defaults)
    app.connect("source-read", _link_outside)
    app.connect("html-page-context", _make_accessible, priority=900)  # after the theme

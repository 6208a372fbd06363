"""Writes a web page that says who is in which group; with --from it reads them from any store."""

from argparse import Namespace
from html import escape
from pathlib import Path

from datastoresync import Tree
from datastoresync.app import App, Arguments, SyncerReader, Writer


class PageWriter(Writer):
    """Writes a row for each object of the branch groups."""

    def add_arguments(self, parser: Arguments) -> None:
        """Ask where to."""
        parser.add_argument("--page", type=Path, required=True, metavar="FILE", help="the page to write")

    def write(self, args: Namespace, tree: Tree) -> None:
        """Write the page."""
        groups = {name: ", ".join(sorted(group.members)) for name, group in tree["groups"].items()}
        rows = [f"<tr><th>{escape(name)}</th><td>{escape(members)}</td></tr>" for name, members in groups.items()]
        lines = ["<!doctype html>", "<meta charset=utf-8>", "<title>Groups</title>", "<table>", *rows, "</table>", ""]
        args.page.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    App(SyncerReader(), PageWriter()).main()

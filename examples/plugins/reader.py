"""Reads the users of a Unix machine, and who is in which group; with --to it writes them to any store."""

from argparse import Namespace
from pathlib import Path

from datastoresync import Branch, Tree
from datastoresync.app import App, Arguments, Reader, SyncerWriter


class UnixReader(Reader):
    """Makes a tree of the files passwd and group."""

    def add_arguments(self, parser: Arguments) -> None:
        """Ask where they are."""
        parser.add_argument("--etc", type=Path, default="/etc", metavar="FOLDER", help="where passwd and group are")

    def read(self, args: Namespace) -> Tree:
        """Return a branch of users, and one of groups with their members."""
        texts = [(args.etc / name).read_text(encoding="utf-8") for name in ("passwd", "group")]
        users, groups = ([line.split(":") for line in text.splitlines()] for text in texts)
        people = [{"idnumber": user[0], "name": user[4], "shell": user[6]} for user in users]
        teams = [{"idnumber": group[0], "members": set(filter(None, group[3].split(",")))} for group in groups]
        return Tree("unix", branches={"users": Branch(importer=people), "groups": Branch(importer=teams)}).load()


if __name__ == "__main__":
    App(UnixReader(), SyncerWriter()).main()

"""A school's script for synctree, which runs here with its imports changed: a learning platform follows the export.

The export is tab-separated files without headers, for two parts of the school; the platform is a SQLite database, which
is made of ``platform.sql`` where there is none.
"""

import argparse
import sqlite3
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from datastoresync.vocabularies.synctree import SyncTree, TemplateWrapper
from examples.migrating.synctree.templates import PlatformTemplate

HERE = Path(__file__).resolve().parent
SUBBRANCHES = ["rooms:off", "staff", "students", "parents", "groups", "classes", "cohorts"]
DERIVED = ("parents", "groups")
MODELS = "examples.migrating.synctree.models_{branch}.{branch_title}{subbranch_title}"
IMPORTERS = "examples.migrating.synctree.importers.{branch_title}{subbranch_title}Importer"


def classes(pattern: str, without: dict[str, tuple[str, ...]]) -> list[list[str | None]]:
    """Return an import string for each subbranch of each branch, but for those without a class."""
    names = [name.partition(":")[0] for name in SUBBRANCHES]
    return [
        [
            None
            if name in without[branch]
            else pattern.format(branch=branch, branch_title=branch.title(), subbranch_title=name.title())
            for name in names
        ]
        for branch in without
    ]


def school(database: Path) -> SyncTree:
    """Return the tree of both."""
    tree = SyncTree(
        ["export", "platform"],
        SUBBRANCHES,
        model_klass_list=classes(MODELS, {"export": ("rooms",), "platform": ("rooms",)}),
        importer_klass_list=classes(IMPORTERS, {"export": DERIVED, "platform": ("rooms",)}),
    )
    tree.register_relations("parents.children", "students")
    tree.register_relations("classes.teachers", "staff")
    tree.register_relations("classes.students", "students")
    for name in tree.subbranches:
        importer = getattr(tree.platform, name).importer
        if importer is not None:
            importer.update_setting("url", f"sqlite:///{database}")
    return tree


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", type=Path, default=Path("platform.db"), help="the SQLite file; platform.db")
    parser.add_argument("--mock", action="store_true", help="only say what would be done")
    parser.add_argument("--only-these", default="", help="the methods to call, as in 'new_students old_students'")
    options = parser.parse_args(arguments)
    if not options.database.exists():
        connection = sqlite3.connect(options.database)
        connection.executescript((HERE / "platform.sql").read_text(encoding="utf-8"))
        connection.close()

    tree = school(options.database)
    +tree
    for action in tree.export > tree.platform:
        print(action)
    PlatformTemplate.path = str(options.database)
    template = PlatformTemplate()
    report = (tree.export > tree.platform) | TemplateWrapper(template, mock=options.mock, only_these=options.only_these)
    template.close()
    print(report.stat)
    for subbranch, entries in template._reporter._log.items():
        print(f"{subbranch}: {len(entries)} objects, {sum(map(len, entries.values()))} results")
    code: int = report.exit_code
    return code


if __name__ == "__main__":
    sys.exit(main())

"""Small trees in synctree's words."""

from datastoresync.vocabularies.synctree.tree import SyncTree


def tree_of(*rows, destination=(), subbranches=("students",), **options):
    """Return a tree with rows of students in the source and in the destination."""
    tree = SyncTree(["source", "dest"], list(subbranches), **options)
    for branch, given in (("source", rows), ("dest", destination)):
        for row in given:
            tree.new(branch, "students", **row)
    return tree


def messages(actions):
    return [action.message for action in actions]

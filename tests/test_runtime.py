"""The garbage collector is left alone with what is new, and still frees what is left behind in circles."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

from datastoresync import runtime
from datastoresync.runtime import collector_paused


class Node:
    """An object in a circle of its own, which only the collector frees."""

    def __init__(self):
        self.circle = self


def test_what_is_new_is_not_visited_at_once():
    gc.collect()
    before = gc.get_stats()[2]["collections"]
    with collector_paused():
        kept = [Node() for _ in range(50_000)]
    more = [Node() for _ in range(500)]
    assert gc.get_stats()[2]["collections"] == before
    assert len(kept) + len(more) == 50_500


def test_circles_left_behind_are_freed_in_the_end(monkeypatch):
    monkeypatch.setattr(runtime, "_MOST", 10_000)
    nodes = [Node()]
    first = weakref.ref(nodes[0])
    for _ in range(500):
        with collector_paused():
            nodes = [Node() for _ in range(1000)]
    assert len(nodes) == 1000
    assert first() is None


def test_frozen_objects_stay_frozen():
    script = (
        "import gc; from datastoresync.runtime import collector_paused\n"
        "gc.freeze(); frozen = gc.get_freeze_count()\n"
        "with collector_paused(): kept = [[] for _ in range(1000)]\n"
        "assert gc.isenabled() and gc.get_freeze_count() == frozen > 0"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

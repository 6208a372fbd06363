"""The garbage collector is left alone with what is new, and still frees what is left behind in circles.

In processes of their own, as the tests' own objects are frozen here.
"""

from __future__ import annotations

import subprocess
import sys


def run(script):
    """Run a script, after what all of these need."""
    start = (
        "import gc, weakref\n"
        "from datastoresync import runtime\n"
        "from datastoresync.runtime import collector_paused\n"
        "class Node:\n"
        "    def __init__(self): self.circle = self\n"  # which only the collector frees
    )
    subprocess.run([sys.executable, "-c", start + script], check=True)


def test_what_is_new_is_not_visited_at_once():
    run(
        "visits = []\n"
        "gc.callbacks.append(lambda phase, info: visits.append(phase))\n"
        "with collector_paused(): kept = [Node() for _ in range(50_000)]\n"
        "more = [Node() for _ in range(500)]\n"
        "assert visits == []"
    )


def test_circles_left_behind_are_freed_in_the_end():
    run(
        "runtime._MOST = 10_000\n"
        "nodes = [Node()]\n"
        "first = weakref.ref(nodes[0])\n"
        "for _ in range(500):\n"
        "    with collector_paused(): nodes = [Node() for _ in range(1000)]\n"
        "assert first() is None"
    )


def test_frozen_objects_stay_frozen_and_are_counted_once():
    run(
        "gc.freeze(); count, counts = gc.get_freeze_count, []\n"
        "gc.get_freeze_count = lambda: counts.append(count()) or counts[-1]\n"
        "for _ in range(2):\n"
        "    with collector_paused(): kept = [[] for _ in range(1000)]\n"
        "assert gc.isenabled() and counts == [count()]"
    )

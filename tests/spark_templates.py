"""What executors import in the tests that are marked `spark`."""

from __future__ import annotations

import os
from pathlib import Path

from datastoresync import Object, Template, batch, failed, skipped


class Pupil(Object):
    idnumber: str
    name: str
    room: str | None = None

    @property
    def _shouted(self):
        return self.name.upper()


class Loose(Object):
    """An open class, with a property of its own."""

    @property
    def _shouted(self):
        return self.name.upper()


class Lines(Template):
    """Appends a line an action to a file of the process, and fails for names that say so."""

    def __init__(self, folder=None):
        super().__init__()
        self.folder = Path(folder or os.environ["DATASTORESYNC_TEST"])

    def write(self, action, what):
        said = what.lower()
        if "fails" in said:
            message = "no such account at mysql://me:secret@host/db"
            raise RuntimeError(message)
        if "skipped" in said:
            return skipped("on purpose")
        if "dies" in said:
            os._exit(1)
        with (self.folder / f"{os.getpid()}.txt").open("a", encoding="utf-8") as file:
            file.write(f"{action.verb} {action.branch} {action.idnumber} {action.attr} {what}\n")
        return None


class Writing(Lines):
    def new_pupils(self, action):
        return self.write(action, action.source._shouted)

    def new_loose(self, action):
        return self.write(action, getattr(action.source, "_shouted", action.source.name))

    def update_name(self, action):
        return self.write(action, f"{action.old_value}>{action.value}")

    @batch(3)
    def update_room(self, actions):
        done = [self.write(action, action.value) for action in actions]
        return [
            failed("full") if action.value == "full" else result for action, result in zip(actions, done, strict=True)
        ]

    def old_pupils(self, action):
        return self.write(action, action.dest.name)


class House(Object):
    _children = {"rooms": "house"}
    idnumber: str


class Room(Object):
    idnumber: str
    house: str


class Building(Lines):
    def new_houses(self, action):
        return self.write(action, action.idnumber)

    new_rooms = new_houses

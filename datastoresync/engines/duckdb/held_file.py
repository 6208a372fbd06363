"""A file that is kept open, so that what was imported can be read although another file takes its name."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from datastoresync.engines.relation import CannotPushDown
from datastoresync.errors import MalformedFileError
from datastoresync.syncers.source_info import file_state

_OWN = Path("/proc/self/fd")


class HeldFile:
    """A file, and what it was like when it was imported.

    Args:
        path: The file.
        state: What changes when the file does; see `source_info.file_state`.

    Raises:
        CannotPushDown: if it is not that file any more.
    """

    def __init__(self, path: Path, state: tuple[int, ...]) -> None:
        self._given = path
        self._state = state
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise CannotPushDown("the file cannot be opened again") from error
        self.close = weakref.finalize(self, os.close, self._descriptor)
        """Lets go of it; nobody need do that who forgets it."""
        if file_state(os.fstat(self._descriptor)) != state:
            self.close()
            raise CannotPushDown("the file changed while it was read")
        own = _OWN / str(self._descriptor)
        self.path = str(own) if own.exists() else str(path.absolute())
        """What opens it again."""

    def check(self) -> None:
        """Raise `MalformedFileError` if it was written to since; one that was replaced is still what it was."""
        found = os.fstat(self._descriptor) if self.path.startswith(str(_OWN)) else Path(self.path).stat()
        if file_state(found)[1:] != self._state[1:]:
            message = "the file changed after it was imported: import it again"
            raise MalformedFileError(message, where=str(self._given))

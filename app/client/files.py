"""Files whose parsed content is kept up to date by those who use it, without a thread."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Generic, TypeVar

from app.core.errors import StartError
from app.reload.file import WatchedFiles

Value = TypeVar("Value")

# A file that is being written is whole after this, in seconds; Kubernetes swaps whole ones.
_SETTLED = 0.01


class Files(Generic[Value]):
    """`value` is what `parse` made of the files' contents, of their last good ones, taken together.

    What `parse` refuses by ValueError, or what cannot be read is logged once, and the last good value stays.
    Any thread may call. Raises what is wrong with the first contents: ValueError or OSError.
    """

    def __init__(self, paths: Sequence[Path], parse: Callable[..., Value], *, interval: float = 1.0) -> None:
        """`parse` is given each file's content, in the order of `paths`, and names the file in its errors."""
        try:
            self._files = WatchedFiles(paths, parse)
        except StartError as error:
            raise error.__cause__ or error from None
        self._interval = interval
        self._due = 0.0
        self._looking = Lock()

    @property
    def value(self) -> Value:
        return self._files.value

    def fresh(self) -> Value:
        """Looks at the contents, unless that was done within `interval` seconds, and returns the value.

        Nobody waits for another thread that looks, and nobody for a disk but the one that does. Only who
        finds something new waits, for a moment, to see it unchanged.
        """
        if monotonic() >= self._due and self._looking.acquire(blocking=False):
            try:
                if self._files.look():
                    sleep(_SETTLED)
                    self._files.look()
            finally:
                self._due = monotonic() + self._interval
                self._looking.release()
        return self._files.value

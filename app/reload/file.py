"""Files that are reloaded when their content changes."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from app.core.errors import StartError
from app.core.file import read_file, reason_of
from app.reload.ticker import Ticker

Value = TypeVar("Value")


class WatchedFiles(Ticker, Generic[Value]):
    """Holds in `value` what `parse` returned for the last valid contents of the files, taken together.

    Inside `with`, a thread compares the contents every `interval` seconds; times and inodes tell nothing
    where Kubernetes swaps symlinks. New content is parsed when two comparisons in a row find the same, so
    that a file is not read while it is being written. If it cannot be read, or `parse` raises ValueError,
    `reload_failed` is logged once and `value` stays. Reading `value` is safe from any thread.

    Raises StartError, which names the files, if their first content is invalid.
    """

    def __init__(self, paths: Sequence[Path], parse: Callable[..., Value], *, interval: float = 0.5) -> None:
        """`parse` takes the content of each file, in the order of `paths`."""
        names = ", ".join(str(path) for path in paths)
        super().__init__(f"watch {names}", interval, self.look)
        self._paths = paths
        self._parse = parse
        self._log = structlog.get_logger(file=names)
        try:
            contents = self._read()
            self.value = parse(*contents)
        except (OSError, ValueError) as error:
            raise StartError(f"{names}: {self._reason(error)}") from error
        self._settled = self._last_seen = _digests(contents)
        self._last_problem = ""

    def look(self) -> bool:
        """Reads the files once, and parses new content if the previous look found the same.

        Returns whether it found new content that a second look can confirm.
        """
        try:
            contents = self._read()
        except OSError as error:
            self._report(error)
            return False
        digests = _digests(contents)
        seen, self._last_seen = self._last_seen, digests
        if digests == self._settled:
            self._last_problem = ""
        elif digests == seen:
            try:
                self.value = self._parse(*contents)
            except ValueError as error:
                self._report(error)
            else:
                self._settled = digests
                self._last_problem = ""
                self._log.info("file_reloaded")
        return digests not in (self._settled, seen)

    def _read(self) -> list[bytes]:
        return [read_file(path) for path in self._paths]

    def _reason(self, error: Exception) -> str:
        which = f"{error.filename}: " if isinstance(error, OSError) and len(self._paths) > 1 else ""
        return which + reason_of(error)

    def _report(self, error: Exception) -> None:
        problem = self._reason(error)
        if problem != self._last_problem:
            self._last_problem = problem
            self._log.error("reload_failed", problem=problem)


class WatchedFile(WatchedFiles[Value]):
    """A single file."""

    def __init__(self, path: Path, parse: Callable[[bytes], Value], *, interval: float = 0.5) -> None:
        super().__init__((path,), parse, interval=interval)


def _digests(contents: Sequence[bytes]) -> list[bytes]:
    return [sha256(content).digest() for content in contents]

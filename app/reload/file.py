"""Files whose parsed content is kept up to date while it is in use."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from app.core.errors import StartError
from app.core.file import in_words, read_file
from app.reload.ticker import Ticker

Value = TypeVar("Value")


class WatchedFiles(Ticker, Generic[Value]):
    """`value` is what `parse` made of the files' contents, of their last good ones, taken together.

    Within `with`, a thread looks at the contents (not at times or inodes, for Kubernetes swaps symlinks)
    every `interval` seconds. New content is taken once two looks in a row found the same, so that a file
    that is being written is not read half. What `parse` refuses, by ValueError, or what cannot be read, is
    logged once and the last good value stays. Reading `value` is safe from any thread.

    Raises StartError, which names the files, where their first content is not good.
    """

    def __init__(self, paths: Sequence[Path], parse: Callable[..., Value], *, interval: float = 0.5) -> None:
        """`parse` is given each file's content, in the order of `paths`."""
        names = ", ".join(str(path) for path in paths)
        super().__init__(f"watch {names}", interval, self.look)
        self._paths = paths
        self._parse = parse
        self._log = structlog.get_logger(file=names)
        try:
            contents = self._read()
            self.value = parse(*contents)
        except (OSError, ValueError) as error:
            raise StartError(f"{names}: {self._in_words(error)}") from error
        self._settled = self._last_seen = _digests(contents)
        self._last_problem = ""

    def look(self) -> bool:
        """Reads the files once; takes new content if the look before this one found the same.

        Returns whether it found what it had not seen before, and a second look would tell more.
        """
        try:
            contents = self._read()
        except OSError as error:
            self._refuse(error)
            return False
        digests = _digests(contents)
        seen, self._last_seen = self._last_seen, digests
        if digests == self._settled:
            self._last_problem = ""
        elif digests == seen:
            try:
                self.value = self._parse(*contents)
            except ValueError as error:
                self._refuse(error)
            else:
                self._settled = digests
                self._last_problem = ""
                self._log.info("file_reloaded")
        return digests not in (self._settled, seen)

    def _read(self) -> list[bytes]:
        return [read_file(path) for path in self._paths]

    def _in_words(self, error: Exception) -> str:
        which = f"{error.filename}: " if isinstance(error, OSError) and len(self._paths) > 1 else ""
        return which + in_words(error)

    def _refuse(self, error: Exception) -> None:
        problem = self._in_words(error)
        if problem != self._last_problem:
            self._last_problem = problem
            self._log.error("file_refused", problem=problem, kept="the last good content")


class WatchedFile(WatchedFiles[Value]):
    """One such file."""

    def __init__(self, path: Path, parse: Callable[[bytes], Value], *, interval: float = 0.5) -> None:
        super().__init__((path,), parse, interval=interval)


def _digests(contents: Sequence[bytes]) -> list[bytes]:
    return [sha256(content).digest() for content in contents]

"""A file whose parsed content is kept up to date while it is in use."""

import errno
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from app.core.errors import StartError
from app.core.ticker import Ticker

Value = TypeVar("Value")


class WatchedFile(Ticker, Generic[Value]):
    """`value` is what `parse` made of the file's content, of its last good one.

    Within `with`, a thread looks at the content (not at times or inodes, for Kubernetes swaps symlinks)
    every `interval` seconds. New content is taken once two looks in a row found the same, so that a file
    that is being written is not read half. What `parse` refuses, by ValueError, or what cannot be read, is
    logged once and the last good value stays. Reading `value` is safe from any thread.

    Raises StartError, which names the file, where its first content is not good.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], Value], *, interval: float = 0.5) -> None:
        super().__init__(f"watch {path}", interval, self.look)
        self._path = path
        self._parse = parse
        self._log = structlog.get_logger(file=str(path))
        try:
            content = read_file(path)
            self.value = parse(content)
        except (OSError, ValueError) as error:
            raise StartError(f"{path}: {in_words(error)}") from error
        self._settled = self._last_seen = sha256(content).digest()
        self._last_problem = ""

    def look(self) -> None:
        """Reads the file once; takes new content if the look before this one found the same."""
        try:
            content = read_file(self._path)
        except OSError as error:
            self._refuse(error)
            return
        digest = sha256(content).digest()
        seen, self._last_seen = self._last_seen, digest
        if digest == self._settled:
            self._last_problem = ""
        elif digest == seen:
            try:
                self.value = self._parse(content)
            except ValueError as error:
                self._refuse(error)
            else:
                self._settled = digest
                self._last_problem = ""
                self._log.info("file_reloaded")

    def _refuse(self, error: Exception) -> None:
        problem = in_words(error)
        if problem != self._last_problem:
            self._last_problem = problem
            self._log.error("file_refused", problem=problem, kept="the last good content")


def read_file(path: Path) -> bytes:
    """The content of a regular file; to read another, such as a pipe, could take for ever. Raises OSError."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file")
    return path.read_bytes()


def in_words(error: Exception) -> str:
    """The reason alone, without errno, path or class name."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)

"""Merges the quotes file into the database."""

import time
from collections.abc import Callable, Sequence
from threading import Lock

import structlog

from app.core.errors import DeadlineExceeded, StatusError
from app.services.quotes.quotes import Quote

# Quotes in one transaction, for which other writers wait.
BATCH = 500
# Seconds after a failed attempt, at first and at most.
_PAUSE, _LONGEST_PAUSE = 0.5, 8.0


class FileMerge:
    """Adds the quotes that `file` returns to the database, once for each of its values.

    Quotes that are there already are passed over, so several servers may merge the same file at the same
    time. A quote that leaves the file stays in the database.
    """

    def __init__(
        self,
        file: Callable[[], tuple[Quote, ...]],
        add: Callable[[Sequence[Quote]], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` returns seconds."""
        self._file = file
        self._add = add
        self._clock = clock
        self._merging = Lock()
        self._quotes: tuple[Quote, ...] = ()
        self._at = 0  # how many of them are merged
        self._added = 0
        self._batch = BATCH
        self._pause = _PAUSE
        self._not_before = 0.0
        self._last_problem = ""
        self._log = structlog.get_logger()

    def done(self) -> bool:
        """Whether all quotes of the file as it is now are in the database. Safe from any thread."""
        return self._quotes is self._file() and self._at == len(self._quotes)

    def look(self) -> None:
        """Merges the file if that is not done.

        A problem is logged once. A later look goes on with the batch that failed, after a pause that gets
        longer each time; a new file is not kept waiting.
        """
        if not self._merging.acquire(blocking=False):
            return
        try:
            self._look()
        finally:
            self._merging.release()

    def _look(self) -> None:
        quotes = self._file()
        if quotes is not self._quotes:
            self._at, self._added, self._quotes = 0, 0, quotes  # in this order, for `done`
            self._batch, self._pause, self._not_before = BATCH, _PAUSE, 0.0
        if self._at == len(quotes) or self._clock() < self._not_before:
            return
        try:
            self._merge()
        except Exception as error:  # noqa: BLE001 - such as a database that takes no connections
            self._failed(error)
            return
        self._last_problem = ""
        self._log.info("quotes_merged", added=self._added, known=len(quotes) - self._added)

    def _merge(self) -> None:
        while self._at < len(self._quotes):
            batch = self._quotes[self._at : self._at + self._batch]
            self._added += self._add(batch)
            self._at += len(batch)
            self._pause = _PAUSE

    def _failed(self, error: Exception) -> None:
        self._not_before = self._clock() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        if isinstance(error, DeadlineExceeded):  # the database is slow: fewer may be done in time
            self._batch = max(1, self._batch // 2)
        problem = error.message if isinstance(error, StatusError) else str(error).strip()
        if problem != self._last_problem:
            self._last_problem = problem
            self._log.warning("quotes_merge_failed", problem=problem)

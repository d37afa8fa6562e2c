"""Merges the quotes file into the database."""

from collections.abc import Callable, Sequence
from threading import Lock

import structlog

from app.core.errors import StatusError
from app.services.quotes.quotes import Quote

# Quotes in one transaction, for which other writers wait.
BATCH = 500


class FileMerge:
    """Adds the quotes that `file` returns to the database, once for each of its values.

    Quotes that are there already are passed over, so several servers may merge the same file at the same
    time. A quote that leaves the file stays in the database.
    """

    def __init__(self, file: Callable[[], tuple[Quote, ...]], add: Callable[[Sequence[Quote]], int]) -> None:
        self._file = file
        self._add = add
        self._merging = Lock()
        self._merged: tuple[Quote, ...] = ()
        self._last_problem = ""
        self._log = structlog.get_logger()

    def look(self) -> None:
        """Merges the file if that is not done. A problem is logged once; the next look tries again."""
        if not self._merging.acquire(blocking=False):
            return
        try:
            self._merge(self._file())
        finally:
            self._merging.release()

    def _merge(self, quotes: tuple[Quote, ...]) -> None:
        if quotes is self._merged:
            return
        try:
            added = sum(self._add(quotes[at : at + BATCH]) for at in range(0, len(quotes), BATCH))
        except Exception as error:  # noqa: BLE001 - such as a schema that is not there yet
            problem = error.message if isinstance(error, StatusError) else str(error).strip()
            if problem != self._last_problem:
                self._last_problem = problem
                self._log.warning("quotes_merge_failed", problem=problem)
            return
        self._merged = quotes
        self._last_problem = ""
        self._log.info("quotes_merged", added=added, known=len(quotes) - added)

"""A circuit breaker: while a database does not answer, calls do not wait for it."""

import time

import structlog

from app.database.errors import Unanswered

# Seconds for which a database that can be used leaves neither a look of readiness nor a BEGIN unanswered.
SILENCE = 1.0


class Breaker:
    """Open after a look that was not answered, until one is. Safe from any thread.

    It stays closed while transactions are answered: then the database is busy, or it is only the connection
    of the looks that leads nowhere.
    """

    def __init__(self) -> None:
        self.open = False
        # Whether a look has not been answered yet, or the last was given up while its server answered others:
        # then the BEGIN of a call may wait, too.
        self.looking = False
        self._answered_at = 0.0
        self._log = structlog.get_logger()

    def answered(self) -> None:
        """A statement of a transaction was answered."""
        self._answered_at = time.monotonic()

    def check(self) -> None:
        """Raises Unanswered while it is open."""
        if self.open:
            raise Unanswered

    def look_failed(self, began: float) -> None:
        """A look that began at that time was not answered."""
        self.looking = False
        if not self.open and self._answered_at < began:
            self.open = True
            self._log.error("database_unanswered", effect="calls do not wait for it until it answers")

    def look_began(self) -> None:
        self.looking = True

    def look_answered(self) -> bool:
        """A look was answered, if only by an error. Returns whether this has closed the breaker."""
        self.looking = False
        return self.look_held()

    def look_held(self) -> bool:
        """A look was not answered in time, by a server that answers others. Returns as `look_answered`."""
        if not self.open:
            return False
        self.open = False
        self._log.info("database_answers")
        return True

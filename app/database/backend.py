"""What the frame sees of a database."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from app.core.database import Connection, Database
from app.database.places import Places


class Backend(Database, Protocol):
    """A database of any dialect, inside `with`."""

    @property
    def places(self) -> Sequence[Places]:
        """How many transactions there may be at once."""
        ...

    def apart(self) -> AbstractContextManager[Connection]:
        """A read-only transaction on a connection beside the others, so that it does not wait for them.

        For one thread. Raises as `reading` does, and Unavailable if the database takes no writes.
        """
        ...

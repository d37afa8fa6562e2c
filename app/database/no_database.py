"""What a service has in place of a database where none is set."""

from contextlib import AbstractContextManager

from app.core.database import Connection, Dialect
from app.core.errors import FailedPrecondition


def no_database() -> FailedPrecondition:
    """The error of a call that needs a database on a server without one."""
    return FailedPrecondition(
        "this server has no database: set APP_DATABASE_URL to postgresql://USER@HOST/DATABASE or sqlite:///PATH"
    )


class NoDatabase:
    """Each transaction raises FailedPrecondition, which says what to set."""

    dialect: Dialect = "sqlite"

    def reading(self) -> AbstractContextManager[Connection]:
        raise no_database()

    def writing(self) -> AbstractContextManager[Connection]:
        raise no_database()

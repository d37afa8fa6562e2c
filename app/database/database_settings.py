"""The settings of the database."""

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Interval, Unit

from app.core.section import Parser, Section, check, setting
from app.database.url import DatabaseUrl, parse_url
from app.database.url_file import url_path

UrlFile = Annotated[Path, Parser(url_path, "the path of a file or directory")]

Outage = Literal["serve-reads", "not-ready"]


class DatabaseSettings(Section):
    """Without a URL there is no database, and the other settings mean nothing."""

    database_url: Annotated[DatabaseUrl, Parser(parse_url, "the URL of a database")] | None = setting(
        None,
        "where services store their data: `postgresql://…`, as libpq reads it, or `sqlite:///PATH`; it may"
        " hold a password, and is never shown; nothing is stored when unset",
    )
    database_url_file: UrlFile | None = setting(
        None,
        "instead of the URL: a file that holds it, or a directory, such as a mounted Secret, with the file"
        " `uri`, or with `host`, `port`, `user`, `password` and `dbname`; read again when it changes",
    )
    # Each connection is a process of PostgreSQL, which works on as many statements at once as it has cores.
    database_pool_size: Annotated[int, Interval(ge=1, le=1000)] = setting(
        10, "transactions at once; with PostgreSQL, each has a connection, and readiness has one more"
    )
    database_pool_wait: Annotated[float, Interval(ge=0.01, le=60), Unit("seconds")] = setting(
        0.5,
        "how long a call may wait for a connection; when there is none, or it would wait for more than half"
        " of this time, it returns RESOURCE_EXHAUSTED, or UNAVAILABLE if the database cannot be reached",
    )
    database_connect_timeout: Annotated[int, Interval(ge=2, le=60), Unit("seconds")] = setting(
        3, "how long connecting to one host of PostgreSQL may take"
    )
    database_outage: Outage = setting(
        "not-ready",
        "what a server without its database is: `not-ready`, so that clients go to others, or `serve-reads`:"
        " it stays ready, and serves what its services can without the database",
    )

    @property
    def given(self) -> bool:
        """Whether there is a database."""
        return self.database_url is not None or self.database_url_file is not None

    @check("database_url_file")
    def _one_url(self) -> None:
        if self.database_url is not None and self.database_url_file is not None:
            raise ValueError("not valid with APP_DATABASE_URL; set one of the two")

"""Opening the database of the settings."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from app.core.errors import StartError
from app.database.backend import Backend
from app.database.database_settings import DatabaseSettings
from app.database.url import EXPECTED, DatabaseUrl
from app.database.url_file import read_url, url_files
from app.reload.file import WatchedFiles


def url_of(settings: DatabaseSettings) -> DatabaseUrl:
    """The URL of the variable, or what the file or directory has now. Raises StartError."""
    if settings.database_url is not None:
        return settings.database_url
    file = settings.database_url_file
    if file is None:
        raise StartError(f"APP_DATABASE_URL: required; expected {EXPECTED}")
    try:
        return read_url(file)
    except ValueError as error:
        raise StartError(str(error)) from None


@contextmanager
def open_database(settings: DatabaseSettings) -> Iterator[Backend]:
    """The database, whose URL is set. PostgreSQL need not be up. Raises StartError."""
    size, wait = settings.database_pool_size, settings.database_pool_wait
    timeout = settings.database_connect_timeout
    url = url_of(settings)
    with ExitStack() as opened:
        if url.dialect == "sqlite":
            from app.database.sqlite import SqliteDatabase

            yield opened.enter_context(SqliteDatabase(url.path, size, wait))
            return

        from app.database.connections import conninfo
        from app.database.postgres import PostgresDatabase

        path = settings.database_url_file
        if path is None:
            info = conninfo(url.text, timeout)
            yield opened.enter_context(PostgresDatabase(lambda: info, size, wait))
            return

        files, url_of_contents = url_files(path)

        def parse(*contents: bytes) -> str:
            found = url_of_contents(*contents)
            if found.dialect != url.dialect:
                raise ValueError("the URL of another kind of database; restart the server to change it")
            return conninfo(found.text, timeout)

        watched = opened.enter_context(WatchedFiles(files, parse))
        yield opened.enter_context(PostgresDatabase(lambda: watched.value, size, wait))

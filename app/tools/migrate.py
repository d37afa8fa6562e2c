"""The command that applies the migrations of all services."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from app.core.errors import StartError
from app.core.service import Service
from app.tools.exit import FAILED, INVALID, fail

Command = Callable[..., None]


def migrate_command(services: Sequence[Service[Any]]) -> Command:
    def migrate(
        check: Annotated[
            bool, typer.Option("--check", help="Apply nothing; exit with 1 if the schema is not current.")
        ] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Apply nothing; print what would be applied.")
        ] = False,
        url_file: Annotated[
            Path | None,
            typer.Option(
                metavar="PATH",
                help="A file with the URL of a role that may change the schema, instead of APP_DATABASE_URL.",
            ),
        ] = None,
    ) -> None:
        """Bring the database's schema up to date. The database is that of APP_DATABASE_URL.

        Exits with 0 when the schema is current, with 1 when it is not, the database cannot be reached or a
        migration fails, and with 2 for invalid settings.
        """
        # Imported only here, so that completion need not wait.
        from app.core.environment import read
        from app.database.database_settings import DatabaseSettings
        from app.database.migrate import MigrationError, session_of
        from app.database.migrate import migrate as apply
        from app.database.migrations import SchemaError, migrations
        from app.database.opening import url_of

        environment = dict(os.environ)
        if url_file is not None:
            environment.pop("APP_DATABASE_URL", None)
            environment["APP_DATABASE_URL_FILE"] = str(url_file)
        mistakes: list[str] = []
        settings = read(DatabaseSettings, environment, mistakes)
        if mistakes:
            fail("cannot migrate: invalid settings", *mistakes, code=INVALID)
        only_show = check or dry_run
        found = []

        def report(one: object) -> None:
            found.append(one)
            print(f"{'pending' if only_show else 'applied'}: {one}")

        try:
            url = url_of(settings)
            schemas = [one.schema for one in services if one.schema is not None]
            known = [one for schema in schemas for one in migrations(schema, url.dialect)]
            with session_of(url, settings.database_connect_timeout) as session:
                apply(session, known, report, dry_run=only_show)
        except StartError as error:
            fail(f"cannot migrate: {error}", code=INVALID)
        except (MigrationError, SchemaError) as error:
            fail(f"cannot migrate: {error}", code=FAILED)
        if not found:
            print("the schema is current")
        elif check:
            raise typer.Exit(FAILED)

    return migrate

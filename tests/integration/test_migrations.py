import shlex
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from app.cli import command_line
from app.core.database import Dialect, Schema
from app.core.errors import StartError
from app.core.service import Service
from app.database.migrate import LOCK, MigrationError, session_of, sqlite_statements
from app.database.migrate import migrate as apply
from app.database.migrations import Migration, applied, migrations
from app.database.url import parse_url
from tests.docs.pages import Page
from tests.gen import probe_pb2_grpc
from tests.gen.probe_pb2 import DESCRIPTOR
from tests.support.servers.postgres import NEEDS_POSTGRES, PROGRAMS, REPEATABLE_READ, Postgres, postgres
from tests.support.servers.process import ROOT, environment
from tests.support.waiting import until

PAGE = Page("docs/database.md")
FIRST = "CREATE TABLE items (name text NOT NULL);\n"
SECOND = "ALTER TABLE items ADD COLUMN place text;\nINSERT INTO items (name) VALUES ('a;b');\n"


Migrate = Callable[..., Result]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=NEEDS_POSTGRES)])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


@pytest.fixture
def url(dialect: Dialect, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if dialect == "sqlite":
        return f"sqlite:///{tmp_path}/items.db"
    server: Postgres = request.getfixturevalue("server")
    server.empty()
    return server.url


@pytest.fixture
def folder(dialect: Dialect, tmp_path: Path) -> Path:
    path = tmp_path / "migrations" / dialect
    path.mkdir(parents=True)
    (path / "0001_items.sql").write_text(FIRST)
    return path


@pytest.fixture
def migrate(folder: Path, url: str) -> Migrate:
    service: Service = Service(
        descriptor=DESCRIPTOR.services_by_name["Probe"],
        add_to_server=probe_pb2_grpc.add_ProbeServicer_to_server,
        schema=Schema(name="items", migrations=folder.parent),
        open_stored=lambda _settings, _database: pytest.fail("nobody serves"),
    )

    def run(*options: str, **environment: str) -> Result:
        return CliRunner().invoke(
            command_line([service]), ["migrate", *options], env={"APP_DATABASE_URL": url, **environment}
        )

    return run


def test_what_is_pending_is_applied_once_and_in_order(migrate: Migrate, folder: Path) -> None:
    assert migrate("--check").exit_code == 1
    shown = migrate("--dry-run")
    assert (shown.exit_code, shown.output) == (0, "pending: items 0001_items\n")
    assert migrate().output == "applied: items 0001_items\n"
    assert migrate("--check").exit_code == 0
    (folder / "0002_places.sql").write_text(SECOND)
    checked = migrate("--check")
    assert (checked.exit_code, checked.output) == (1, "pending: items 0002_places\n")
    assert migrate().output == "applied: items 0002_places\n"
    again = migrate()
    assert (again.exit_code, again.output) == (0, "the schema is current\n")


def test_a_migration_that_fails_leaves_nothing_behind_and_is_named(migrate: Migrate, folder: Path) -> None:
    path = folder / "0002_places.sql"
    path.write_text(SECOND + "DROP INDEX nowhere;\n")
    failed = migrate()
    assert failed.exit_code == 1
    assert "applied: items 0001_items\n" in failed.output
    assert f"cannot migrate: {path}: " in failed.output.replace("\n  ", " ")
    assert "nowhere" in failed.output
    path.write_text(SECOND)
    assert migrate().output == "applied: items 0002_places\n"


def test_a_migration_that_was_changed_after_it_was_applied_is_an_error_that_names_it(
    migrate: Migrate, folder: Path
) -> None:
    assert migrate().exit_code == 0
    (folder / "0001_items.sql").write_text(FIRST + "-- changed\n")
    refused = migrate()
    assert refused.exit_code == 1
    assert f"{folder}/0001_items.sql was changed after it had been applied" in refused.output


@pytest.mark.parametrize("isolation", ["", REPEATABLE_READ])
def test_several_that_migrate_at_once_apply_each_migration_once(
    migrate: Migrate, folder: Path, url: str, isolation: str
) -> None:
    if url.startswith("postgresql"):
        url += isolation
    (folder / "0002_places.sql").write_text(SECOND)
    parsed = parse_url(url)
    known = migrations(Schema(name="items", migrations=folder.parent), parsed.dialect)
    seen = Barrier(3)
    reported: list[str] = []

    def run() -> None:
        with session_of(parsed, connect_timeout=5) as session:
            seen.wait(30)
            apply(session, known, lambda one: reported.append(one.name))

    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(run) for _ in range(3)]:
            done.result()
    assert reported == ["items", "places"]
    assert migrate("--check").exit_code == 0


def test_a_schema_that_needs_a_newer_program_is_an_error(migrate: Migrate, folder: Path) -> None:
    second = folder / "0002_places.sql"
    second.write_text(SECOND)
    assert migrate().exit_code == 0
    second.unlink()
    assert migrate().output == "the schema is current\n"  # an older program works with what was added
    third = folder / "0003_items.sql"
    second.write_text(SECOND)
    third.write_text("-- oldest: 2\nALTER TABLE items DROP COLUMN place;\n")
    assert migrate().exit_code == 0
    third.unlink()
    assert migrate().exit_code == 0
    second.unlink()
    refused = migrate()
    assert refused.exit_code == 1
    assert "its migration 0003 needs a program that knows 0002, and this one knows 0001" in refused.output


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("0003_late.sql", "number 0003; expected 0002, without gaps"),
        ("0001_other.sql", "number 0001; expected 0002, without gaps"),
        ("2_short.sql", "not the name of a migration; expected one such as 0001_items.sql"),
    ],
)
def test_a_file_with_another_name_or_number_is_an_error(
    folder: Path, dialect: Dialect, name: str, problem: str
) -> None:
    (folder / name).write_text("SELECT 1;")
    with pytest.raises(StartError, match=problem):
        migrations(Schema(name="items", migrations=folder.parent), dialect)


def second(folder: Path, dialect: Dialect, sql: str) -> Migration:
    """What a second migration with that text is read as."""
    (folder / "0002_second.sql").write_text(sql)
    return migrations(Schema(name="items", migrations=folder.parent), dialect)[1]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE items RENAME TO things;",
        "drop table items;",
        "ALTER TABLE items DROP COLUMN place;",
        "ALTER TABLE items DROP place;",
        'ALTER TABLE items DROP "place";',
        "ALTER TABLE items DROP index;",
        "ALTER TABLE items ADD COLUMN a text, /* and */ DROP IF EXISTS place;",
        "ALTER TABLE items ALTER COLUMN place SET NOT NULL;",
        "ALTER TABLE items ALTER place TYPE varchar(10);",
        'ALTER TABLE items ALTER COLUMN "place" SET DATA TYPE varchar(10);',
        "ALTER TABLE items ALTER COLUMN type TYPE varchar(10);",
        "ALTER TABLE items RENAME place TO spot;",
        "ALTER TABLE items SET SCHEMA other;",
        "ALTER TYPE item DROP ATTRIBUTE place;",
        "DROP SCHEMA a;",
        "DROP TYPE item;",
        "DROP MATERIALIZED VIEW kept;",
        "DROP VIEW kept;",
        "DROP FUNCTION one;",
        "TRUNCATE items;",
    ],
)
def test_what_takes_away_from_older_programs_says_which_of_them_work_on(
    folder: Path, dialect: Dialect, sql: str
) -> None:
    with pytest.raises(
        StartError, match=r"0002_second.sql: line 2: takes away what older programs use; add a line `-- old"
    ):
        second(folder, dialect, f"\n{sql}")
    for line in ("-- oldest: 1", "--oldest: 1", "  --  oldest:2 \t", "-- oldest: 2\r"):
        assert second(folder, dialect, f"-- first\n{line}\n{sql}").oldest in {1, 2}


@pytest.mark.parametrize(
    "sql",
    [
        f"-- rename later\n{FIRST}",
        "/* we do not rename; DROP TABLE items; */ SELECT 1;",
        "INSERT INTO items (name) VALUES ('DROP TABLE', '; DROP TABLE items;');",
        'SELECT ";DROP TABLE items;" FROM items;',
        "DROP INDEX items_names;",
        "ALTER TABLE items DROP CONSTRAINT short, ALTER place DROP DEFAULT, ALTER a DROP NOT NULL;",
        "ALTER TABLE items ADD COLUMN rename text, ADD COLUMN IF NOT EXISTS drop text, ADD type text;",
        "ALTER TABLE items ADD COLUMN a integer NOT NULL DEFAULT 1 REFERENCES a (drop) ON DELETE SET NULL;",
        "ALTER TABLE items ALTER COLUMN type SET DEFAULT 'a';",
        "ALTER INDEX items_names RENAME TO names;",
        "CREATE TABLE a (drop text, truncate text, rename text, type text);",
    ],
)
def test_what_takes_nothing_away_says_nothing(folder: Path, dialect: Dialect, sql: str) -> None:
    assert second(folder, dialect, sql).oldest == 0


@pytest.mark.parametrize("number", [0, 3, 20])
def test_no_program_can_need_a_later_migration_than_the_one_that_says_so(
    folder: Path, dialect: Dialect, number: int
) -> None:
    with pytest.raises(
        StartError, match=rf"0002_second.sql: line 2: oldest: {number}; expected a migration from 1 to 2, "
    ):
        second(folder, dialect, f"SELECT 1;\n-- oldest: {number}\n")


@pytest.mark.parametrize(
    "comment",
    ["-- oldest: two", "-- Oldest: 2", "-- oldest: 2 because of it", "/* oldest: 2 */", "-- oldest : 2",
     "DROP VIEW a; -- oldest: 2", "-- oldest: 2\n-- oldest: 2", "---- oldest: 2"],
)  # fmt: skip
def test_a_comment_that_would_not_count_is_an_error(folder: Path, dialect: Dialect, comment: str) -> None:
    line = 2 + comment.count("\n")
    with pytest.raises(StartError, match=rf"0002_second.sql: line {line}: a comment with oldest: that would"):
        second(folder, dialect, f"\n{comment}\n")
    assert second(folder, dialect, "SELECT '-- oldest: 2';").oldest == 0


@pytest.mark.parametrize(
    ("sql", "line", "words"),
    [
        ("BEGIN;", 1, "BEGIN"),
        ("SELECT 1;\n-- a comment\n  Start /* a */ transaction;", 3, "START TRANSACTION"),
        ("SELECT 1;\nCOMMIT", 2, "COMMIT"),
        ("SELECT 1; end;", 1, "END"),
        ("SELECT 'a;\nb';\nROLLBACK;", 3, "ROLLBACK"),
        ("/* a ; b */ ABORT;", 1, "ABORT"),
        ("CREATE UNIQUE INDEX\nCONCURRENTLY a ON b (c);", 1, "CONCURRENTLY"),
        ("DROP INDEX CONCURRENTLY a;", 1, "CONCURRENTLY"),
        ("SELECT ';', \"it's\";\nVACUUM;", 2, "VACUUM"),
        ("CREATE DATABASE a;", 1, "CREATE DATABASE"),
        ("ALTER SYSTEM SET a = 1;", 1, "ALTER SYSTEM"),
        ("CREATE TABLE audit (trigger text, begin int);\nCOMMIT; SELECT 1;", 2, "COMMIT"),
        ("CREATE TABLE begin (trigger text, atomic int);\nCOMMIT; SELECT 1;", 2, "COMMIT"),
    ],
)
def test_a_statement_that_cannot_be_in_a_transaction_is_an_error_before_anything_is_applied(
    migrate: Migrate, folder: Path, sql: str, line: int, words: str
) -> None:
    path = folder / "0002_places.sql"
    path.write_text(sql)
    for options in ([], ["--check"], ["--dry-run"]):
        refused = migrate(*options)
        assert refused.exit_code == 2
        said = " ".join(refused.output.split())
        assert f"cannot migrate: {path}: line {line}: {words} cannot be in a migration" in said
    path.unlink()
    assert migrate("--check").output == "pending: items 0001_items\n"


ON_PAGE = [block.text for block in PAGE.blocks if block.text.startswith("-- no-transaction")]
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('items_by_name')"
UNIQUE = (
    "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS items_by_name\n    ON items (name);\n"
)


@NEEDS_POSTGRES
@pytest.mark.parametrize("dialect", ["postgresql"])
class TestIndexes:
    """Those that are made or dropped without keeping writes away."""

    def test_that_of_the_page_is_made_while_others_write_and_want_to_migrate(
        self, migrate: Migrate, folder: Path, server: Postgres, url: str
    ) -> None:
        # Whatever isolation the role has by default.
        url += REPEATABLE_READ
        assert migrate(APP_DATABASE_URL=url).exit_code == 0
        [sql] = ON_PAGE
        (folder / "0002_by_name.sql").write_text(sql)
        subprocess.run(["squawk", folder / "0002_by_name.sql"], cwd=ROOT, env=environment(), check=True)
        known = migrations(Schema(name="items", migrations=folder.parent), "postgresql")
        reported: list[str] = []

        def run() -> None:
            with session_of(parse_url(url), connect_timeout=5) as session:
                apply(session, known, lambda one: reported.append(one.name))

        with ThreadPoolExecutor(3) as threads, psycopg.connect(server.url) as writer:
            writer.execute("INSERT INTO items (name) VALUES ('before')")
            running = [threads.submit(run) for _ in range(3)]
            building = "SELECT count(*) FROM pg_stat_progress_create_index"
            until(lambda: server.run(building) == [(1,)], 20)
            server.run("INSERT INTO items (name) VALUES ('meanwhile')")
            assert migrate("--check").exit_code == 1
            writer.commit()
            for one in running:
                one.result(30)
        assert reported == ["by_name"]
        assert server.run(VALID) == [(True,)]

    def test_one_that_could_not_be_made_is_made_anew(
        self, migrate: Migrate, folder: Path, server: Postgres
    ) -> None:
        assert migrate().exit_code == 0
        (folder / "0002_by_name.sql").write_text(UNIQUE)
        server.run("INSERT INTO items (name) VALUES ('twice'), ('twice')")
        failed = migrate()
        assert failed.exit_code == 1
        assert "0002_by_name.sql: could not create unique index" in " ".join(failed.output.split())
        assert "twice" not in failed.output  # the detail, with the values of rows
        assert server.run(VALID) == [(False,)]
        server.run("DELETE FROM items")
        assert migrate().output == "applied: items 0002_by_name\n"
        assert server.run(VALID) == [(True,)]

    def test_one_that_is_still_made_for_a_migrate_that_was_killed_is_made_in_the_end(
        self, migrate: Migrate, folder: Path, server: Postgres
    ) -> None:
        assert migrate().exit_code == 0
        (folder / "0002_by_name.sql").write_text(UNIQUE)
        with ThreadPoolExecutor(2) as threads, psycopg.connect(server.url) as writer:
            writer.execute("INSERT INTO items (name) VALUES ('before')")
            left = threads.submit(server.run, UNIQUE)  # PostgreSQL does not notice that its client is gone
            until(lambda: server.run("SELECT 1 FROM pg_stat_progress_create_index") == [(1,)], 20)
            again = threads.submit(migrate)
            waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype IN ('relation', 'virtualxid')"
            until(lambda: len(server.run(waits)) == 2, 20)
            writer.commit()
            # PostgreSQL ends one of both, because each waits for the other.
            with suppress(psycopg.errors.DeadlockDetected):
                left.result(30)
            assert again.result(30).exit_code == 0 or "deadlock detected" in again.result().output
        assert migrate().exit_code == 0
        assert server.run(VALID) == [(True,)]

    def test_one_that_was_made_and_not_recorded_stays(
        self, migrate: Migrate, folder: Path, server: Postgres
    ) -> None:
        (folder / "0002_by_name.sql").write_text(UNIQUE)
        assert migrate().exit_code == 0
        made = server.run("SELECT to_regclass('items_by_name')::oid")
        server.run("DELETE FROM schema_migrations WHERE number = 2")
        assert migrate().output == "applied: items 0002_by_name\n"
        assert server.run("SELECT to_regclass('items_by_name')::oid") == made

    def test_one_is_dropped(self, migrate: Migrate, folder: Path, server: Postgres) -> None:
        (folder / "0002_by_name.sql").write_text(UNIQUE)
        (folder / "0003_drop.sql").write_text(
            "-- no-transaction\nDROP INDEX CONCURRENTLY IF EXISTS items_by_name;\n"
        )
        assert migrate().exit_code == 0
        assert server.run(VALID) == []

    @pytest.mark.parametrize(
        "sql",
        [
            "CREATE INDEX CONCURRENTLY a ON items (name);",
            "CREATE INDEX IF NOT EXISTS a ON items (name);",
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON other.items (name);",
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON items (name); SELECT 1;",
            "DROP INDEX CONCURRENTLY a;",
            "DROP INDEX CONCURRENTLY IF EXISTS a, b;",
            "VACUUM;",
            "",
        ],
    )
    def test_other_statements_are_an_error(self, migrate: Migrate, folder: Path, sql: str) -> None:
        path = folder / "0002_by_name.sql"
        path.write_text(f"-- no-transaction\n{sql}\n")
        refused = migrate()
        assert refused.exit_code == 2
        said = " ".join(refused.output.split())
        assert f"{path}: not a file for `-- no-transaction`; expected one statement, CREATE INDEX" in said

    def test_an_error_says_what_to_write(self, migrate: Migrate, folder: Path) -> None:
        (folder / "0002_by_name.sql").write_text("CREATE INDEX CONCURRENTLY a ON items (name);\n")
        assert "or a file of its own with a line `-- no-transaction`" in " ".join(migrate().output.split())

    def test_another_that_migrates_is_waited_for_and_not_forever(
        self, migrate: Migrate, server: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.database.migrate.LOCK_WAIT", 0.2)
        with psycopg.connect(server.url) as other:
            other.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            failed = migrate()
        assert failed.exit_code == 1
        assert "another one has been migrating for 0.2 s; run it again later" in failed.output


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_sqlite_has_no_migrations_outside_of_transactions(migrate: Migrate, folder: Path) -> None:
    (folder / "0002_by_name.sql").write_text(UNIQUE)
    assert "`-- no-transaction` is for PostgreSQL only" in " ".join(migrate().output.split())


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("postgresql", "/* a /* b */ ; c */ COMMIT;"),
        ("postgresql", "SELECT $$ ' $$, $a$ $$; ' $a$; COMMIT;"),
        ("postgresql", "SELECT E'\\';'; COMMIT;"),
        (
            "postgresql",
            "CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; COMMIT; SELECT 1;",
        ),
        ("postgresql", "CREATE FUNCTION a() RETURNS int BEGIN ATOMIC SELECT 1 AS case; END; COMMIT;"),
        ("postgresql", "CREATE FUNCTION a() RETURNS int BEGIN ATOMIC SELECT a.begin FROM a; END; COMMIT;"),
        ("postgresql", "CREATE TRIGGER begin AFTER INSERT ON a EXECUTE FUNCTION atomic(); COMMIT;"),
        ("sqlite", "/* /* */ COMMIT;"),
        ("sqlite", "CREATE TABLE [it's] (a); COMMIT; SELECT ';';"),
        ("sqlite", "CREATE TABLE `it's` (a); COMMIT; SELECT ';';"),
        ("sqlite", "CREATE TRIGGER a AFTER INSERT ON b BEGIN SELECT 1; END; COMMIT;"),
        ("sqlite", "CREATE TRIGGER begin AFTER INSERT ON b BEGIN SELECT begin FROM a; END; COMMIT;"),
    ],
)
def test_a_commit_does_not_hide(folder: Path, dialect: Dialect, sql: str) -> None:
    with pytest.raises(StartError, match="line 1: COMMIT cannot be in a migration"):
        second(folder, dialect, sql)


def test_a_migration_that_ends_its_transaction_after_all_is_an_error_and_not_recorded(
    migrate: Migrate, folder: Path, url: str
) -> None:
    assert migrate().exit_code == 0
    path = folder / "0002_places.sql"
    hidden = Migration("items", 2, "places", path, "CREATE TABLE places (name text); COMMIT;", 0)
    parsed = parse_url(url)
    known = migrations(Schema(name="items", migrations=folder.parent), parsed.dialect)
    reported: list[Migration] = []
    with session_of(parsed, connect_timeout=5) as session:
        with pytest.raises(MigrationError, match=r"0002_places.sql: has ended the transaction in which"):
            apply(session, [*known, hidden], reported.append)
        assert [number for (_, number) in applied(session, session.dialect)] == [1]
    assert not reported


BODIES = """
CREATE FUNCTION one() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- COMMIT;
    RETURN NULL;
END;
$$;
CREATE PROCEDURE two() LANGUAGE plpgsql AS $body$ BEGIN COMMIT; ROLLBACK; END; $body$;
CREATE FUNCTION three(a integer) RETURNS integer LANGUAGE sql
BEGIN ATOMIC
    SELECT 1;
    SELECT CASE a WHEN 1 THEN 2 END;
END;
INSERT INTO items (name) VALUES ('; COMMIT; '), (E'\\'; VACUUM; '), ('it''s; BEGIN;');
/* BEGIN; /* COMMIT; */ END; */
CREATE RULE quiet AS ON DELETE TO items DO INSTEAD (SELECT 1; SELECT 2);
DO $$ BEGIN PERFORM 1; END $$;
SAVEPOINT a;
ROLLBACK TO a;
COMMENT ON TABLE items IS 'CONCURRENTLY';
CREATE MATERIALIZED VIEW kept AS SELECT name AS "BEGIN;" FROM items;
CREATE UNIQUE INDEX kept_names ON kept ("BEGIN;");
REFRESH MATERIALIZED VIEW CONCURRENTLY kept;
"""


TRIGGERS = """
CREATE TEMP TRIGGER end AFTER INSERT ON items BEGIN
    SELECT CASE 1 WHEN 1 THEN 2 END; DELETE FROM items WHERE name = '; COMMIT;';
END;
CREATE TABLE [COMMIT; it's] (`;` text);
/* BEGIN; /* COMMIT; */
SAVEPOINT a;
ROLLBACK TO a;
"""


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_bodies_of_triggers_are_no_statements_of_a_migration(
    migrate: Migrate, folder: Path, dialect: str
) -> None:
    del dialect
    (folder / "0002_places.sql").write_text(TRIGGERS)
    result = migrate()
    assert result.output == "applied: items 0001_items\napplied: items 0002_places\n"


@NEEDS_POSTGRES
@pytest.mark.parametrize("dialect", ["postgresql"])
def test_bodies_of_functions_texts_and_comments_are_no_statements_of_a_migration(
    migrate: Migrate, folder: Path, dialect: str
) -> None:
    del dialect
    (folder / "0002_places.sql").write_text(BODIES)
    result = migrate()
    assert result.output == "applied: items 0001_items\napplied: items 0002_places\n"


def test_the_file_of_another_role_goes_before_the_variable(
    migrate: Migrate, url: str, tmp_path: Path
) -> None:
    file = tmp_path / "url"
    file.write_text(url + "\n")
    assert migrate("--url-file", str(file), APP_DATABASE_URL="mysql://wrong").exit_code == 0
    assert migrate("--check").exit_code == 0


def test_without_a_url_it_says_what_to_set(migrate: Migrate) -> None:
    failed = migrate(APP_DATABASE_URL="")
    assert failed.exit_code == 2
    assert (
        "APP_DATABASE_URL: required; expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE" in failed.output
    )


def test_a_server_that_cannot_be_reached_is_told_apart(migrate: Migrate, folder: Path) -> None:
    other = folder.parent / "postgresql"
    other.mkdir(exist_ok=True)
    (other / "0001_items.sql").write_text(FIRST)
    failed = migrate(APP_DATABASE_URL="postgresql://me:secret@127.0.0.1:1/items")
    assert failed.exit_code == 1
    assert "connection to server at" in failed.output
    assert "secret" not in failed.output


def test_a_current_schema_takes_no_lock(migrate: Migrate, url: str, dialect: Dialect) -> None:
    assert migrate().exit_code == 0
    if dialect == "sqlite":
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert migrate().output == "the schema is current\n"
        other.close()
    else:
        with psycopg.connect(url) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            assert migrate().output == "the schema is current\n"


def test_statements_of_sqlite_are_told_apart() -> None:
    script = (
        "CREATE TABLE a (b); -- a; b\nINSERT INTO a VALUES ('x;y');"
        " CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM a; SELECT 1; END; SELECT 2"
    )
    found = [one.strip() for one in sqlite_statements(script)]
    assert len(found) == 4
    assert found[2].endswith("SELECT 1; END;")
    assert found[3] == "SELECT 2"


def on_page(words: str) -> str:
    """The block of the page that has them."""
    [found] = [block.text for block in PAGE.blocks if words in block.text]
    return found


class Founded:
    """The database `items`, new, of a role with CREATEROLE that is no superuser."""

    def __init__(self, server: Postgres) -> None:
        self._at = f"127.0.0.1:{server.port}/items"
        server.run("DROP DATABASE items WITH (FORCE)", database="postgres")
        server.run("CREATE ROLE founder LOGIN CREATEROLE PASSWORD 'founder'", database="postgres")
        server.run("CREATE DATABASE items OWNER founder", database="postgres")

    def url(self, role: str, password: str) -> str:
        return f"postgresql://{role}:{password}@{self._at}"

    @property
    def founder(self) -> str:
        return self.url("founder", "founder")

    @property
    def migrator(self) -> str:
        return self.url("migrator", "change-me")

    @property
    def server(self) -> str:
        return self.url("server", "change-me-too")


def ask(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def refused(url: str, sql: str) -> bool:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(url, sql)
    return True


@pytest.fixture
def founded(server: Postgres) -> Iterator[Founded]:
    yield Founded(server)
    server.run("DROP DATABASE items WITH (FORCE)", database="postgres")
    server.run("DROP ROLE IF EXISTS successor, server, migrator, founder", database="postgres")
    server.run("CREATE DATABASE items", database="postgres")


@NEEDS_POSTGRES
def test_the_roles_of_the_documentation_migrate_and_serve_and_no_more(
    founded: Founded, tmp_path: Path
) -> None:
    ask(founded.founder, on_page("CREATE ROLE migrator"))
    make(tmp_path, founded.migrator)
    ask(founded.migrator, on_page("REVOKE INSERT"))
    ask(founded.server, "INSERT INTO items (name) VALUES ('a')")
    assert ask(founded.server, "SELECT number FROM schema_migrations") == [(1,)]
    assert refused(founded.server, "DROP TABLE items")
    assert refused(founded.server, "CREATE TABLE others (a text)")
    assert refused(founded.server, "CREATE TEMPORARY TABLE others (a text)")
    assert refused(founded.server, "DELETE FROM schema_migrations")


@NEEDS_POSTGRES
@pytest.mark.parametrize("superuser", [False, True])
def test_a_database_from_before_the_roles_is_given_to_them(
    founded: Founded, server: Postgres, tmp_path: Path, superuser: bool
) -> None:
    owner = server.url if superuser else founded.founder
    make(tmp_path, founded.founder, "CREATE SEQUENCE others;\nCREATE VIEW names AS SELECT name FROM items;\n")
    ask(owner, on_page("CREATE ROLE migrator"))
    assert refused(founded.server, "SELECT name FROM items")
    ask(owner, on_page("ON ALL TABLES"))
    ask(founded.server, "INSERT INTO items (name) VALUES ('a')")
    assert ask(founded.server, "SELECT name, nextval('others') FROM names") == [("a", 1)]
    make(tmp_path, founded.migrator, "", SECOND)
    assert ask(founded.server, "SELECT count(place) FROM items") == [(0,)]


@NEEDS_POSTGRES
def test_passwords_of_the_roles_are_changed_as_in_the_documentation(founded: Founded, tmp_path: Path) -> None:
    ask(founded.founder, on_page("CREATE ROLE migrator"))
    make(tmp_path, founded.migrator)
    ask(founded.founder, on_page("CREATE ROLE successor"))
    ask(founded.founder, on_page("ALTER ROLE migrator"))
    for url in (founded.migrator, founded.server):
        with pytest.raises(psycopg.OperationalError):
            ask(url, "SELECT 1")
    make(tmp_path, founded.url("migrator", "change-me-again"), "", "CREATE TABLE others (a text);\n")
    successor = founded.url("successor", "change-me-again")
    ask(successor, "INSERT INTO others (a) SELECT name FROM items")
    assert refused(successor, "DROP TABLE others")


def make(folder: Path, url: str, first: str = "", second: str = "") -> None:
    """Migrates to the first migration, with more of it, or to the second."""
    parsed = parse_url(url)
    path = folder / "migrations" / parsed.dialect
    path.mkdir(parents=True, exist_ok=True)
    if second:
        (path / "0002_second.sql").write_text(second)
    else:
        (path / "0001_items.sql").write_text(FIRST + first)
    known = migrations(Schema(name="items", migrations=folder / "migrations"), parsed.dialect)
    with session_of(parsed, 5) as session:
        apply(session, known, lambda _one: None)


@NEEDS_POSTGRES
def test_postgresql_is_restored_by_the_commands_of_the_documentation(
    founded: Founded, tmp_path: Path
) -> None:
    ask(founded.founder, on_page("CREATE ROLE migrator"))
    make(tmp_path, founded.migrator)
    ask(founded.migrator, on_page("REVOKE INSERT"))
    ask(founded.server, "INSERT INTO items (name) VALUES ('kept')")
    dump, restore = on_page("pg_dump").strip().splitlines()

    def run(command: str, url: str) -> None:
        environment = {"PATH": f"{PROGRAMS}:/usr/bin:/bin", "MIGRATOR_URL": url}
        subprocess.run(command, shell=True, check=True, cwd=tmp_path, env=environment)  # noqa: S602 - the page's

    run(dump, founded.migrator)
    ask(founded.server, "INSERT INTO items (name) VALUES ('lost')")
    run(restore, founded.migrator)
    with postgres() as other:
        new = Founded(other)
        ask(new.founder, on_page("CREATE ROLE migrator"))
        run(restore, new.migrator)
        for at in (founded, new):
            assert ask(at.server, "SELECT name FROM items") == [("kept",)]
            ask(at.migrator, on_page("REVOKE INSERT"))
            assert refused(at.server, "DELETE FROM schema_migrations")
            ask(at.server, "INSERT INTO items (name) VALUES ('added')")
        make(tmp_path, new.migrator, "", "CREATE TABLE others (a text);\n")
        ask(new.server, "INSERT INTO others (a) SELECT name FROM items")


def test_a_backup_of_sqlite_by_the_statement_of_the_documentation_has_what_was_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path, "sqlite:///items.db")
    [command] = [block.text for block in PAGE.blocks if block.text.startswith("sqlite3")]
    _, file, statement = shlex.split(command)
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("INSERT INTO items (name) VALUES ('kept')")
    connection.execute(statement)
    connection.close()
    backup = sqlite3.connect("items.backup.db")
    assert backup.execute("SELECT name FROM items").fetchall() == [("kept",)]
    backup.close()

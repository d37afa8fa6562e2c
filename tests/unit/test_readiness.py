"""What readiness makes of one look at the database after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.core.database import Connection
from app.database.database_settings import Outage
from app.database.errors import Unavailable
from app.database.migrations import SchemaError
from app.database.readiness import FAILURES, SUCCESSES, Readiness
from app.database.sqlite import SqliteDatabase

DOWN = Unavailable("the database is away", "unreachable")
WRONG = SchemaError("the schema is wrong")


class Breakable(SqliteDatabase):
    """Fails to give a connection with `error` while that is set."""

    error: Exception | None = None

    @contextmanager
    def apart(self) -> Iterator[Connection]:
        if self.error is not None:
            raise self.error
        with super().apart() as connection:
            yield connection


@pytest.mark.parametrize("outage", ["serve-reads", "not-ready"])
def test_a_schema_that_is_wrong_stays_so_in_an_outage_until_a_look_succeeds(
    outage: Outage, tmp_path: Path
) -> None:
    changes: list[bool] = []
    in_an_outage = outage == "serve-reads"
    with Breakable(tmp_path / "items.db", size=1, wait=1) as database:
        readiness = Readiness(database, [], changes.append, outage)

        def after(looks: int, error: Exception | None) -> bool:
            database.error = error
            for _ in range(looks):
                readiness.look()
            return changes[-1]

        assert after(1, None) is True
        assert after(FAILURES, DOWN) is in_an_outage
        assert after(1, WRONG) is False
        assert after(2 * FAILURES, DOWN) is False
        assert after(1, WRONG) is False
        assert after(FAILURES, DOWN) is False
        assert after(SUCCESSES, None) is True
        assert after(FAILURES, DOWN) is in_an_outage
        assert after(1, WRONG) is False
        assert after(FAILURES, DOWN) is False
        assert after(1, None) is False
        assert after(FAILURES, DOWN) is in_an_outage
        assert after(SUCCESSES, None) is True
        assert readiness.up


def test_the_seconds_without_a_database_are_counted_from_the_last_good_look(tmp_path: Path) -> None:
    with Breakable(tmp_path / "items.db", size=1, wait=1) as database:
        readiness = Readiness(database, [], lambda _ready: None, "serve-reads")
        assert readiness.stale() > 0  # since the start
        readiness.look()
        assert readiness.stale() == 0
        database.error = DOWN
        readiness.look()
        first = readiness.stale()
        assert first > 0
        readiness.look()
        assert readiness.stale() > first
        database.error = WRONG
        readiness.look()
        assert readiness.stale() > first
        database.error = None
        readiness.look()
        assert readiness.stale() == 0


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (Unavailable("no", "schema", "nowhere does not exist; run it"), "database_schema_wrong"),
        (Unavailable("no", "permission", "nowhere may not be read; grant it"), "database_down"),
    ],
)
def test_the_log_says_what_to_do_about_a_database_that_answers(
    error: Unavailable, event: str, tmp_path: Path
) -> None:
    with Breakable(tmp_path / "items.db", size=1, wait=1) as database, capture_logs() as logged:
        readiness = Readiness(database, [], lambda _ready: None, "serve-reads")
        database.error = error
        for _ in range(FAILURES):
            readiness.look()
    assert [(line["event"], line["problem"]) for line in logged] == [(event, error.problem)]

"""What readiness makes of one look at the database after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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
def test_an_outage_is_one_before_and_after_a_schema_that_is_wrong(outage: Outage, tmp_path: Path) -> None:
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
        assert after(FAILURES, DOWN) is in_an_outage
        assert after(1, WRONG) is False
        assert after(FAILURES - 1, DOWN) is False
        assert after(1, DOWN) is in_an_outage
        assert after(SUCCESSES, None) is True
        assert readiness.up

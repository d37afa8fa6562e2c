from contextlib import ExitStack
from typing import Any

from app.database.bound import Bound
from app.database.connections import conninfo
from app.database.postgres import PostgresDatabase
from tests.support.servers.postgres import NEEDS_POSTGRES, postgres

HALF_AN_HOUR = 1800


@NEEDS_POSTGRES
def test_connections_that_were_made_together_do_not_expire_together() -> None:
    with (
        postgres() as server,
        PostgresDatabase(lambda: conninfo(server.url, 10), size=20, wait=5) as database,
        ExitStack() as used,
    ):
        ends: list[float] = []
        for _ in range(20):
            connection: Any = database.connections.acquire(Bound(30), writes=False)
            used.callback(database.connections.release, connection, writes=False)
            ends.append(connection._expire_at - connection.made_at)  # noqa: SLF001 - psycopg_pool's note on it
    assert max(ends) <= HALF_AN_HOUR + 1
    assert min(ends) >= HALF_AN_HOUR * 0.95 - 1
    # Random in a range of 90 s: that all are within 30 s has a probability of one in 50 million.
    assert max(ends) - min(ends) > 30

"""This program with a servicer whose calls each run one statement of 20 ms on PostgreSQL."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import grpc

from app import server
from app.core.database import Database, Schema
from app.database.no_database import NoDatabase
from app.runtime.signals import Signals
from app.settings import load
from tests.gen.probe_pb2 import ProbeReply, ProbeRequest
from tests.support.servers.echo import ECHO, Echo

# Seconds that the statement takes, by the migration.
TAKES = 0.02


class StoredEcho(Echo):
    def __init__(self, database: Database) -> None:
        self._database = database

    def Unary(self, request: ProbeRequest, context: grpc.ServicerContext) -> ProbeReply:
        with self._database.reading() as connection:
            connection.execute("SELECT slept FROM slow")
        return super().Unary(request, context)


STORED = replace(
    ECHO,
    open=None,
    schema=Schema(name="probe", migrations=Path(__file__).with_name("migrations")),
    open_stored=lambda _settings, database: nullcontext(StoredEcho(database or NoDatabase())),
)


def stored() -> None:
    """Serves as `app serve` does."""
    server.run(load(services=[STORED]), Signals(), [STORED])

"""A service that stores, for tests of the frame: Echo keeps the text of its request."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import grpc

from app.core.database import Database, Schema
from app.core.service import Service
from tests.gen import other_pb2_grpc
from tests.gen.other_pb2 import DESCRIPTOR, EchoRequest, EchoResponse
from tests.support.servers.server import Server

ADD = "INSERT INTO items (name) VALUES (%(name)s) ON CONFLICT DO NOTHING"
COUNT = "SELECT count(*) FROM items"
# What a request has to have as its text to be answered without a write.
READ = "how many?"


class Items(other_pb2_grpc.OtherServicer):
    """Echo keeps the text of its request, and answers how many there are. Another SELECT is run instead."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def Echo(self, request: EchoRequest, context: grpc.ServicerContext) -> EchoResponse:
        del context
        if request.text.startswith("SELECT"):
            with self._database.reading() as connection:
                connection.execute(request.text)
        elif request.text != READ:
            with self._database.writing() as connection:
                connection.execute(ADD, {"name": request.text})
        with self._database.reading() as connection:
            [(count,)] = connection.execute(COUNT)
        return EchoResponse(text=str(count))


def opened(_settings: Any, database: Database | None) -> Any:
    assert database is not None
    return nullcontext(Items(database))


def items(folder: Path) -> Service[Any]:
    """The service, with its migrations in that folder."""
    for dialect in ("postgresql", "sqlite"):
        path = folder / "migrations" / dialect
        path.mkdir(parents=True, exist_ok=True)
        (path / "0001_items.sql").write_text("CREATE TABLE items (name text PRIMARY KEY);\n")
    return Service(
        descriptor=DESCRIPTOR.services_by_name["Other"],
        add_to_server=other_pb2_grpc.add_OtherServicer_to_server,
        schema=Schema(name="items", migrations=folder / "migrations"),
        open_stored=opened,
    )


class Client:
    """Calls to that service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub: Any = other_pb2_grpc.OtherStub(channel)

    def add(self, text: str, timeout: float = 10) -> int:
        """Keeps the text; returns how many there are."""
        return int(self._stub.Echo(EchoRequest(text=text), timeout=timeout).text)

    def count(self, timeout: float = 10) -> int:
        return self.add(READ, timeout)

    def begin(self, text: str) -> Any:
        """As `add`, without waiting for it: returns grpc's call."""
        return self._stub.Echo.future(EchoRequest(text=text), timeout=60)


@contextmanager
def client_of(server: Server) -> Iterator[Client]:
    with grpc.insecure_channel(server.target) as channel:
        yield Client(channel)


def ready(server: Server) -> bool:
    return server.get("/readyz")[0] == 200


def live(server: Server) -> bool:
    return server.get("/healthz")[0] == 200

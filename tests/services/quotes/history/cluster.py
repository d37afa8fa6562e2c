"""Servers of the Quoter, each a process, with one PostgreSQL."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc

from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.services.quotes import QUOTES
from app.services.quotes.shared_store import STALE
from tests.services.quotes.history.checker import Row
from tests.services.quotes.history.operations import OF_THE_FILE, Quote, quotes_of
from tests.services.quotes.history.wire import Wire
from tests.support.network.ports import unused_ports
from tests.support.servers.databases import apply_migrations
from tests.support.servers.postgres import Postgres, postgres
from tests.support.servers.process import ROOT, environment
from tests.support.waiting import until

SERVE = ("-m", "app", "serve")

_POSTGRES = {"max_connections": "80", "autovacuum": "on"}
_ROWS = """
    SELECT quotes.id, quotes.number, quotes.text, authors.name
    FROM quotes JOIN authors ON authors.id = quotes.author ORDER BY quotes.id
"""
_OTHERS = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'items'"
_BUSY = f"SELECT count(*) {_OTHERS} AND state <> 'idle'"
_END_OTHERS = f"SELECT pg_terminate_backend(pid) {_OTHERS}"


class Server:
    """One that can be killed and started again, with the same address."""

    def __init__(self, command: Sequence[str], port: int, variables: Mapping[str, str], log: Path) -> None:
        self.target = f"127.0.0.1:{port}"
        self._command = [sys.executable, *command]
        self._variables = environment(APP_LISTEN=self.target, APP_METRICS_LISTEN="127.0.0.1:0", **variables)
        self._log = log
        self.start()

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._variables, stdout=log, stderr=log
            )

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def check_runs(self) -> None:
        assert self._process.poll() is None, self._log.read_text()


class Cluster:
    def __init__(self, database: Postgres, servers: Sequence[Server], wire: Wire) -> None:
        """The first server reaches the database by the wire, the others directly."""
        self.database = database
        self.servers = servers
        self.wire = wire

    def end_connections(self) -> None:
        self.database.run(_END_OTHERS)

    def wait_until_ready(self) -> None:
        """Until each server answers from the database."""
        for server in self.servers:
            with grpc.insecure_channel(server.target) as channel:
                until(lambda: self._answers(server, channel), 90)  # noqa: B023 - it is called in this round

    def _answers(self, server: Server, channel: grpc.Channel) -> bool:
        server.check_runs()
        stub: Any = quote_service_pb2_grpc.QuoterStub(channel)
        try:
            _, call = stub.GetQuote.with_call(pb.QuoteRequest(), timeout=5)
        except grpc.RpcError:
            return False
        return STALE not in dict(call.trailing_metadata())

    def rows(self) -> list[Row]:
        """What is stored, once no transaction is under way, as PostgreSQL has it."""
        until(lambda: self.database.run(_BUSY) == [(0,)], 20)
        return [Row(id_, number, Quote(text, name)) for id_, number, text, name in self.database.run(_ROWS)]

    def listings(self) -> Iterator[tuple[Quote, ...]]:
        """All quotes, as each server lists them."""
        for server in self.servers:
            with grpc.insecure_channel(server.target) as channel:
                stub: Any = quote_service_pb2_grpc.QuoterStub(channel)
                replies = stub.ListQuotes(pb.ListQuotesRequest(), timeout=120)
                yield tuple(Quote(reply.quote, reply.author) for reply in replies)


@contextmanager
def cluster(
    folder: Path, servers: int, command: Sequence[str] = SERVE, settings: Mapping[str, str] = {}
) -> Iterator[Cluster]:
    """Servers whose quotes file has the first batch. `settings` are those of PostgreSQL."""
    file = folder / "quotes"
    file.write_text("".join(f"{text} ~ {author}\n" for text, author in quotes_of(OF_THE_FILE)))
    with ExitStack() as opened:
        database = opened.enter_context(postgres({**_POSTGRES, **settings}))
        opened.callback(database.kill)
        apply_migrations(database.url, [QUOTES])
        wire = opened.enter_context(Wire(f"127.0.0.1:{database.port}"))
        by_wire = database.url_of("items", int(wire.target.rpartition(":")[2]))
        started = []
        for number, port in enumerate(unused_ports(servers)):
            variables = {
                "APP_DATABASE_URL": database.url if number else by_wire,
                "APP_DATABASE_OUTAGE": "serve-reads",
                "APP_QUOTES_FILE": str(file),
                "APP_LOG_LEVEL": "warning",
            }
            started.append(Server(command, port, variables, folder / f"server-{number}.log"))
            opened.callback(started[-1].kill)
        made = Cluster(database, started, wire)
        made.wait_until_ready()
        yield made

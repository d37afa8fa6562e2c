"""Servers of this program behind one name, as a headless Service has them: several addresses, one port."""

import io
import json
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import grpc

from app.server import serving
from app.telemetry.logs import Lines, logs
from tests.gen import probe_pb2 as pb
from tests.support.clients.status import outcome
from tests.support.network.name_server import NameServer, name_server
from tests.support.servers.probe import Probe, probe_service
from tests.support.servers.server import settings


class Replica:
    """A server. `attempts` counts the calls that came to its handler, each try of a retried one too.

    `act(context)` runs in the handler, on any of its threads.
    """

    def __init__(self, address: str, **changes: Any) -> None:
        self.act: Callable[[Any], object] = lambda _context: None
        self.attempts = 0
        self._counting = threading.Lock()
        self._open = ExitStack()
        probe = Probe()
        probe.on_call = self._called
        service = probe_service(probe)
        chosen = settings([service], listen=address, **changes)
        self._open.enter_context(serving(chosen, [service]))

    def _called(self, _request: Any, context: Any) -> None:
        with self._counting:
            self.attempts += 1
        self.act(context)

    def drain(self) -> None:
        """As on SIGTERM; returns when it has stopped."""
        self._open.close()


def _unused_port() -> int:
    """A port that no address of the replicas uses, and that the system gives to no client."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - no secret; those for clients begin at 32,768
        with ExitStack() as taken, suppress(OSError):
            for number in range(1, 10):
                taken.enter_context(socket.create_server((f"127.0.0.{number}", port)))
            return port


class Replicas:
    def __init__(self, names: NameServer, lines: Lines, log: io.StringIO, stack: ExitStack) -> None:
        self.names = names
        self.port = _unused_port()
        self.each: list[Replica] = []
        self._lines = lines
        self._log = log
        self._stack = stack

    def start(self, **changes: Any) -> Replica:
        """Starts one more, and makes its address known."""
        replica = Replica(self.next_address(), **changes)
        self._stack.callback(replica.drain)
        self.each.append(replica)
        self.know()
        return replica

    def next_address(self) -> str:
        """All of 127.0.0.0/8 is this machine."""
        return f"127.0.0.{len(self.names.addresses) + 1}:{self.port}"

    def know(self) -> None:
        """Makes the next address known."""
        self.names.addresses += (self.next_address().partition(":")[0],)

    @property
    def addresses(self) -> list[str]:
        return [f"{host}:{self.port}" for host in self.names.addresses]

    @property
    def target(self) -> str:
        return self.names.target(self.port)

    def shares(self, calls: Callable[[], object]) -> list[int]:
        """How many calls come to each replica meanwhile."""
        before = [replica.attempts for replica in self.each]
        calls()
        return [replica.attempts - count for replica, count in zip(self.each, before, strict=True)]

    def logged(self, event: str) -> bool:
        self._lines.flush()
        return any(json.loads(line)["event"] == event for line in self._log.getvalue().splitlines())


@contextmanager
def replicas(count: int, **changes: Any) -> Iterator[Replicas]:
    """Starts that many, with these settings."""
    log = io.StringIO()
    with name_server("server.test") as names, logs("info", "json", log) as lines, ExitStack() as stack:
        several = Replicas(names, lines, log, stack)
        for _ in range(count):
            several.start(**changes)
        yield several


@contextmanager
def load(stub: Any) -> Iterator[Counter[grpc.StatusCode]]:
    """Within it, about 300 calls a second on four threads; yields how often each code came."""
    codes: Counter[grpc.StatusCode] = Counter()
    counting = threading.Lock()
    over = threading.Event()

    def call() -> None:
        while not over.wait(0.01):
            code = outcome(lambda: stub.Unary(pb.ProbeRequest()))
            with counting:
                codes[code] += 1

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield codes
    finally:
        over.set()
        for thread in threads:
            thread.join()

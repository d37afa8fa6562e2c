"""This program's server, observed."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan

from app.core.service import Service
from tests.support.outcomes.exchange import PATIENCE
from tests.support.outcomes.observed_server import Arrivals, Counts, ObservedServer
from tests.support.servers.probe import Probe, service
from tests.support.servers.server import TOKEN, running
from tests.support.waiting import until


class OurServer(ObservedServer):
    """Every concern is on."""

    streams_have_threads = True

    callers = MappingProxyType(
        {
            "": (),
            "ann": (("authorization", f"Bearer {TOKEN}"),),
            "bob": (("authorization", f"Bearer {TOKEN}-of-bob"),),
            "cid": (("authorization", f"Bearer {TOKEN}-of-cid"),),
        }
    )

    def __init__(self, tokens: Path, **changes: Any) -> None:
        super().__init__()
        tokens.write_text(f"ann:{TOKEN}\nbob:{TOKEN}-of-bob\ncid:{TOKEN}-of-cid\n")
        self._last: Counts | None = None
        self._served = ExitStack()
        self._server = self._served.enter_context(
            running(
                [self._service()],
                [Arrivals(self.scripts)],
                workers=self.workers,
                max_calls=self.places,
                max_queue_time=60,
                max_streams=self.places,
                auth_mode="tokens",
                auth_tokens_file=tokens,
                auth_require="probe.Probe name:ann or name:cid",
                max_message_bytes=self.max_message,
                max_metadata_bytes=self.max_metadata,
                **changes,
            )
        )
        self._draining = threading.Thread(target=self._served.close)
        self.target = self._server.target
        self.channel = self.connect(self.target)

    def _service(self) -> Service[Any]:
        @contextmanager
        def opened(_settings: Any) -> Iterator[Probe]:
            yield Probe(self.scripts)
            self._last = self._scraped()  # all calls are over, and the metrics port still answers

        return service(opened)

    def _scraped(self) -> Counts:
        return Counts(self._server.get("/metrics")[1])

    def heard(self) -> None:
        stub: Any = health_pb2_grpc.HealthStub(self.channel)
        stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)

    def rest(self) -> None:
        if self._last is None:
            self.heard()
            until(lambda: self._scraped().in_flight == 0)

    def counts(self) -> Counts:
        return self._last or self._scraped()

    def spans(self) -> Sequence[ReadableSpan]:
        return self._server.spans

    def lines(self) -> list[dict[str, Any]]:
        return self._server.calls()

    def drain(self) -> None:
        self._draining.start()
        until(lambda: self._server.lines("drain_refusing_new_calls"))

    def drained(self) -> None:
        self._draining.join(2 * PATIENCE)

    def close(self) -> None:
        self.forget()
        self._served.close()
        self.opened.close()

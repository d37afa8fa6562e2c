"""The usual stack of interceptors, observed."""

import io
import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

import grpc
import structlog
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest

from tests.gen import probe_pb2_grpc
from tests.support.outcomes.exchange import PATIENCE
from tests.support.outcomes.observed_server import Arrivals, Counts, ObservedServer
from tests.support.servers.probe import Probe
from tests.support.servers.usual_stack import interceptors, token

KEY = "thirty-two bytes at least, and no secret"


class Pool(ThreadPoolExecutor):
    """Knows what it was given to do."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.given: list[Future[Any]] = []

    def submit(self, *args: Any, **kwargs: Any) -> "Future[Any]":
        future = super().submit(*args, **kwargs)
        self.given.append(future)
        return future


class UsualServer(ObservedServer):
    times = 2

    def __init__(self, grace: float) -> None:
        super().__init__()
        self._grace = grace
        self._pool = Pool(self.workers)
        self._registry = CollectorRegistry()
        self._log = io.StringIO()
        self._exporter = InMemorySpanExporter()
        self._provider = TracerProvider(shutdown_on_exit=False)
        self._provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        json_lines = structlog.wrap_logger(
            structlog.WriteLogger(self._log), processors=[structlog.processors.JSONRenderer()]
        )
        usual = interceptors(
            spans=self._provider, registry=self._registry, logger=json_lines, key=KEY, names={"ann"}
        )
        self._server = grpc.server(
            self._pool,
            interceptors=[Arrivals(self.scripts), *usual],
            maximum_concurrent_rpcs=self.places,
            options=[
                ("grpc.max_send_message_length", self.max_message),
                ("grpc.max_receive_message_length", self.max_message),
                ("grpc.max_metadata_size", self.max_metadata),
                ("grpc.absolute_max_metadata_size", self.max_metadata),
            ],
        )
        probe = Probe(self.scripts)
        probe.check = _check
        probe_pb2_grpc.add_ProbeServicer_to_server(probe, self._server)
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        self._stopped: Any = None
        self.callers = {
            "": (),
            **{name: (("authorization", f"Bearer {token(KEY, name)}"),) for name in ("ann", "bob")},
        }
        self.channel = self.connect(self.target)

    def heard(self) -> None:
        # Grpc answers for a method that is not there at once, and nothing is written down of it.
        with suppress(grpc.RpcError):
            self.channel.unary_unary("/no.Such/Method")(b"", metadata=self.callers["ann"], timeout=PATIENCE)

    def rest(self) -> None:
        if self._stopped is None:
            self.heard()
        wait(self._pool.given, 0.2 if self._stopped else PATIENCE)

    def counts(self) -> Counts:
        return Counts(generate_latest(self._registry).decode())

    def spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.getvalue().splitlines()]

    def drain(self) -> None:
        self._stopped = self._server.stop(self._grace)

    def drained(self) -> None:
        assert self._stopped is not None
        self._stopped.wait(PATIENCE)

    def close(self) -> None:
        self.forget()
        # After a malformed message in a stream, such a server never comes to its end.
        self._server.stop(0).wait(0.2)
        self._pool.shutdown()
        self.opened.close()
        self._provider.shutdown()


def _check(request: Any, context: Any) -> None:
    """What handlers do themselves where no validation stands before them."""
    if request.text == "wrong":
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "text: anything but wrong")

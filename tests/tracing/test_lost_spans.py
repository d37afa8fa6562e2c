"""A collector that is slow, full, stopped or gone costs no call, and each span that is lost is counted."""

import json
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.servers.collector import Collector, collecting, collecting_over_http
from tests.support.servers.process import ServerProcess, server_process
from tests.support.waiting import until
from tests.tracing.programs import OtelCollector, collector

THREADS, CALLS = 4, 300  # calls of each thread
# The exporter's timeout in seconds. It is shorter than the pause before an attempt is repeated: with little
# time left, the last one may arrive, and yet not be acknowledged in time.
TIMEOUT = 0.7
# A call that waited for the exporter would wait for its timeout. Of all calls, so many may take half as long,
# because this machine is busy: one for each thread, at two moments.
LONG = TIMEOUT / 2
LATE = 2 * THREADS
# Seconds in which the process ends: the drain, three for the last spans, and some for a busy machine. The SDK
# itself waits for 30.
EXIT = 8.0

# A small queue, so that it is soon full.
QUEUE = {
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_BSP_MAX_QUEUE_SIZE": "100",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20",
}
FAKES: dict[str, Callable[[], AbstractContextManager[tuple[Collector, str]]]] = {
    "grpc": collecting,
    "http/protobuf": collecting_over_http,
}
PROTOCOLS = pytest.mark.parametrize("protocol", FAKES)


class Account(NamedTuple):
    """What a server that has ended has said of its spans."""

    made: int  # by the lines of its calls
    exported: int
    dropped: int


class Traced:
    """A server that exports its spans. Its calls are made, and each of them must be answered at once."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server

    def calls(self) -> int:
        """Makes calls on several threads, and returns their number."""
        took: list[float] = []
        threads = [threading.Thread(target=self._call, args=(took,)) for _ in range(THREADS)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(took) == THREADS * CALLS, "calls failed"
        assert sorted(took)[-LATE - 1] < LONG
        return len(took)

    def _call(self, took: list[float]) -> None:
        with grpc.insecure_channel(self._server.target) as channel:
            stub: Any = probe_pb2_grpc.ProbeStub(channel)
            grpc.channel_ready_future(channel).result(5)
            for _ in range(CALLS):
                began = time.monotonic()
                stub.Unary(pb.ProbeRequest(text="a"), timeout=5)
                took.append(time.monotonic() - began)

    def dropped(self, reason: str) -> float:
        """Spans dropped so far, by the metric."""
        [address] = self._server.serving["metrics"]
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - loopback
            families = text_string_to_metric_families(answer.read().decode())
            [found] = [
                sample.value
                for family in families
                for sample in family.samples
                if sample.name == "otel_spans_dropped_total" and sample.labels["reason"] == reason
            ]
        return found

    def end(self) -> Account:
        began = time.monotonic()
        assert self._server.end() == 0
        assert time.monotonic() - began < EXIT
        lines = [json.loads(line) for line in self._server.output]
        [flush] = [line for line in lines if line["event"] in ("spans_flushed", "spans_not_flushed")]
        made = sum(line["event"] == "call" for line in lines)
        return Account(made, flush["exported"], flush["dropped"])


@contextmanager
def traced(protocol: str, endpoint: str, timeout: float = TIMEOUT) -> Iterator[Traced]:
    variables = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_TIMEOUT": str(timeout),
    }
    with server_process(**QUEUE, **variables) as server:
        yield Traced(server)


@PROTOCOLS
def test_a_slow_collector_gets_what_it_can_take(protocol: str) -> None:
    with FAKES[protocol]() as (fake, endpoint), traced(protocol, endpoint, timeout=10) as at:
        fake.delay = 0.2
        calls = at.calls()
        assert at.dropped("queue_full") > 0
        account = at.end()
        arrived = len(fake.spans)
    assert account == Account(calls, arrived, calls - arrived)
    assert 100 <= arrived < calls


@PROTOCOLS
def test_a_full_collector_gets_spans_again_when_it_has_room(protocol: str) -> None:
    with FAKES[protocol]() as (fake, endpoint), traced(protocol, endpoint) as at:
        fake.full = True
        refused = at.calls()
        until(lambda: at.dropped("export_failed"))
        assert not fake.spans
        fake.full = False
        taken = at.calls()
        account = at.end()
        arrived = len(fake.spans)
    assert account == Account(refused + taken, arrived, refused + taken - arrived)
    assert 0 < arrived <= taken + 120  # a queue and a batch of those before


@pytest.fixture
def real(tmp_path: Path) -> Iterator[OtelCollector]:
    with collector(tmp_path) as started:
        yield started


@PROTOCOLS
def test_a_collector_that_dies_gets_spans_again_when_it_is_back(protocol: str, real: OtelCollector) -> None:
    with traced(protocol, real.endpoints[protocol]) as at:
        calls = at.calls()
        # The queue is small for so many calls: some of their spans may be dropped while it lives.
        until(real.spans)
        time.sleep(0.5)  # all that it has taken is in its file
        real.end()
        calls += at.calls()
        until(lambda: at.dropped("export_failed"))
        before = len(real.spans())
        real.start()
        calls += at.calls()
        account = at.end()
    real.end()  # writes what it has
    arrived = len({span.span_id for span in real.spans()})
    assert account == Account(calls, arrived, calls - arrived)
    assert before < arrived == len(real.spans())
    assert account.dropped > 0


@PROTOCOLS
def test_a_collector_that_has_stopped_holds_up_neither_calls_nor_the_exit(
    protocol: str, real: OtelCollector
) -> None:
    with traced(protocol, real.endpoints[protocol]) as at:
        real.send(signal.SIGSTOP)
        calls = at.calls()
        assert at.dropped("queue_full") > 0
        account = at.end()
    real.end(signal.SIGKILL)
    assert account == Account(calls, 0, calls)
    assert real.spans() == []

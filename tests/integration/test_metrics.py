"""What the metrics port says of calls beyond the counts that the table of outcomes holds."""

import re
import threading
import urllib.request
from typing import Any

import pytest

from app.core.refusal import Refusal
from tests.gen import probe_pb2 as pb
from tests.support.servers.probe import CALLS, TYPES
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.waiting import until

TRACE = "0af7651916cd43dd8448eb211c80319c"


def open_metrics(at: ProbeServer) -> str:
    request = urllib.request.Request(
        f"http://{at.server.handle.metrics[0]}/metrics", headers={"Accept": "application/openmetrics-text"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - loopback
        return str(answer.read().decode())


@pytest.mark.parametrize("method", CALLS)
def test_a_time_has_the_trace_of_a_sampled_call_as_its_exemplar(method: str) -> None:
    with probe_server() as at:
        for flags, known in (("00", False), ("01", True)):
            CALLS[method](at.stub, metadata=(("traceparent", f"00-{TRACE}-b7ad6b7169203331-{flags}"),))
            until(lambda: at.server.total("grpc_server_in_flight") == 0)
            buckets = re.findall(
                rf'^grpc_server_handling_seconds_bucket.*"{method}".* # (.*)$', open_metrics(at), re.MULTILINE
            )
            assert len(buckets) == known
        assert re.fullmatch(rf'\{{trace_id="{TRACE}"\}} [\d.e-]+ [\d.]+', buckets[0])
        assert " # {" not in at.server.get("/metrics")[1]


@pytest.mark.parametrize("method", CALLS)
def test_calls_in_flight_are_those_that_are_accepted_and_not_over(method: str) -> None:
    with probe_server() as at:
        running, release = threading.Event(), threading.Event()

        def hold(_request: Any, _context: Any) -> None:
            running.set()
            release.wait(5)

        at.probe.on_call = hold
        labels = {"grpc_type": TYPES[method], "grpc_method": method}
        assert at.server.total("grpc_server_in_flight", **labels) == 0
        caller = threading.Thread(target=lambda: CALLS[method](at.stub))
        caller.start()
        assert running.wait(5)
        assert at.server.total("grpc_server_in_flight", **labels) == 1
        release.set()
        caller.join()
        until(lambda: at.server.total("grpc_server_in_flight") == 0)


def test_every_reason_of_every_method_is_there_from_the_start_at_0() -> None:
    with probe_server() as at:
        found = {
            (labels["grpc_method"], labels["reason"]): value
            for labels, value in at.server.samples("grpc_server_refused_total")
        }
        assert {(method, reason) for method in CALLS for reason in Refusal} <= found.keys()
        assert set(found.values()) == {0}


def test_a_refusal_is_counted_once_by_its_reason() -> None:
    with probe_server() as at:
        with pytest.raises(Exception, match="anything but wrong"):
            at.stub.Unary(pb.ProbeRequest(text="wrong"))
        with pytest.raises(Exception, match="unknown service or method"):
            at.channel.unary_unary("/a.B/C")(b"")
        found = {
            (labels["grpc_method"], labels["reason"]): value
            for labels, value in at.server.samples("grpc_server_refused_total")
            if value
        }
        assert found == {("Unary", "validation"): 1, ("unknown", "unknown_method"): 1}


def test_a_scrape_may_name_the_metrics_that_it_wants() -> None:
    with probe_server() as at:
        text = at.server.get("/metrics?name[]=grpc_server_in_flight")[1]
        assert {line.split("{")[0] for line in text.splitlines() if line[0] != "#"} == {
            "grpc_server_in_flight"
        }

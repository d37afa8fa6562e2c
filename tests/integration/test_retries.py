"""Retries by the default policy, against the server of this program."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from app.client.channel import channel as open_channel
from app.client.retries import RetryPolicy, safe_to_repeat
from app.client.service_config import ServiceConfig
from app.core.call import current_call
from tests.gen import probe_pb2 as pb
from tests.support.clients.status import outcome
from tests.support.servers.backends import backends, echo, failing
from tests.support.servers.probe import CALLS, PROBE, Probe
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.waiting import until

Status = grpc.StatusCode
REPEATED = ["Unary", "ServerStream", "BidiStream"]
RETRIED = [Status.UNAVAILABLE, Status.RESOURCE_EXHAUSTED]
each_code = pytest.mark.parametrize("code", RETRIED, ids=lambda one: one.name)

# As it is by default, but for the waits, which would be 0.7 s.
QUICK = ServiceConfig(retry=RetryPolicy(initial_backoff=0.01, max_backoff=0.01))
repeating = partial(open_channel, services=[PROBE.descriptor], config=QUICK)


@contextmanager
def telling(code: Status, *trailers: tuple[str, str], times: int = 10) -> Iterator[ProbeServer]:
    """A server that answers with the code so many times, once it has read all requests; then it serves."""
    with probe_server(open_channel=repeating) as at:
        left = times

        def on_call(requests: Any, context: Any) -> None:
            nonlocal left
            if not isinstance(requests, pb.ProbeRequest):
                assert [one.text for one in requests] == ["a"]  # sent anew each time
            left -= 1
            if left >= 0:
                context.set_trailing_metadata(trailers)
                context.abort(code, "as told")

        at.probe.on_call = on_call
        yield at


def times_called(at: ProbeServer) -> int:
    """How many calls the server has seen."""
    return round(at.server.total("grpc_server_started_total", grpc_service="probe.Probe"))


def test_a_method_without_an_idempotency_level_is_not_safe_to_repeat() -> None:
    unsafe = {method.name for method in PROBE.descriptor.methods if not safe_to_repeat(method)}
    assert unsafe == {"ClientStream"}


@each_code
@pytest.mark.parametrize("method", REPEATED)
def test_a_rejected_call_is_retried_until_the_server_accepts_it(method: str, code: Status) -> None:
    with telling(code, times=3) as at:
        assert outcome(lambda: CALLS[method](at.stub)) is Status.OK
        assert times_called(at) == 4


def test_a_retried_call_is_one_call_for_the_client_and_several_for_servers() -> None:
    registry, earlier = CollectorRegistry(), []

    def handler(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        earlier.append(dict(context.invocation_metadata()).get("grpc-previous-rpc-attempts"))
        return (failing() if len(earlier) < 3 else echo)(requests, context)

    with backends(handler) as [backend], repeating(backend.address, metrics=registry) as channel:
        call: Any = channel.unary_unary("/probe.Probe/Unary")
        assert call(b"a") == b"a"
    assert earlier == [None, "1", "2"]
    counted = [
        (sample.labels["grpc_code"], sample.value)
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "grpc_client_handled_total" and sample.value
    ]
    assert counted == [("OK", 1)]


@pytest.mark.parametrize("method", REPEATED)
def test_a_call_fails_after_its_last_attempt(method: str) -> None:
    with telling(Status.UNAVAILABLE) as at:
        assert outcome(lambda: CALLS[method](at.stub)) is Status.UNAVAILABLE
        assert times_called(at) == 4


@each_code
def test_a_method_that_is_not_safe_to_repeat_is_never_retried(code: Status) -> None:
    with telling(code, ("grpc-retry-pushback-ms", "10")) as at:
        assert outcome(lambda: CALLS["ClientStream"](at.stub)) is code
        assert times_called(at) == 1


@pytest.mark.parametrize("method", REPEATED)
def test_nothing_is_retried_on_a_channel_without_the_service(method: str) -> None:
    with telling(Status.UNAVAILABLE) as at, open_channel(at.server.target) as channel:
        assert outcome(lambda: CALLS[method](type(at.stub)(channel))) is Status.UNAVAILABLE
        assert times_called(at) == 1


@pytest.mark.parametrize("code", [one for one in Status if one not in {*RETRIED, Status.OK}])
def test_no_other_code_is_retried(code: Status) -> None:
    with backends(failing(code)) as [backend], repeating(backend.address) as channel:
        call: Any = channel.unary_unary("/probe.Probe/Unary")
        assert outcome(lambda: call(b"")) is code
        assert len(backend.attempts) == 1


@pytest.mark.parametrize("method", ["ServerStream", "BidiStream"])
def test_a_stream_that_fails_after_a_reply_is_not_retried(method: str) -> None:
    with probe_server(open_channel=repeating) as at:
        at.probe.between = lambda context: context.abort(Status.UNAVAILABLE, "as told")
        assert outcome(lambda: CALLS[method](at.stub)) is Status.UNAVAILABLE
        assert times_called(at) == 1


@pytest.mark.parametrize("method", REPEATED)
def test_a_call_is_not_retried_after_its_headers_arrived(method: str) -> None:
    with probe_server(open_channel=repeating) as at:

        def on_call(_: Any, context: Any) -> None:
            context.send_initial_metadata((("first", "1"),))
            current_call().wait(0.3)  # its core may take headers for a status if both arrive at once
            context.abort(Status.UNAVAILABLE, "as told")

        at.probe.on_call = on_call
        assert outcome(lambda: CALLS[method](at.stub)) is Status.UNAVAILABLE
        assert times_called(at) == 1


@pytest.mark.parametrize(("size", "attempts"), [(200 * 1024, 4), (300 * 1024, 1)])
def test_a_call_with_more_than_256_kib_of_requests_is_not_retried(size: int, attempts: int) -> None:
    with backends(failing()) as [backend], repeating(backend.address) as channel:
        call: Any = channel.stream_stream("/probe.Probe/BidiStream")
        half = bytes(size // 2)
        assert outcome(lambda: list(call(iter([half, half])))) is Status.UNAVAILABLE
        assert len(backend.attempts) == attempts


def test_one_deadline_covers_all_attempts() -> None:
    config = ServiceConfig(retry=RetryPolicy(initial_backoff=0.3))
    with (
        backends(failing()) as [backend],
        open_channel(backend.address, services=[PROBE.descriptor], config=config, timeout=0.15) as channel,
    ):
        call: Any = channel.unary_unary("/probe.Probe/Unary")
        assert outcome(lambda: call(b"")) is Status.DEADLINE_EXCEEDED
        assert len(backend.attempts) == 1


@pytest.mark.parametrize("method", REPEATED)
def test_the_servers_pushback_replaces_the_next_wait(method: str) -> None:
    with telling(Status.RESOURCE_EXHAUSTED, ("grpc-retry-pushback-ms", "300"), times=1) as at:
        began = time.monotonic()
        assert outcome(lambda: CALLS[method](at.stub)) is Status.OK
        assert 0.3 <= time.monotonic() - began < 2
        assert times_called(at) == 2


@each_code
def test_a_server_can_forbid_retries(code: Status) -> None:
    with telling(code, ("grpc-retry-pushback-ms", "-1")) as at:
        assert outcome(lambda: CALLS["Unary"](at.stub)) is code
        assert times_called(at) == 1


@pytest.mark.parametrize(("wait", "code"), [("0", Status.DEADLINE_EXCEEDED), ("1", Status.OK)])
def test_grpc_loses_a_call_with_a_pushback_of_zero(wait: str, code: Status) -> None:
    """So there is no policy with such waits, and no server should ask for one (grpc/grpc#41036)."""
    with telling(Status.RESOURCE_EXHAUSTED, ("grpc-retry-pushback-ms", wait), times=1) as at:
        assert outcome(lambda: CALLS["Unary"](at.stub, timeout=0.5)) is code
        assert times_called(at) == (2 if code is Status.OK else 1)


@pytest.mark.parametrize("method", REPEATED)
def test_a_message_over_the_servers_limit_is_not_sent_again(method: str) -> None:
    """It would be over it again."""
    long, longer = "a" * 1050, "a" * 2000  # a message much longer is refused by grpc, and sent again
    calls: dict[str, Callable[[Any], Any]] = {
        "Unary": lambda stub: stub.Unary(pb.ProbeRequest(text=long)),
        "ServerStream": lambda stub: list(stub.ServerStream(pb.ProbeRequest(text=long))),
        "BidiStream": lambda stub: list(stub.BidiStream(iter([pb.ProbeRequest(text=long)]))),
    }
    with probe_server(open_channel=repeating, max_message_bytes=1024, max_metadata_bytes=1024) as at:
        assert outcome(lambda: calls[method](at.stub)) is Status.RESOURCE_EXHAUSTED
        assert times_called(at) == 1
        with_metadata = partial(CALLS[method], at.stub, metadata=[("x-long", longer)])
        assert outcome(with_metadata) is Status.RESOURCE_EXHAUSTED
        assert times_called(at) == 2


def test_a_reply_over_the_servers_limit_is_not_requested_again() -> None:
    class Long(Probe):
        def Unary(self, request: Any, context: Any) -> pb.ProbeReply:  # noqa: ARG002
            return pb.ProbeReply(text="q" * 2000)

    with probe_server(Long(), open_channel=repeating, max_message_bytes=1024) as at:
        assert outcome(lambda: CALLS["Unary"](at.stub)) is Status.RESOURCE_EXHAUSTED
        assert times_called(at) == 1


@pytest.mark.alone
def test_a_call_over_the_servers_limit_is_retried_after_the_pushback() -> None:
    entered, release = threading.Event(), threading.Event()

    def hold(_: Any, context: Any) -> None:
        del context
        entered.set()
        release.wait(10)

    with probe_server(open_channel=repeating, max_calls=1) as at:
        at.probe.on_call = hold
        first = at.stub.Unary.future(pb.ProbeRequest(), timeout=10)
        assert entered.wait(5)
        second = at.stub.Unary.future(pb.ProbeRequest(), timeout=10)
        until(lambda: at.server.total("grpc_server_refused_total", reason="limit") == 1)
        release.set()
        assert (first.result().text, second.result().text) == ("reply", "reply")
        assert at.server.total("grpc_server_refused_total", reason="limit") == 1


def test_retries_add_fewer_than_twenty_calls_to_an_outage() -> None:
    """So 200 calls into it are fewer than 1.1 attempts a call."""
    with backends(failing()) as [backend], repeating(backend.address) as channel:
        call: Any = channel.unary_unary("/probe.Probe/Unary")
        for _ in range(200):
            assert outcome(lambda: call(b"")) is Status.UNAVAILABLE
        assert 200 + 10 < len(backend.attempts) < 200 + 20


def test_if_a_tenth_of_the_calls_fails_attempts_per_call_stay_below_one_and_a_tenth() -> None:
    with backends(failing()) as [backend], repeating(backend.address) as channel:
        call: Any = channel.unary_unary("/probe.Probe/Unary")
        for _ in range(30):  # the tokens are gone
            outcome(lambda: call(b""))
        backend.attempts.clear()
        for number in range(300):
            backend.handler = echo if number % 10 else failing()
            outcome(lambda: call(b""))
        assert len(backend.attempts) < 330

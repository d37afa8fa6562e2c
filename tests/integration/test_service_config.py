"""Each setting of the service config, and its effect in gRPC."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

import grpc
import pytest

from app.client.channel import channel as open_channel
from app.client.outlier_detection import FailurePercentage, OutlierDetection, SuccessRate
from app.client.retries import RetryPolicy, RetryThrottling
from app.client.service_config import MethodConfig, ServiceConfig
from tests.gen import probe_pb2
from tests.support.clients.status import outcome
from tests.support.servers.backends import Backend, Handler, backends, echo, failing, target_of
from tests.support.waiting import until

Status = grpc.StatusCode
SERVICES = (probe_pb2.DESCRIPTOR.services_by_name["Probe"],)
UNARY, STREAM = "probe.Probe/Unary", "probe.Probe/ServerStream"

QUICK = RetryPolicy(initial_backoff=0.01, max_backoff=0.01)


@contextmanager
def opened(several: list[Backend], **settings: Any) -> Iterator[Callable[..., Any]]:
    """A channel to them with these settings; yields the method Unary, or another one by its name."""
    with open_channel(target_of(several), services=SERVICES, config=ServiceConfig(**settings)) as channel:

        def call(method: str = UNARY, **how: Any) -> Any:
            unary: Any = channel.unary_unary(f"/{method}")
            return unary(b"request", **({"timeout": 10} | how))

        yield call


def attempts(handler: Handler, calls: int = 1, **settings: Any) -> list[float]:
    """When the attempts of that many calls, one after another, came to a server with that handler."""
    with backends(handler) as [backend], opened([backend], **settings) as call:
        for _ in range(calls):
            outcome(call)
        return backend.attempts


def waits(**policy: Any) -> list[float]:
    times = attempts(failing(), retry=RetryPolicy(**policy))
    return [later - earlier for earlier, later in pairwise(times)]


def shares(several: list[Backend], call: Callable[..., Any], calls: int = 30) -> list[int]:
    """How many of the calls each backend gets, once all of them are connected."""
    before = [len(one.attempts) for one in several]
    for _ in range(calls):
        outcome(call)
    return [len(one.attempts) - count for one, count in zip(several, before, strict=True)]


def test_round_robin_is_the_default_and_distributes_calls_evenly() -> None:
    with backends(echo, echo, echo) as several, opened(several) as call:
        until(lambda: 0 not in shares(several, call))
        assert shares(several, call) == [10, 10, 10]


def test_pick_first_sends_all_calls_to_one_address() -> None:
    with backends(echo, echo, echo) as several, opened(several, balancing="pick_first") as call:
        assert sorted(shares(several, call)) == [0, 0, 30]


@pytest.mark.parametrize("most", [2, 5])
def test_a_failing_call_has_max_attempts_attempts(most: int) -> None:
    assert len(attempts(failing(), retry=replace(QUICK, max_attempts=most))) == most


def test_the_first_wait_is_the_initial_backoff_within_a_fifth() -> None:
    [wait] = waits(max_attempts=2, initial_backoff=0.5)
    assert 0.39 < wait < 0.8


def test_waits_grow_by_the_multiplier() -> None:
    first, second = waits(max_attempts=3, initial_backoff=0.03, multiplier=20, max_backoff=5)
    assert first < 0.3
    assert 0.47 < second < 0.9


def test_waits_do_not_exceed_the_maximum() -> None:
    _, second = waits(max_attempts=3, initial_backoff=0.03, multiplier=100, max_backoff=0.1)
    assert second < 0.5


def test_retries_of_calls_that_failed_together_are_spread() -> None:
    with backends(failing()) as [backend]:
        policy = RetryPolicy(max_attempts=2, initial_backoff=0.5, max_backoff=0.5)
        with opened([backend], retry=policy, throttling=None) as call, ThreadPoolExecutor(10) as callers:
            list(callers.map(lambda _: outcome(call), range(10)))
        again = sorted(backend.attempts)[10:]
        assert again[-1] - again[0] > 0.05


@pytest.mark.parametrize("listed", [Status.ABORTED, Status.UNAVAILABLE])
def test_only_the_codes_of_the_policy_are_retried(listed: Status) -> None:
    policy = replace(QUICK, codes=frozenset({listed}))
    assert len(attempts(failing(listed), retry=policy)) == 4
    assert len(attempts(failing(Status.INTERNAL), retry=policy)) == 1


def test_without_a_policy_nothing_is_retried() -> None:
    assert len(attempts(failing(), retry=None)) == 1


@pytest.mark.parametrize(("tokens", "retries"), [(3, 1), (10, 4), (1000, 12)])
def test_retries_stop_when_half_of_the_tokens_are_used(tokens: int, retries: int) -> None:
    policy, throttling = replace(QUICK, max_attempts=5), RetryThrottling(max_tokens=tokens)
    assert len(attempts(failing(), 3, retry=policy, throttling=throttling)) == 3 + retries


@pytest.mark.parametrize(("ratio", "retried"), [(1, True), (0.1, False)])
def test_successful_calls_return_tokens(ratio: float, retried: bool) -> None:
    throttling = RetryThrottling(max_tokens=4, token_ratio=ratio)
    with backends(failing()) as [backend], opened([backend], retry=QUICK, throttling=throttling) as call:
        assert shares([backend], call, 2) == [3]  # one is a retry; 1 of 4 tokens is left
        backend.handler = echo
        assert shares([backend], call, 4) == [4]
        backend.handler = failing()
        assert shares([backend], call, 1) == [2 if retried else 1]


def test_each_channel_has_its_own_tokens() -> None:
    settings = {"retry": QUICK, "throttling": RetryThrottling(max_tokens=3)}
    with (
        backends(failing()) as several,
        opened(several, **settings) as one,
        opened(several, **settings) as other,
    ):
        assert [shares(several, call, 3) for call in (one, other)] == [[4], [4]]


def test_a_timeout_limits_only_the_calls_of_its_method() -> None:
    def hold(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        del requests
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait(10)
        yield b""

    with backends(hold) as several, opened(several, methods={UNARY: MethodConfig(timeout=0.1)}) as call:
        began = time.monotonic()
        assert outcome(call) is Status.DEADLINE_EXCEEDED
        assert time.monotonic() - began < 5
        for method, how in ((STREAM, {"timeout": 0.4}), (UNARY, {"timeout": 0.05})):
            began = time.monotonic()
            assert outcome(lambda: call(method, **how)) is Status.DEADLINE_EXCEEDED  # noqa: B023
            assert (time.monotonic() - began >= 0.4) is (method == STREAM)


def test_a_method_with_a_timeout_is_retried() -> None:
    assert len(attempts(failing(), retry=QUICK, methods={UNARY: MethodConfig(timeout=5)})) == 4


def test_calls_that_wait_for_ready_succeed_when_a_backend_appears() -> None:
    with backends(echo) as [gone]:
        pass
    settings = {"retry": None, "methods": {UNARY: MethodConfig(wait_for_ready=True)}}
    with opened([gone], **settings) as call, ThreadPoolExecutor(1) as caller:
        assert outcome(lambda: call(STREAM)) is Status.UNAVAILABLE
        assert outcome(lambda: call(wait_for_ready=False)) is Status.UNAVAILABLE
        answer = caller.submit(call)
        back = Backend(echo, gone.address)
        try:
            assert answer.result() == b"request"
        finally:
            back.stop()


@pytest.mark.parametrize("service", ["", "probe.Probe"])
def test_unhealthy_backends_get_no_calls(service: str) -> None:
    with backends(echo, echo) as several:
        for one in several:
            one.set_health("", serving=service != "")  # not the one that is asked for
            one.set_health(service, serving=True)
        with opened(several, health_service=service) as call:
            until(lambda: 0 not in shares(several, call))
            several[0].set_health(service, serving=False)
            until(lambda: shares(several, call) == [0, 30])
            several[0].set_health(service, serving=True)
            until(lambda: shares(several, call) == [15, 15])


def test_an_unknown_health_service_makes_all_backends_unavailable() -> None:
    with backends(echo) as several, opened(several, health_service="nobody.Knows") as call:
        assert outcome(call) is Status.UNAVAILABLE
        assert several[0].attempts == []


# A backend that fails is found within a tenth of a second, and stays left out for as long as a test lasts.
FOUND = FailurePercentage(threshold=50, request_volume=5, minimum_hosts=2)
DETECTION = OutlierDetection(interval=0.1, max_ejection_percent=100, failure_percentage=FOUND)


def half_failing() -> Handler:
    calls = count()

    def handler(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield from (failing() if next(calls) % 2 else echo)(requests, context)

    return handler


def left_out(several: list[Backend], call: Callable[..., Any]) -> list[int]:
    return [at for at, share in enumerate(shares(several, call, 10 * len(several))) if share == 0]


def ejected(detection: OutlierDetection, *handlers: Handler) -> list[int]:
    """Which backends get no calls after five intervals with more calls than the rules ask for."""
    with backends(*handlers) as several, opened(several, retry=None, outlier_detection=detection) as call:
        until(lambda: not left_out(several, call))  # all are connected
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            left_out(several, call)
        return left_out(several, call)


@pytest.mark.parametrize(
    ("changes", "handlers", "expected"),
    [
        ({}, (failing(), echo), [0]),
        ({}, (failing(Status.INVALID_ARGUMENT), echo), [0]),
        ({"threshold": 25}, (half_failing(), echo), [0]),
        ({"threshold": 75}, (half_failing(), echo), []),
        ({"minimum_hosts": 3}, (failing(), echo), []),
        ({"request_volume": 100_000}, (failing(), echo), []),
    ],
)
def test_a_backend_is_ejected_by_its_failure_percentage(
    changes: dict[str, int], handlers: list[Handler], expected: list[int]
) -> None:
    rule = replace(FOUND, **changes)
    assert ejected(replace(DETECTION, failure_percentage=rule), *handlers) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [0]),
        ({"stdev_factor": 1.5}, []),  # it is 1.41 deviations under the mean
        ({"minimum_hosts": 4}, []),
        ({"request_volume": 100_000}, []),
    ],
)
def test_a_backend_is_ejected_by_its_success_rate(changes: dict[str, Any], expected: list[int]) -> None:
    rule = replace(SuccessRate(stdev_factor=1, request_volume=5, minimum_hosts=3), **changes)
    detection = replace(DETECTION, failure_percentage=None, success_rate=rule)
    assert ejected(detection, failing(), echo, echo) == expected


def test_backends_are_checked_once_per_interval() -> None:
    assert ejected(replace(DETECTION, interval=30), failing(), echo) == []


@pytest.mark.parametrize(("percent", "expected"), [(25, 1), (50, 2)])
def test_max_ejection_percent_limits_the_ejected_backends(percent: int, expected: int) -> None:
    found = ejected(replace(DETECTION, max_ejection_percent=percent), failing(), failing(), echo, echo)
    assert len(found) == expected


def test_a_backend_gets_calls_again_after_the_ejection_time() -> None:
    detection = replace(DETECTION, base_ejection_time=0.3)
    with (
        backends(failing(), echo) as several,
        opened(several, retry=None, outlier_detection=detection) as call,
    ):
        until(lambda: left_out(several, call) == [0])
        several[0].handler = echo
        until(lambda: left_out(several, call) == [])


def test_ejections_do_not_exceed_the_maximum_time() -> None:
    """Each would be longer than the one before it by 0.2 s."""
    detection = replace(DETECTION, base_ejection_time=0.2, max_ejection_time=0.2)
    with (
        backends(failing(), echo) as several,
        opened(several, retry=None, outlier_detection=detection) as call,
    ):

        def gaps() -> list[float]:
            left_out(several, call)
            found = [later - earlier for earlier, later in pairwise(several[0].attempts)]
            return [gap for gap in found if gap > 0.15]

        assert max(until(lambda: found if len(found := gaps()) >= 4 else None)) < 0.6

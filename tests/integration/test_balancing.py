"""Several servers behind one name: shares, new and draining replicas, and failures."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

import grpc
import pytest

from app.client.channel import channel
from app.client.outlier_detection import FailurePercentage, OutlierDetection
from app.client.service_config import ServiceConfig
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.clients.status import outcome
from tests.support.network.proxy import Proxy
from tests.support.servers.process import pause, server_process
from tests.support.servers.replicas import Replicas, load, replicas
from tests.support.waiting import until

SERVICES = (pb.DESCRIPTOR.services_by_name["Probe"],)
OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine has a proxy, grpc would ask it for a name that only these tests know."""
    monkeypatch.setenv("no_grpc_proxy", "server.test")


@contextmanager
def client(target: str, **config: Any) -> Iterator[Any]:
    """A stub over a channel of the library, with these settings of its service config."""
    with channel(target, timeout=10, services=SERVICES, config=ServiceConfig(**config)) as opened:
        yield probe_pb2_grpc.ProbeStub(opened)


def get(stub: Any) -> grpc.StatusCode:
    return outcome(lambda: stub.Unary(pb.ProbeRequest()))


def calls(stub: Any, number: int) -> Callable[[], list[grpc.StatusCode]]:
    """That many, one after another."""
    return lambda: [get(stub) for _ in range(number)]


def connected(several: Replicas, stub: Any) -> None:
    """Waits until every replica has its share."""
    until(lambda: 0 not in several.shares(calls(stub, len(several.each))))


def until_more(codes: Counter[grpc.StatusCode], number: int) -> bool:
    """Waits until so many more calls have ended."""
    enough = codes.total() + number
    return bool(until(lambda: codes.total() >= enough))


def even(shares: list[int]) -> bool:
    """A call or two may go elsewhere while a connection is made anew."""
    return max(shares) - min(shares) <= 4


# Shares


def test_every_replica_has_an_even_share() -> None:
    with replicas(3) as several, client(several.target) as stub:
        connected(several, stub)
        assert even(several.shares(calls(stub, 300)))


def test_pick_first_sends_every_call_to_one() -> None:
    with replicas(3) as several, client(several.target, balancing="pick_first") as stub:
        assert sorted(several.shares(calls(stub, 300))) == [0, 0, 300]


def test_a_single_address_in_front_of_all_replicas_pins_calls_to_one() -> None:
    """As a ClusterIP does: it balances connections, and a client has one."""
    with replicas(3) as several, Proxy(*several.addresses) as proxy, client(proxy.target) as stub:
        assert sorted(several.shares(calls(stub, 300))) == [0, 0, 300]


def test_a_new_replica_has_its_share_within_two_seconds() -> None:
    with replicas(2, max_connection_age=1) as several, client(several.target) as stub, load(stub) as codes:
        until_more(codes, 50)
        appeared = time.monotonic()
        new = several.start(max_connection_age=1)
        until(lambda: new.attempts)
        assert even(several.shares(lambda: until_more(codes, 60)))
        assert time.monotonic() - appeared < 2
    assert set(codes) == {OK}


def test_the_name_is_looked_up_again_whenever_a_connection_has_reached_its_age() -> None:
    """Connections live for a second here; by default grpc would look it up at most every 30 s."""
    with replicas(1, max_connection_age=1) as several, client(several.target) as stub, load(stub) as codes:
        until_more(codes, 10)
        asked = several.names.asked
        until(lambda: several.names.asked >= asked + 3, seconds=15)
    assert set(codes) == {OK}


# Ends


def test_a_killed_replica_fails_calls_only_without_retries() -> None:
    """It is killed with calls in flight, and its address stays known."""
    with replicas(2) as several, server_process(APP_LISTEN=several.next_address()) as third:
        several.know()
        with client(several.target) as retried, client(several.target, retry=None) as once:
            until(lambda: several.shares(calls(retried, 9)) == several.shares(calls(once, 9)) == [3, 3])
            pause(third.process)
            made = {
                stub: [stub.Unary.future(pb.ProbeRequest()) for _ in range(12)] for stub in (retried, once)
            }
            # A third of them is with it, give or take those for which a connection was made anew.
            until(lambda: all(sum(one.done() for one in futures) >= 6 for futures in made.values()))
            assert not all(one.done() for one in made[retried])
            third.process.kill()
            assert Counter(outcome(future.result) for future in made[retried]) == {OK: 12}
            ends = Counter(outcome(future.result) for future in made[once])
            assert set(ends) == {OK, UNAVAILABLE}
            assert 2 <= ends[UNAVAILABLE] <= 6
            assert set(calls(retried, 100)()) == {OK}


def test_no_call_fails_with_a_draining_replica_even_without_retries() -> None:
    """A client that asks for its health leaves it during the delay; what runs there is finished."""
    with replicas(2) as several, client(several.target, retry=None, health_service="") as stub:
        leaving, refusing, began = several.start(drain_delay=1), threading.Event(), threading.Semaphore(0)
        connected(several, stub)

        def held(_context: Any) -> None:
            began.release()
            refusing.wait(10)

        leaving.act = held
        running = [stub.Unary.future(pb.ProbeRequest()) for _ in range(12)]
        for _ in range(3):
            assert began.acquire(timeout=5)
        leaving.act = lambda _context: None

        with load(stub) as codes, ThreadPoolExecutor(1) as pool:
            drained = pool.submit(leaving.drain)
            until(lambda: several.shares(lambda: until_more(codes, 30))[-1] == 0)
            assert not several.logged("drain_refusing_new_calls")
            until(lambda: several.logged("drain_refusing_new_calls"))
            refusing.set()
            drained.result(timeout=10)
            until_more(codes, 30)
        assert set(codes) == {OK}
        assert {outcome(future.result) for future in running} == {OK}


def test_no_call_fails_with_a_draining_replica_that_leaves_the_name() -> None:
    """The delay is longer than the connection's age and the time between two look-ups."""
    with replicas(2, max_connection_age=1) as several, client(several.target, retry=None) as stub:
        leaving = several.start(max_connection_age=1, drain_delay=2.5)
        connected(several, stub)
        with load(stub) as codes, ThreadPoolExecutor(1) as pool:
            several.names.addresses = several.names.addresses[:-1]
            drained = pool.submit(leaving.drain)
            until(lambda: several.shares(lambda: until_more(codes, 30))[-1] == 0)
            assert not several.logged("drain_refusing_new_calls")
            drained.result(timeout=10)
            until_more(codes, 30)
        assert set(codes) == {OK}


# Failures


def test_a_replica_that_fails_half_of_its_calls_is_ejected() -> None:
    detection = OutlierDetection(interval=0.3, failure_percentage=FailurePercentage(threshold=30))
    with replicas(3) as several, client(several.target, retry=None, outlier_detection=detection) as stub:
        connected(several, stub)
        number = count()

        def fail_half(context: Any) -> None:
            if next(number) % 2:
                context.abort(UNAVAILABLE, "every second time")

        several.each[0].act = fail_half
        with load(stub) as codes:
            until(lambda: codes[UNAVAILABLE] > 0)
            until(lambda: several.shares(lambda: until_more(codes, 60))[0] == 0)
            failed = codes[UNAVAILABLE]
            shares = several.shares(lambda: until_more(codes, 60))
        assert shares[0] == 0
        assert even(shares[1:])
        assert codes[UNAVAILABLE] == failed


@pytest.mark.parametrize(("failing", "every"), [(3, 1), (2, 1), (3, 2)])
def test_retries_add_less_than_ten_percent_to_an_outage(failing: int, every: int) -> None:
    """So many of the three fail every call, or every second one."""
    with replicas(3) as several, client(several.target) as stub:
        connected(several, stub)
        number = count()

        def fail(context: Any) -> None:
            if next(number) % every == 0:
                context.abort(UNAVAILABLE, "down")

        for replica in several.each[:failing]:
            replica.act = fail
        with ThreadPoolExecutor(8) as callers:
            shares = several.shares(lambda: list(callers.map(lambda _: get(stub), range(500))))
        assert 500 < sum(shares) < 550

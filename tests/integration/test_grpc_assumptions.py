"""What this program relies on and grpc does not document. Each test names one reliance, on grpc alone."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import Context, ContextVar
from functools import partial
from typing import Any
from weakref import ref

import grpc
import pytest
import trustme

from app.interceptors.read_ahead import read_ahead
from app.runtime.open_calls import open_calls
from tests.support.certificates import NAMES, issued, trusting
from tests.support.clients.status import code, outcome
from tests.support.waiting import until

WHO: ContextVar[str] = ContextVar("who")

Behaviour = Callable[[Iterator[bytes], Any], Any]


@contextmanager
def plain(
    behaviour: Behaviour,
    *,
    stream: bool = False,
    pool: ThreadPoolExecutor | None = None,
    seen: list[str] | None = None,
) -> Iterator[Any]:
    """A bare grpc server whose every method is `behaviour`; yields a channel to it."""

    class Interceptor(grpc.ServerInterceptor):
        def intercept_service(self, continuation: Any, details: Any) -> Any:
            del continuation
            WHO.set(details.method)
            if seen is not None:
                seen.append(threading.current_thread().name)
            wrapper = partial(behaviour)
            if stream:
                return grpc.stream_stream_rpc_method_handler(wrapper)
            return grpc.stream_unary_rpc_method_handler(wrapper)

    server = grpc.server(pool or ThreadPoolExecutor(4), interceptors=[Interceptor()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        server.stop(0).wait()


def test_contextvars_that_an_interceptor_sets_reach_the_handler() -> None:
    with plain(lambda requests, _context: next(requests) + WHO.get().encode()) as channel:
        assert channel.unary_unary("/a/b")(b"method ") == b"method /a/b"


def test_contextvars_of_one_call_are_not_seen_by_another() -> None:
    with plain(lambda _requests, _context: WHO.get().encode()) as channel:
        calls = {
            name: channel.unary_unary(name).future(b"") for name in (f"/a/{number}" for number in range(50))
        }
        for name, call in calls.items():
            assert call.result(timeout=5) == name.encode()


def test_a_unary_method_may_be_registered_as_a_stream_of_undecoded_requests() -> None:
    with plain(lambda requests, _context: next(requests)[::-1]) as channel:
        assert channel.unary_unary("/a/b")(b"abc") == b"cba"


def test_a_stream_of_both_ways_refuses_a_call_of_any_arity_without_reading_it() -> None:
    def refuse(_requests: Iterator[bytes], context: Any) -> Any:
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no")

    never = threading.Event()
    with plain(refuse, stream=True) as channel:
        calls: list[Callable[[], Any]] = [
            lambda: channel.unary_unary("/a/b")(b""),
            lambda: list(channel.unary_stream("/a/b")(b"")),
            lambda: channel.stream_unary("/a/b")(iter(lambda: never.wait(5), True)),
            lambda: list(channel.stream_stream("/a/b")(iter(lambda: never.wait(5), True))),
        ]
        for call in calls:
            assert outcome(call) is grpc.StatusCode.RESOURCE_EXHAUSTED
        never.set()


def test_the_servers_executor_is_given_each_call_with_the_contextvars_that_an_interceptor_has_set() -> None:
    given: list[str] = []

    class Pool(ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            given.append(fn.__self__[WHO])
            return super().submit(fn, *args, **kwargs)

    with plain(lambda requests, _: next(requests), pool=Pool(1)) as channel:
        assert channel.unary_unary("/a/b")(b"x", timeout=2) == b"x"
    assert given == ["/a/b"]


def test_a_streams_handler_that_dies_in_the_queue_is_run_all_the_same_and_finds_its_call_over() -> None:
    """So what was accepted can always be accounted for; a unary registration never runs such a handler."""
    pool = ThreadPoolExecutor(1)
    release, ran = threading.Event(), threading.Event()
    active: list[bool] = []

    def behaviour(requests: Iterator[bytes], context: Any) -> bytes:
        active.append(context.is_active())
        ran.set()
        return next(requests)

    pool.submit(release.wait, 10)
    with plain(behaviour, pool=pool) as channel:
        assert (
            outcome(lambda: channel.unary_unary("/a/b")(b"", timeout=0.1))
            is grpc.StatusCode.DEADLINE_EXCEEDED
        )
        threading.Event().wait(0.1)  # for the server to hear of it, which no code of ours there could tell
        release.set()
        assert ran.wait(5)
        assert active == [False]


def test_time_remaining_is_zero_after_a_deadline_and_not_after_a_cancel() -> None:
    left: list[float] = []
    over = threading.Event()

    def behaviour(_requests: Iterator[bytes], context: Any) -> bytes:
        over.clear()
        context.add_callback(over.set)
        running.set()
        over.wait(5)
        left.append(context.time_remaining())
        return b""

    running = threading.Event()
    with plain(behaviour) as channel:
        assert (
            outcome(lambda: channel.unary_unary("/a/b")(b"", timeout=0.1))
            is grpc.StatusCode.DEADLINE_EXCEEDED
        )
        until(lambda: len(left) == 1)
        running.clear()
        call = channel.unary_unary("/a/b").future(b"", timeout=30)
        assert running.wait(5)
        call.cancel()
        until(lambda: len(left) == 2)
    assert left[0] == 0
    assert left[1] > 1


def test_an_abort_raises_and_the_code_is_kept() -> None:
    raised: list[BaseException] = []

    def behaviour(_requests: Iterator[bytes], context: Any) -> bytes:
        try:
            context.abort(grpc.StatusCode.NOT_FOUND, "none")
        except BaseException as error:
            raised.append(error)
            assert context.code() is grpc.StatusCode.NOT_FOUND
            raise
        return b""

    with plain(behaviour) as channel:
        try:
            channel.unary_unary("/a/b")(b"")
        except grpc.RpcError as error:
            assert code(error) is grpc.StatusCode.NOT_FOUND  # noqa: PT017 - the call must fail, see below
    assert len(raised) == 1


def test_interceptors_run_on_one_thread_that_all_calls_share() -> None:
    seen: list[str] = []
    with plain(lambda requests, _: next(requests), seen=seen) as channel:
        for call in [channel.unary_unary("/a/b").future(b"") for _ in range(20)]:
            call.result(timeout=5)
    assert len(seen) == 20
    assert len(set(seen)) == 1


def test_a_call_that_finds_its_pool_closed_breaks_the_server() -> None:
    """Why pools are closed only after the server has stopped."""

    class ClosedPool(ThreadPoolExecutor):
        def submit(self, *_args: Any, **_kwargs: Any) -> "Future[Any]":
            refused.append(True)
            return Future()

    refused: list[bool] = []
    with plain(lambda requests, _: next(requests), pool=ClosedPool(1)) as channel:
        call = channel.unary_unary("/a/b").future(b"", timeout=0.2)
        until(call.done)
        assert refused
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_dynamic_credentials_serve_one_address_and_are_asked_for_news_by_each_connection() -> None:
    """Why each address has credentials of its own: they ask for news on behalf of that address."""
    ca, asked = trustme.CA(), []
    pair = issued(ca, *NAMES)
    configuration = grpc.ssl_server_certificate_configuration([(pair.key, pair.certificate)])
    fetch: Any = lambda: asked.append(True)  # noqa: E731 - None, to say that there is nothing new
    credentials = grpc.dynamic_ssl_server_credentials(configuration, fetch)
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    with pytest.raises(RuntimeError):
        server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    before = len(asked)
    for number in range(1, 4):
        with grpc.secure_channel(
            f"127.0.0.1:{port}", trusting(ca), options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            grpc.channel_ready_future(channel).result(timeout=5)
        assert len(asked) == before + number
    server.stop(0).wait()


def test_grpc_uses_only_add_done_callback_of_a_pools_future() -> None:
    asked: list[str] = []

    class RecordingFuture(Future[Any]):
        def __getattribute__(self, name: str) -> Any:
            asked.append(name)
            return super().__getattribute__(name)

    class Pool(ThreadPoolExecutor):
        def submit(self, *args: Any, **values: Any) -> Future[Any]:
            super().submit(*args, **values)
            return RecordingFuture()

    with plain(lambda requests, _context: next(requests), pool=Pool(2)) as channel:
        assert channel.unary_unary("/a/b")(b"1") == b"1"
        assert channel.unary_unary("/a/b")(b"2") == b"2"
    assert {name for name in asked if not name.startswith("_")} == {"add_done_callback"}


def test_a_call_goes_to_a_pool_with_positional_arguments_alone() -> None:
    given: list[dict[str, Any]] = []

    class Pool(ThreadPoolExecutor):
        def submit(self, *args: Any, **values: Any) -> Future[Any]:
            given.append(values)
            return super().submit(*args, **values)

    with plain(lambda requests, _context: next(requests), pool=Pool(2)) as channel:
        assert channel.unary_unary("/a/b")(b"1") == b"1"
    assert given == [{}]


class _ReadingFirst(ThreadPoolExecutor):
    """Submits a call once its first message has been read, or its client's side is closed."""

    def __init__(self) -> None:
        super().__init__(1)
        self.read: list[bytes | None] = []
        self.behaviours: list[Any] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        del kwargs
        assert isinstance(fn.__self__, Context)
        assert fn.__self__[WHO] == "/a/b"
        self.behaviours.append(args[3])

        def received(message: bytes | None) -> None:
            self.read.append(message)
            super(_ReadingFirst, self).submit(fn, *args)

        assert read_ahead(args, received)
        return Future()


@pytest.mark.parametrize("stream", [False, True])
def test_a_calls_first_message_may_be_read_before_its_handler_has_a_thread(stream: bool) -> None:
    """And the handler reads on from the second. The arguments are those that read_ahead.py takes them for."""
    pool = _ReadingFirst()

    def behaviour(requests: Iterator[bytes], _context: Any) -> Any:
        rest = b" ".join([pool.read[0] or b"none", *requests])
        return iter([rest]) if stream else rest

    with plain(behaviour, stream=stream, pool=pool) as channel:
        call = channel.stream_stream("/a/b") if stream else channel.stream_unary("/a/b")
        for sent in ([b"1", b"2", b"3"], [b"", b"2"], []):
            pool.read.clear()
            reply = call(iter(sent), timeout=5)
            assert (list(reply) if stream else [reply]) == [
                b" ".join([(sent or [b""])[0] or b"none", *sent[1:]])
            ]
            assert pool.read == [sent[0] if sent else None]
    assert all(one.func is behaviour for one in pool.behaviours)


def test_the_reading_of_a_first_message_ends_with_its_call() -> None:
    pool = _ReadingFirst()
    read: list[BaseException] = []

    def behaviour(requests: Iterator[bytes], _context: Any) -> bytes:
        for _ in range(2):  # the first may end as if the stream were complete
            try:
                next(requests)
            except (grpc.RpcError, StopIteration) as error:
                read.append(error)
        return b""

    never = threading.Event()
    with plain(behaviour, pool=pool) as channel:
        method = channel.stream_unary("/a/b")
        for end in ("cancel", "deadline"):
            call = method.future(iter(lambda: never.wait(5), True), timeout=0.2 if end == "deadline" else 5)
            until(lambda: len(pool.behaviours) == 1)
            if end == "cancel":
                call.cancel()
            until(lambda: len(read) == 2)
            assert pool.read == [None]
            assert isinstance(read[1], grpc.RpcError)
            for seen in (pool.behaviours, pool.read, read):
                seen.clear()
        never.set()


def test_a_call_may_be_answered_while_its_first_message_is_read() -> None:
    """What comes of it later is None, and the server forgets the call."""
    given: list[Any] = []
    read: list[bytes | None] = []

    class Pool(ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            assert read_ahead(args, read.append)
            given.append(args[2])
            return super().submit(fn, *args, **kwargs)

    def refuse(_requests: Iterator[bytes], context: Any) -> Any:
        context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "no message")

    never = threading.Event()
    with plain(refuse, pool=Pool(1)) as channel:
        call = channel.stream_unary("/a/b").future(iter(lambda: never.wait(5), True), timeout=5)
        assert outcome(call.result) is grpc.StatusCode.DEADLINE_EXCEEDED
        until(lambda: read == [None])
        until(lambda: given[0].due == set())
        never.set()


# The client's


class _PassThrough(grpc.UnaryUnaryClientInterceptor):
    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(client_call_details, request)


def test_an_intercepted_channel_asks_the_one_beneath_for_its_method_at_each_call() -> None:
    asked: list[str] = []

    class Beneath:
        def __init__(self, channel: Any) -> None:
            self._channel = channel

        def unary_unary(self, method: str, *given: Any) -> Any:
            asked.append(method)
            return self._channel.unary_unary(method, *given)

    with plain(lambda requests, _context: next(requests)) as channel:
        beneath: Any = Beneath(channel)
        call: Any = grpc.intercept_channel(beneath, _PassThrough()).unary_unary("/a/b")
        assert asked == []
        assert [call(b"1"), call(b"2"), call.future(b"3").result()] == [b"1", b"2", b"3"]
    assert asked == ["/a/b"] * 3


def test_a_channel_that_only_its_calls_refer_to_is_closed_after_the_last_of_them() -> None:
    """Their decoders do, here as in app/client/reloading.py."""
    begun, released = threading.Event(), threading.Event()

    def hold(requests: Iterator[bytes], _context: Any) -> bytes:
        begun.set()
        assert released.wait(10)
        return next(requests)

    def decoded(_channel: Any, data: bytes) -> bytes:
        return data

    server = grpc.server(ThreadPoolExecutor(2))
    handler: Any = grpc.stream_unary_rpc_method_handler(hold)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a", {"b": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    dropped = ref(channel)
    method: Any = channel.unary_unary("/a/b", None, partial(decoded, channel))
    call = method.future(b"x")
    del method
    assert begun.wait(5)
    del channel
    assert dropped() is not None
    released.set()
    assert call.result(timeout=5) == b"x"
    del call
    until(lambda: dropped() is None)
    server.stop(0).wait()


def test_a_client_of_the_core_rounds_its_deadline_up_or_repeats_one_that_is_up_to_3_percent_longer() -> None:
    """`Call.expired` allows for it, and knows these clients by their user agent."""
    seen: list[tuple[str, float]] = []

    def note(_request: Any, context: Any) -> bytes:
        agent = str(dict(context.invocation_metadata())["user-agent"])
        seen.append((agent, context.time_remaining()))
        return b""

    with plain(note) as channel:
        for timeout in (1.001, 12.34, 123.4, 500.0, 487.0):
            channel.unary_unary("/a/b")(b"", timeout=timeout)
    assert all("grpc-c/" in agent for agent, _ in seen)
    granted = [remaining for _, remaining in seen]
    assert granted[:3] == [pytest.approx(sent, abs=0.3) for sent in (1.01, 12.4, 124)]
    # 500 s are rounded up to 501, unless a millisecond has passed before; 487 s are sent as the same.
    assert granted[3:] == [pytest.approx(500.5, abs=0.8)] * 2


REGISTERED = """
import resource
import grpc

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
channel = grpc.insecure_channel("127.0.0.1:1")
channel.close()
channel.unary_unary("/a/b", _registered_method=True)
"""


def test_a_method_that_is_registered_on_a_closed_channel_ends_the_process() -> None:
    """When this fails, it is fixed, and `ReloadingChannel` may hand on what generated stubs ask for."""
    done = subprocess.run([sys.executable, "-c", REGISTERED], check=False, timeout=30)
    assert done.returncode == -signal.SIGSEGV


def test_the_servers_private_set_of_calls_has_each_call_until_its_status_is_sent() -> None:
    release = threading.Event()
    pool = ThreadPoolExecutor(4)

    def behaviour(_raw: Iterator[bytes], _context: Any) -> bytes:
        release.wait(5)
        return b""

    class Handler(grpc.GenericRpcHandler):
        def service(self, handler_call_details: Any) -> Any:
            del handler_call_details
            return grpc.stream_unary_rpc_method_handler(behaviour)

    server = grpc.server(pool, [Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    assert open_calls(server) == 0
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.stream_unary("/any/method")
        calls = [call.future(iter([b""]), timeout=10) for _ in range(3)]
        until(lambda: open_calls(server) == 3)
        release.set()
        for each in calls:
            each.result()
        until(lambda: open_calls(server) == 0)
    server.stop(0).wait()

"""A chain of few concerns: the order of their hooks, and what holds without those of the server's list."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from app.core.call import Call
from app.core.errors import InvalidArgument
from app.interceptors.chain import Chain
from app.interceptors.concern import Concern
from app.interceptors.errors import Errors
from app.interceptors.first_message import FirstMessages
from app.interceptors.waiting_calls import WaitingLimit
from app.runtime.dispatcher import Dispatcher
from tests.gen import probe_pb2_grpc
from tests.gen.probe_pb2 import ProbeRequest
from tests.support.clients.status import outcome
from tests.support.servers.probe import Probe
from tests.support.waiting import until

Status = grpc.StatusCode


@contextmanager
def served(concerns: Sequence[Concern]) -> Iterator[Any]:
    """A server with this chain and the probe; yields a channel to it."""
    pool = ThreadPoolExecutor(2)
    first = FirstMessages(lambda _method: pool, calls=WaitingLimit(10, 5), streams=WaitingLimit(10, 5))
    chain = Chain(concerns, refusals=pool, pool_of=lambda _method: pool, first_messages=first)
    server = grpc.server(Dispatcher(pool), interceptors=[chain])
    probe_pb2_grpc.add_ProbeServicer_to_server(Probe(), chain.registrar(server))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        server.stop(0).wait()
        pool.shutdown()


class Recorder(Concern):
    """Records its hooks, and refuses the call in the one that is named."""

    def __init__(self, name: str, log: list[str], refuse: str = "") -> None:
        self._name = name
        self._log = log
        self._refuse = refuse

    def _record(self, hook: str) -> None:
        self._log.append(f"{hook} {self._name}")
        if hook == self._refuse:
            raise InvalidArgument("refused")

    def accept(self, call: Call) -> None:
        self._record("accept")

    def admit(self, call: Call) -> None:
        self._record("admit")

    def start(self, call: Call) -> None:
        self._record("start")

    def receive_bytes(self, call: Call, data: bytes) -> None:
        self._record("receive_bytes")

    def receive(self, call: Call, message: Message) -> None:
        self._record("receive")

    def send_bytes(self, call: Call, data: bytes) -> None:
        self._record("send_bytes")

    def send(self, call: Call, message: Message) -> None:
        self._record("send")

    def fail(self, call: Call, error: BaseException) -> None:
        self._record("fail")

    def end(self, call: Call) -> None:
        self._record("end")


IN = ["accept", "admit", "start", "receive_bytes", "receive"]
OUT = ["send_bytes", "send", "fail", "end"]


def hooks(refuse: str = "") -> list[str]:
    """The hooks that a call runs in a chain of two, of which the inner one refuses it in that hook."""
    log: list[str] = []
    with served([Recorder("outer", log), Recorder("inner", log, refuse)]) as channel:
        stub = probe_pb2_grpc.ProbeStub(channel)
        expected = Status.INTERNAL if refuse else Status.OK  # no concern here maps errors to codes
        assert outcome(lambda: stub.Unary(ProbeRequest())) is expected
        until(lambda: "end outer" in log)
    return log


def test_hooks_run_inwards_for_requests_and_outwards_for_replies() -> None:
    inwards = [f"{hook} {name}" for hook in IN for name in ("outer", "inner")]
    outwards = [f"{hook} {name}" for hook in OUT if hook != "fail" for name in ("inner", "outer")]
    assert hooks() == inwards + outwards


@pytest.mark.parametrize("hook", [*IN, "send_bytes", "send"])
def test_a_refusal_runs_no_further_hooks_but_fail_and_end(hook: str) -> None:
    log = hooks(hook)
    after = log[log.index(f"{hook} inner") + 1 :]
    ends = ["end outer"] if hook == "accept" else ["end inner", "end outer"]
    assert after == ["fail inner", "fail outer", *ends]


def test_an_unknown_method_is_unimplemented_without_the_concern_that_refuses_it() -> None:
    with served([Errors()]) as channel:
        assert outcome(lambda: channel.unary_unary("/a.B/C")(b"")) is Status.UNIMPLEMENTED

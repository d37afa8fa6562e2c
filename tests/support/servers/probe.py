"""The service of the tests: a method of each arity, whose handlers do what a test tells them to."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import grpc

from app.core.errors import FieldViolation
from app.core.service import Service
from tests.gen import probe_pb2_grpc
from tests.gen.probe_pb2 import DESCRIPTOR, ProbeReply, ProbeRequest
from tests.support.servers.script import KEY, Script

NAME = "probe.Probe"
METHODS = ("Unary", "ServerStream", "ClientStream", "BidiStream")
CLIENT_STREAMS = ("ClientStream", "BidiStream")
SERVER_STREAMS = ("ServerStream", "BidiStream")

# Each method as metrics name its arity.
TYPES = {
    "Unary": "unary",
    "ServerStream": "server_stream",
    "ClientStream": "client_stream",
    "BidiStream": "bidi_stream",
}

# Each method as a client calls it with one request, to the end.
CALLS: dict[str, Callable[..., Any]] = {
    "Unary": lambda stub, **how: stub.Unary(ProbeRequest(text="a"), **how),
    "ServerStream": lambda stub, **how: list(stub.ServerStream(ProbeRequest(text="a"), **how)),
    "ClientStream": lambda stub, **how: stub.ClientStream(iter([ProbeRequest(text="a")]), **how),
    "BidiStream": lambda stub, **how: list(stub.BidiStream(iter([ProbeRequest(text="a")]), **how)),
}

REPLY = ProbeReply(text="reply")


def read_all(requests: Any, _context: Any) -> None:
    """Reads the client's stream to its end, if it is one."""
    if not isinstance(requests, ProbeRequest):
        for _ in requests:
            pass


class Probe(probe_pb2_grpc.ProbeServicer):
    """A call whose metadata names a script follows it; every other call runs the hooks.

    `on_call(request or iterator, context)` runs in every handler, and streams then send two replies, with
    `between(context)` between them. `check(request, context)` is given each message of a script's call, for
    servers where nothing before the handler could refuse it. Hooks may be replaced from any thread.
    """

    def __init__(self, scripts: Mapping[str, Script] | None = None) -> None:
        self.on_call: Callable[[Any, Any], object] = read_all
        self.between: Callable[[Any], object] = lambda _context: None
        self.check: Callable[[Any, Any], object] = lambda _request, _context: None
        self._scripts = {} if scripts is None else scripts

    def Unary(self, request: ProbeRequest, context: grpc.ServicerContext) -> ProbeReply:
        if script := self._script(context):
            self._take(script, request, context)
            script.act("start", context)
            script.act("end", context)
            return _reply(script)
        self.on_call(request, context)
        return REPLY

    def ServerStream(self, request: ProbeRequest, context: grpc.ServicerContext) -> Iterator[ProbeReply]:
        if script := self._script(context):
            self._take(script, request, context)
            script.act("start", context)
            for _ in range(2):
                yield _reply(script)
                script.act("middle", context)
            script.act("end", context)
        else:
            self.on_call(request, context)
            yield from self._two_replies(context)

    def ClientStream(
        self, request_iterator: Iterator[ProbeRequest], context: grpc.ServicerContext
    ) -> ProbeReply:
        if script := self._script(context):
            script.act("start", context)
            for request in request_iterator:
                self._take(script, request, context)
                script.act("middle", context)
            script.act("end", context)
            return _reply(script)
        self.on_call(request_iterator, context)
        return REPLY

    def BidiStream(
        self, request_iterator: Iterator[ProbeRequest], context: grpc.ServicerContext
    ) -> Iterator[ProbeReply]:
        if script := self._script(context):
            script.act("start", context)
            for request in request_iterator:
                self._take(script, request, context)
                yield _reply(script)
                script.act("middle", context)
            script.act("end", context)
        else:
            self.on_call(request_iterator, context)
            yield from self._two_replies(context)

    def _script(self, context: grpc.ServicerContext) -> Script | None:
        key = next((str(value) for name, value in context.invocation_metadata() if name == KEY), "")
        script = self._scripts.get(key)
        if script is not None:
            script.began = True
        return script

    def _take(self, script: Script, request: ProbeRequest, context: grpc.ServicerContext) -> None:
        script.taken += 1
        self.check(request, context)

    def _two_replies(self, context: grpc.ServicerContext) -> Iterator[ProbeReply]:
        yield REPLY
        self.between(context)
        yield REPLY


def _reply(script: Script) -> ProbeReply:
    script.made += 1
    return ProbeReply(text=script.text, count=script.taken)


def rule(request: ProbeRequest) -> Iterator[FieldViolation]:
    if request.text == "wrong":
        yield FieldViolation("text", "anything but wrong")


def service(open_probe: Callable[[Any], AbstractContextManager[object]]) -> Service[Any]:
    """The probe as a service of this program; `open_probe` is given the settings."""
    return Service(
        descriptor=DESCRIPTOR.services_by_name["Probe"],
        add_to_server=probe_pb2_grpc.add_ProbeServicer_to_server,
        open=open_probe,
        rules=dict.fromkeys(METHODS, rule),
    )


def probe_service(probe: Probe) -> Service[Any]:
    """The service of that one servicer, whose hooks the test holds."""
    return service(lambda _settings: nullcontext(probe))


# Every server has a probe of its own, without hooks.
PROBE = service(lambda _settings: nullcontext(Probe()))

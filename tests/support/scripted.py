"""The Quoter's methods, one of each arity, whose handlers follow a script of its own for each call."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from threading import Event
from typing import Any

import grpc

from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc

REQUESTS: dict[str, Any] = {
    "GetQuote": pb.QuoteRequest,
    "ListQuotes": pb.ListQuotesRequest,
    "AddQuotes": pb.AddQuotesRequest,
    "Converse": pb.ConverseRequest,
}

# The metadata that names a call's script.
KEY = "x-request-id"

Act = Callable[["Script", Any], object]  # given the context too


class Script:
    """What the handler of one call does, and how far it is."""

    def __init__(self, start: Act | None = None, middle: Act | None = None, end: Act | None = None) -> None:
        """Acts at the handler's start, after the first message of a stream, and after the last."""
        self.key = secrets.token_hex(16)
        self._acts = {"start": start, "middle": middle, "end": end}
        self.arrived = Event()  # grpc has accepted the call
        self.running = Event()  # the handler has come to an act that says so
        self.go_on = Event()  # what `hold` waits for
        self.over = Event()  # the call has ended, also while its handler still runs
        self.began = False  # the handler has run
        self.quote = "q"  # of its replies
        self.taken = 0  # messages that the handler was given
        self.made = 0  # messages that it made

    def act(self, when: str, context: Any) -> None:
        """Each act once."""
        act = self._acts.pop(when, None)
        if act is not None:
            act(self, context)


def notice(script: Script, context: Any) -> None:
    """Tells the test how far the handler is, and goes on."""
    if not context.add_callback(script.over.set):
        script.over.set()
    script.running.set()


def hold(script: Script, context: Any) -> None:
    """Waits for the test, and looks neither left nor right meanwhile: most code is so."""
    notice(script, context)
    script.go_on.wait(20)


def unchecked(_request: Any, _context: Any) -> None:
    pass


class Scripted(quote_service_pb2_grpc.QuoterServicer):
    """`scripts` are looked up by KEY; where there is none, the handler only answers.

    `check` is given each message, on a server where nothing before the handler could refuse it.
    """

    def __init__(
        self, scripts: Mapping[str, Script], check: Callable[[Any, Any], object] = unchecked
    ) -> None:
        self._scripts = scripts
        self._check = check

    def _script(self, context: grpc.ServicerContext) -> Script:
        key = next((str(value) for name, value in context.invocation_metadata() if name == KEY), "")
        script = self._scripts.get(key) or Script()
        script.began = True
        return script

    def _take(self, script: Script, request: Any, context: grpc.ServicerContext) -> None:
        script.taken += 1
        self._check(request, context)

    def GetQuote(self, request: pb.QuoteRequest, context: grpc.ServicerContext) -> pb.QuoteReply:  # noqa: N802
        script = self._script(context)
        self._take(script, request, context)
        script.act("start", context)
        script.act("end", context)
        script.made += 1
        return pb.QuoteReply(quote=script.quote)

    def ListQuotes(  # noqa: N802
        self, request: pb.ListQuotesRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ListQuotesResponse]:
        script = self._script(context)
        self._take(script, request, context)
        script.act("start", context)
        for _ in range(2):
            script.made += 1
            yield pb.ListQuotesResponse(quote=script.quote)
            script.act("middle", context)
        script.act("end", context)

    def AddQuotes(  # noqa: N802
        self, request_iterator: Iterator[pb.AddQuotesRequest], context: grpc.ServicerContext
    ) -> pb.AddQuotesResponse:
        script = self._script(context)
        script.act("start", context)
        for request in request_iterator:
            self._take(script, request, context)
            script.act("middle", context)
        script.act("end", context)
        script.made += 1
        return pb.AddQuotesResponse(added=script.taken)

    def Converse(  # noqa: N802
        self, request_iterator: Iterator[pb.ConverseRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ConverseResponse]:
        script = self._script(context)
        script.act("start", context)
        for request in request_iterator:
            self._take(script, request, context)
            script.made += 1
            yield pb.ConverseResponse(quote=script.quote)
            script.act("middle", context)
        script.act("end", context)

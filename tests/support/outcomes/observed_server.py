"""A server whose calls are seen from both ends: by their client, and in what it wrote down of them."""

import re
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
from grpc_health.v1 import health
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from app.core.code import CODE_LABELS
from tests.support.network.proxy import Proxy
from tests.support.outcomes.exchange import PATIENCE, Exchange, Metadata
from tests.support.servers.script import KEY, Act, Script, hold

# Status codes by their number and their names, Go's and Python's.
CODES: dict[object, grpc.StatusCode] = {
    name: code for code in grpc.StatusCode for name in (code.value[0], CODE_LABELS[code], code.name)
}

MethodAndCode = tuple[str, grpc.StatusCode]  # a method and a status code


class Counts:
    """The `grpc_server_…` metrics at one moment, but for those of health checks."""

    def __init__(self, exposition: str) -> None:
        self.handled: Counter[MethodAndCode] = Counter()
        self.refused: Counter[str] = Counter()  # by reason
        self.types: dict[str, set[str]] = defaultdict(set)  # of each method
        self._values: Counter[tuple[str, str]] = Counter()
        for name, labels, value in re.findall(r"^grpc_server_(\w+)\{(.*)\} (\S+)$", exposition, re.MULTILINE):
            found = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            if found.get("grpc_service") in (None, health.SERVICE_NAME):  # of no method, or of health
                continue
            self.types[found["grpc_method"]].add(found["grpc_type"])
            self._values[name, found["grpc_method"]] += round(float(value))
            if name == "refused_total":
                self.refused[found["reason"]] += round(float(value))
            if name == "handled_total":
                self.handled[found["grpc_method"], CODES[found["grpc_code"]]] += round(float(value))

    def __sub__(self, before: "Counts") -> "Counts":
        """What has been added since."""
        rise = copy(self)
        rise.handled, rise.refused = self.handled - before.handled, self.refused - before.refused
        rise._values = self._values - before._values
        return rise

    def by_method(self, name: str) -> Counter[str]:
        return Counter({method: value for (one, method), value in self._values.items() if one == name})

    @property
    def in_flight(self) -> int:
        return self.by_method("started_total").total() - self.handled.total()


@dataclass(frozen=True)
class Ending:
    """How a call ended: as its client saw it, and as the server wrote it down."""

    call: Exchange
    seen: grpc.StatusCode | None  # None: it has no end
    traced: Sequence[MethodAndCode]  # in each span of it
    logged: Sequence[MethodAndCode]  # in each line of it


class Calls(list[Exchange]):
    """Calls that were begun together. Each method is for all of them."""

    def come_to(self, event: str) -> "Calls":
        """Waits for an event of their scripts."""
        for call in self:
            assert getattr(call.script, event).wait(PATIENCE), f"{call.method} has not come to `{event}`"
        return self

    def over(self) -> "Calls":
        """Waits until the handlers that run could know that their calls are over."""
        for call in self:
            assert not call.script.running.is_set() or call.script.over.wait(PATIENCE), (
                f"{call.method} goes on"
            )
        return self

    def cancel(self) -> "Calls":
        for call in self:
            call.cancel()
        return self

    def go_on(self) -> "Calls":
        for call in self:
            call.script.go_on.set()
        return self

    def end(self) -> "Calls":
        """Waits until they have ended for their client."""
        for call in self:
            call.code()
        return self


class Arrivals(grpc.ServerInterceptor):
    """Tells a call's script that grpc has accepted the call."""

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self._scripts = scripts

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        for key, value in details.invocation_metadata:
            if key == KEY and value in self._scripts:
                self._scripts[value].arrived.set()
        return continuation(details)


class ObservedServer(ABC):
    """A server, a channel to it, and the calls that were made. Subclasses start it, and say what it wrote."""

    workers = 4  # unary calls that run at once
    places = 8  # unary calls, and streams, that it accepts at once
    times = 4  # how many calls are made for a case
    streams_have_threads = False  # one for each stream that it accepts
    max_message = 65_536  # bytes; grpc itself lets a sixteenth more through to the chain
    max_metadata = 8_192  # bytes; and of these four times as much

    target: str
    channel: Any
    callers: Mapping[str, Metadata]  # credentials by name: "ann" and "cid" may call, "bob" may not

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.made = Calls()  # the calls that a case is about
        self.company = Calls()  # calls beside them, which are answered
        self.opened = ExitStack()

    def connect(self, target: str, *options: tuple[str, int]) -> Any:
        # Channels to one target would share its connection.
        alone = ("grpc.use_local_subchannel_pool", 1)
        return self.opened.enter_context(grpc.insecure_channel(target, options=[alone, *options]))

    def proxy(self) -> Proxy:
        return self.opened.enter_context(Proxy(self.target))

    def calls(  # noqa: PLR0913 - each says another thing, and most calls need one
        self,
        method: str,
        number: int | None = None,
        *,
        start: Act | None = None,
        middle: Act | None = None,
        end: Act | None = None,
        channel: Any = None,
        caller: str = "ann",
        metadata: Metadata = (),
        company: bool = False,
        **how: Any,
    ) -> Calls:
        """Begins calls whose handlers act as told; `how` are Exchange's further arguments."""
        begun = Calls()
        for _ in range(self.times if number is None else number):
            script = Script(start, middle, end)
            self.scripts[script.key] = script
            sent = (*self.callers[caller], *metadata)
            begun.append(Exchange(channel or self.channel, method, script, metadata=sent, **how))
        (self.company if company else self.made).extend(begun)
        return begun

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Every worker is held by a call."""
        held = self.calls("Unary", self.workers, start=hold, company=True).come_to("running")
        yield
        held.go_on().end()

    @contextmanager
    def full(self, method: str) -> Iterator[None]:
        """No further call of that method is accepted."""
        # Of another method where that is possible, so that each has its own counts.
        other = {"Unary": "Unary", "ServerStream": "BidiStream"}.get(method, "ServerStream")
        held = self.calls(other, self.places, start=hold, company=True)
        # Unary calls wait for a worker. A stream counts once it runs: one of both ways runs before its first
        # message, and would take the place of a held one whose message is still on its way.
        held.come_to("running" if self.streams_have_threads and method != "Unary" else "arrived")
        yield
        held.go_on().end()

    def forget(self) -> None:
        """Lets go of all calls so far."""
        for script in self.scripts.values():
            script.go_on.set()
        self.scripts.clear()
        self.made.clear()
        self.company.clear()

    def endings(self, calls: Iterable[Exchange]) -> list[Ending]:
        traced, logged = defaultdict(list), defaultdict(list)
        for span in self.spans():
            said = dict(span.attributes or {})
            found = (str(said["rpc.method"]), CODES[said.get("rpc.grpc.status_code")])
            traced[trace.format_trace_id(span.context.trace_id)].append(found)
        for line in self.lines():
            logged[line["trace_id"]].append((line["method"], CODES[line["code"]]))
        return [Ending(call, call.code(), traced[call.trace], logged[call.trace]) for call in calls]

    @abstractmethod
    def heard(self) -> None:
        """Returns when the server has heard of everything that was done on the channel before."""

    @abstractmethod
    def rest(self) -> None:
        """Returns when nothing is left that the server could write down."""

    @abstractmethod
    def counts(self) -> Counts: ...

    @abstractmethod
    def spans(self) -> Sequence[ReadableSpan]: ...

    @abstractmethod
    def lines(self) -> list[dict[str, Any]]: ...

    @abstractmethod
    def drain(self) -> None:
        """Begins to stop, and returns when new calls are refused."""

    @abstractmethod
    def drained(self) -> None:
        """Returns when it has stopped."""

    @abstractmethod
    def close(self) -> None: ...


Server = TypeVar("Server", bound=ObservedServer)


class ReusedServer(Generic[Server]):
    """The server of the last case, as long as the next one can have it too."""

    def __init__(self, start: Callable[[float, float], Server]) -> None:
        """`start` is given the server's maximum deadline, and the grace of its drain."""
        self._start = start
        self._at: Server | None = None
        self._suits = (0.0, 0.0)

    def server(self, max_deadline: float, grace: float) -> Server:
        """One that has nothing in flight. Where there is a grace it will be drained, and is nobody else's."""
        if self._at is not None and (max_deadline, grace) == self._suits and not grace:
            if self._at.made:  # the last case has failed
                self._at.forget()
                self._at.rest()
            return self._at
        self.close()
        self._at, self._suits = self._start(max_deadline, grace), (max_deadline, grace)
        return self._at

    def close(self) -> None:
        if self._at is not None:
            self._at.close()
            self._at = None

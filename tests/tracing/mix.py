"""A mix of calls of every arity that end in every way, and the status code that the client of each saw."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import grpc

from tests.support.network.proxy import Proxy
from tests.support.outcomes import cases, table
from tests.support.outcomes.exchange import Exchange
from tests.support.outcomes.table import ALL, CANCELLED, EXPIRED, OK, READ_MANY, STREAMS, UNAVAILABLE, Pair
from tests.support.servers.script import Script
from tests.support.servers.server import TOKEN

# Calls that include every outcome in every arity.
FEWEST = 2000
# Calls at a time of the mix, over several connections; and in a burst, which is above the server's limits.
THREADS, CHANNELS, BURST = 48, 4, 240
# Calls that are running when their connection is cut.
CUT = 40

TOKENS = f"ann:{TOKEN}\nbob:{TOKEN}-of-bob\n"
_CALLERS: Mapping[str, Sequence[tuple[str, str]]] = {
    "": (),
    "ann": (("authorization", f"Bearer {TOKEN}"),),
    "bob": (("authorization", f"Bearer {TOKEN}-of-bob"),),
}
# The server that the mix is for.
SETTINGS: Mapping[str, str] = {
    "APP_AUTH_MODE": "tokens",
    "APP_AUTH_REQUIRE": "probe.Probe name:ann",
    "APP_MAX_CALLS": "120",
    "APP_MAX_STREAMS": "120",
    "APP_MAX_QUEUE_TIME": "60",
    "APP_MAX_DEADLINE": "2",
    "APP_FIRST_MESSAGE_TIMEOUT": "1",
    "APP_MAX_MESSAGE_BYTES": "65536",
    "APP_MAX_METADATA_BYTES": "8192",
}

Play = Callable[[Exchange], object]
_UNSENT: Pair = (CANCELLED, None)


def _nothing(_call: Exchange) -> None:
    """Leaves the call alone."""


def _cancel_within(seconds: float) -> Play:
    def play(call: Exchange) -> None:
        time.sleep(random.uniform(0, seconds))  # noqa: S311 - chance, no secret
        call.cancel()

    return play


@dataclass(frozen=True)
class Outcome:
    """A way in which calls end. `pairs` are codes of client and server that may differ."""

    what: str
    act: str = "answer"
    methods: Sequence[str] = ALL
    share: int = 1
    caller: str = "ann"
    play: Play = _nothing
    timeout: Callable[[], float | None] = lambda: None
    pairs: Sequence[Pair] = ()
    how: Mapping[str, Any] = field(default_factory=dict)  # further arguments of Exchange


# Codes that differ are of calls that their client, or the transport, has ended.
LEFT: Sequence[Pair] = [(CANCELLED, OK), _UNSENT]
LATE: Sequence[Pair] = [(EXPIRED, OK), (EXPIRED, CANCELLED), (EXPIRED, None)]
LOST: Sequence[Pair] = [(UNAVAILABLE, CANCELLED), (UNAVAILABLE, None)]

MIX: Sequence[Outcome] = (
    Outcome("answered", share=40),
    Outcome("error of the domain", "abort", share=8),
    Outcome("error of the domain mid-stream", "abort_later", STREAMS, 3),
    Outcome("method not overridden", "not_overridden"),
    Outcome("bug in the handler", "fail", share=3),
    Outcome("bug mid-stream", "fail_later", STREAMS),
    Outcome("bug after the last message", "fail_at_end", STREAMS),
    Outcome("malformed message", how={"messages": [cases.MALFORMED]}),
    Outcome("malformed message, later", methods=READ_MANY, how={"messages": ["a", cases.MALFORMED]}),
    Outcome("response too large", "long_reply", table.THREE),
    Outcome("rejected: no such method", how={"path": "/a.B/C"}, share=2),
    Outcome("rejected: no token", caller="", share=2),
    Outcome("rejected: not permitted", caller="bob", share=2),
    Outcome("rejected: not valid", how={"messages": ["wrong"]}, share=4),
    Outcome("rejected: long message", how={"messages": [cases.LONG]}),
    Outcome("rejected: long message, later", methods=READ_MANY, how={"messages": ["a", cases.LONG]}),
    Outcome("rejected: long metadata", how={"metadata": cases.LONG_METADATA}),
    Outcome("rejected: no message in time", methods=table.HALF, how={"half": True}),
    Outcome("half call, client cancels", play=_cancel_within(0.02), pairs=[_UNSENT], how={"half": True}),
    Outcome("client cancels, handler works", "hold", share=4, play=_cancel_within(0.02), pairs=[_UNSENT]),
    Outcome(
        "client cancels mid-stream", "hold_later", STREAMS, 2, play=_cancel_within(0.02), pairs=[_UNSENT]
    ),
    Outcome("client cancels at any moment", share=6, play=_cancel_within(0.003), pairs=LEFT),
    Outcome("deadline passes before the call", timeout=lambda: -1, pairs=[(EXPIRED, None)]),
    Outcome(
        "deadline passes, handler works",
        "hold",
        share=2,
        timeout=lambda: random.uniform(0.05, 0.15),  # noqa: S311 - as above
        pairs=[(EXPIRED, CANCELLED), (EXPIRED, None)],
    ),
    Outcome(
        "deadline passes at any moment",
        share=6,
        timeout=lambda: random.uniform(0, 0.006),  # noqa: S311
        pairs=LATE,
    ),
    Outcome("server's deadline, handler waits", "wait"),
)
IN_BURSTS = Outcome("a burst above the limits", "answer_slowly")
WHEN_CUT = Outcome("connection cut, handler works", "hold", pairs=LOST)
OUTCOMES: Sequence[Outcome] = (*MIX, IN_BURSTS, WHEN_CUT)


class Seen(NamedTuple):
    """A call, as its client has it."""

    request_id: str
    trace_id: str
    outcome: Outcome
    method: str
    code: grpc.StatusCode | None  # None: it has no end


class Mix:
    """Makes the calls, on a server with SETTINGS."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._numbers = count()
        self.seen: list[Seen] = []

    def make(self, calls: int) -> list[Seen]:
        """Makes that many calls: first all mixed, then bursts, then some whose connection is cut."""
        bursts, cuts = max(len(ALL), calls // 16 // BURST), calls // 100 // CUT or 1
        mixed = calls - bursts * BURST - cuts * CUT
        planned = list(self._planned(mixed))
        random.shuffle(planned)
        self._make_mixed(planned)
        for number in range(bursts):
            self._make_burst(ALL[number % len(ALL)])
        for _ in range(cuts):
            self._make_cut()
        return self.seen

    def _planned(self, calls: int) -> Iterator[tuple[Outcome, str]]:
        """The outcomes by their shares, each divided among its methods."""
        kinds = [(one, method) for one in MIX for method in one.methods]
        weights = [one.share / len(one.methods) for one, _ in kinds]
        yield from kinds[:calls]  # at least one of each
        yield from random.choices(kinds, weights, k=calls - min(calls, len(kinds)))  # noqa: S311

    def _make_mixed(self, planned: list[tuple[Outcome, str]]) -> None:
        channels = [self._connect(self._target) for _ in range(CHANNELS)]
        work = iter(planned)
        taking = threading.Lock()

        def caller(channel: grpc.Channel) -> None:
            while True:
                with taking:
                    if (one := next(work, None)) is None:
                        return
                self._end(*self._begin(channel, *one))

        _on_threads([(caller, channel) for channel in channels for _ in range(THREADS // CHANNELS)])
        for channel in channels:
            channel.close()

    def _make_burst(self, method: str) -> None:
        with ExitStack() as opened:
            channel = opened.enter_context(self._connect(self._target))
            begun = [self._begin(channel, IN_BURSTS, method) for _ in range(BURST)]
            for one in begun:
                self._end(*one)

    def _make_cut(self) -> None:
        with Proxy(self._target) as proxy, self._connect(proxy.target) as channel:
            begun = [self._begin(channel, WHEN_CUT, ALL[number % len(ALL)]) for number in range(CUT)]
            time.sleep(0.2)
            proxy.cut()
            for one in begun:
                self._end(*one)

    def _connect(self, target: str) -> grpc.Channel:
        # Channels to one target would share its connection.
        return grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])

    def _begin(self, channel: Any, outcome: Outcome, method: str) -> tuple[Exchange, Outcome]:
        script = Script()
        script.key = f"{outcome.act}.{next(self._numbers)}"
        how = dict(outcome.how)
        metadata = (*_CALLERS[outcome.caller], *how.pop("metadata", ()))
        call = Exchange(channel, method, script, timeout=outcome.timeout(), metadata=metadata, **how)
        return call, outcome

    def _end(self, call: Exchange, outcome: Outcome) -> None:
        outcome.play(call)
        self.seen.append(Seen(call.script.key, call.trace, outcome, call.method, call.code()))


def _on_threads(work: Sequence[tuple[Callable[[Any], None], Any]]) -> None:
    threads = [threading.Thread(target=function, args=(argument,)) for function, argument in work]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

"""Hands a call to a thread once its first message is there.

grpc hands it over with its headers: a client that sends these and no more would hold the thread, and a few
such calls would take the service away from all other clients.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from app.core.call import Call
from app.core.method import Arity, Method
from app.core.work import HandOver, Work, hand_over_to
from app.interceptors.early_streams import EarlyStreams
from app.interceptors.hooks import Hook
from app.interceptors.read_ahead import AVAILABLE, peer_of, read_ahead
from app.interceptors.shares import one_for_all
from app.interceptors.waiting_calls import WaitingCalls, WaitingLimit
from app.reload.ticker import Ticker

# How often to look for calls that have waited too long, in seconds.
_INTERVAL = 0.1

# How long to leave other calls alone between two batches of them, in seconds.
_PAUSE = 0.02

# Where grpc has the handler among the arguments that it submits to a pool.
_HANDLER = 3


class FirstMessages(Ticker):
    """The calls of a server that wait for their first message, before a pool gets them.

    Methods that take one message and those that take a stream have separate limits: a stream may begin
    long before its first message. A call that has waited for too long ends with DEADLINE_EXCEEDED, and so
    does the oldest where too many wait.

    The handler of a bidirectional stream may answer before the first message. So it gets a thread at once,
    unless a quarter of the streams have begun that way and nothing was sent on them by either side; then the
    stream waits as the others do.
    """

    def __init__(
        self,
        refusals_of: Callable[[Method], ThreadPoolExecutor],
        *,
        calls: WaitingLimit,
        streams: WaitingLimit,
        never_answering_first: frozenset[str] = frozenset(),
        share_of: Callable[[Call], str] = one_for_all,
    ) -> None:
        """`refusals_of` is the pool on which calls of a method end whose message does not come.

        `streams` is for calls that take a stream of requests, `calls` for the others.

        `never_answering_first` are full names of services whose streams are answered message by message.

        `share_of` names the client whose share a call takes.
        """
        super().__init__("first messages", _INTERVAL, self._end_old)
        self._refusals_of = refusals_of
        self._refusals: dict[Method, _Refusal] = {}
        self.share_of = share_of
        self._never_answering_first = never_answering_first
        waiting_streams = WaitingCalls(streams, self.refuse)
        early = EarlyStreams(max(1, streams.most // 4), calls.seconds)
        self._one_message = _Kind(WaitingCalls(calls, self.refuse), None, without_worker=True)
        self._stream = _Kind(waiting_streams, None, without_worker=False)
        self._answering_stream = _Kind(waiting_streams, early, without_worker=False)
        if not AVAILABLE:
            structlog.get_logger().warning("first_messages_hold_threads", reason="unknown version of grpc")

    def before(
        self,
        pool: ThreadPoolExecutor,
        method: Method,
        admit: Sequence[Hook],
        refuse: Callable[..., Any],
    ) -> HandOver:
        """How the pool gets the calls of the method. `refuse` is the handler of a call that has a `failure`.

        To be called on the polling thread, right after acceptance.
        """
        kind = self._one_message
        if method.arity is Arity.BIDI_STREAM and method.service not in self._never_answering_first:
            kind = self._answering_stream
        elif method.arity in {Arity.CLIENT_STREAM, Arity.BIDI_STREAM}:
            kind = self._stream
        refusal = _Refusal(refuse, hand_over_to(self._refusals_of(method)))
        self._refusals[method] = refusal
        return _MessageFirst(self, kind, admit, hand_over_to(pool), refusal.hand_over).begin

    def refuse(self, call: Call, work: Work, error: Exception) -> None:
        """Ends the call with the error, on the pool for refusals."""
        call.failure = error
        call.first_message = None
        refusal = self._refusals[call.method]
        run, arguments = work
        refusal.hand_over(call, (run, (*arguments[:_HANDLER], refusal.handler, *arguments[_HANDLER + 1 :])))

    def _end_old(self) -> None:
        while self._one_message.waiting.end_some() | self._stream.waiting.end_some():
            time.sleep(_PAUSE)


@dataclass(frozen=True)
class _Refusal:
    handler: Callable[..., Any]
    hand_over: HandOver


@dataclass(frozen=True)
class _Kind:
    """What calls of a kind have in common.

    `without_worker` says whether a call whose client's side is closed without a message needs no worker.
    """

    waiting: WaitingCalls
    early: EarlyStreams | None
    without_worker: bool


class _MessageFirst:
    """Hands the calls of a method over to its pool, each once its first message is there."""

    def __init__(
        self, first: FirstMessages, kind: _Kind, admit: Sequence[Hook], to_pool: HandOver, refuse: HandOver
    ) -> None:
        self._share_of = first.share_of
        self._end = first.refuse
        self._waiting, self._early = kind.waiting, kind.early
        self._admit = admit
        self._to_pool = to_pool
        self._without_message = refuse if kind.without_worker else None

    def begin(self, call: Call, work: Work) -> None:
        """On the polling thread, right after acceptance."""
        arguments = work[1]
        call.origin = peer_of(arguments)
        call.share = self._share_of(call)
        if self._early is not None and self._early.enter(call):
            self._hand_over(call, work)
            return
        self._waiting.add(call, work)
        if not read_ahead(arguments, partial(self._received, call)) and self._waiting.take(call):
            self._hand_over(call, work)

    def _received(self, call: Call, message: bytes | None) -> None:
        work = self._waiting.take(call)
        if work is None:
            return
        if message is None and self._without_message is not None:
            self._without_message(call, work)
            return
        call.first_message = message
        self._hand_over(call, work)

    def _hand_over(self, call: Call, work: Work) -> None:
        for admit in self._admit:
            try:
                admit(call)
            except Exception as error:
                self._end(call, work, error)
                return
        self._to_pool(call, work)

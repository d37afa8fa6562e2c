"""Hands a call to a thread once its first message is there.

grpc hands it over with its headers: a client that sends these and no more would hold the thread, and a few
such calls would take the service away from all other clients.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog

from app.core.call import CURRENT_CALL, Call
from app.core.method import Arity, Method
from app.core.null_future import NULL_FUTURE
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
    """The calls of a server that wait for their first message. `before` wraps the pool of each method.

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
        self.share_of = share_of
        self._never_answering_first = never_answering_first
        waiting_streams = WaitingCalls[_Submitted](streams, self.refuse)
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
    ) -> ThreadPoolExecutor:
        """The pool as grpc is given it. `refuse` is the handler of a call that has a `failure`."""
        kind = self._one_message
        if method.arity is Arity.BIDI_STREAM and method.service not in self._never_answering_first:
            kind = self._answering_stream
        elif method.arity in {Arity.CLIENT_STREAM, Arity.BIDI_STREAM}:
            kind = self._stream
        return _MessageFirst(self, pool, kind, admit, _Refusal(refuse, self._refusals_of(method)))

    def refuse(self, call: Call, what: "_Submitted", error: Exception) -> None:
        """Ends the call with the error, on the pool for refusals."""
        call.failure = error
        call.first_message = None
        arguments = (*what.arguments[:_HANDLER], what.refusal.handler, *what.arguments[_HANDLER + 1 :])
        _submit(what.refusal.pool, what.run, arguments)

    def _end_old(self) -> None:
        while self._one_message.waiting.end_some() | self._stream.waiting.end_some():
            time.sleep(_PAUSE)


@dataclass(slots=True)
class _Submitted:
    """What grpc has submitted, and what refuses it."""

    run: Callable[..., Any]
    arguments: tuple[Any, ...]
    refusal: "_Refusal"


@dataclass(frozen=True)
class _Refusal:
    handler: Callable[..., Any]
    pool: ThreadPoolExecutor


@dataclass(frozen=True)
class _Kind:
    """What calls of a kind have in common.

    `without_worker` says whether a call whose client's side is closed without a message needs no worker.
    """

    waiting: WaitingCalls[_Submitted]
    early: EarlyStreams | None
    without_worker: bool


class _MessageFirst(ThreadPoolExecutor):
    """Passes what grpc submits on to a pool, once the first message is there. Has no threads."""

    def __init__(
        self,
        first: FirstMessages,
        pool: ThreadPoolExecutor,
        kind: _Kind,
        admit: Sequence[Hook],
        refusal: _Refusal,
    ) -> None:
        super().__init__(1)
        self._first = first
        self._pool = pool
        self._waiting, self._early = kind.waiting, kind.early
        self._without = refusal.pool if kind.without_worker else None
        self._admit = admit
        self._refusal = refusal

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """On the polling thread, right after acceptance. `fn` is `run` of the contextvars of the call."""
        del kwargs
        run: Any = fn
        call: Call = run.__self__[CURRENT_CALL]
        waiting, what = self._waiting, _Submitted(fn, args, self._refusal)
        call.origin = peer_of(args)
        call.share = self._first.share_of(call)

        def received(message: bytes | None) -> None:
            if not waiting.take(call):
                return
            if message is None and self._without is not None:
                _submit(self._without, fn, args)
                return
            call.first_message = message
            self._hand_over(call, what)

        if self._early is not None and self._early.enter(call):
            self._hand_over(call, what)
            return NULL_FUTURE
        waiting.add(call, what)
        if not read_ahead(args, received) and waiting.take(call):
            self._hand_over(call, what)
        return NULL_FUTURE

    def _hand_over(self, call: Call, what: _Submitted) -> None:
        for admit in self._admit:
            try:
                admit(call)
            except Exception as error:
                self._first.refuse(call, what, error)
                return
        _submit(self._pool, what.run, what.arguments)


def _submit(pool: ThreadPoolExecutor, run: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        pool.submit(run, *arguments)
    except RuntimeError:  # the pool is closed: the server has stopped, and has cancelled the call
        structlog.get_logger().debug("call_after_the_end")

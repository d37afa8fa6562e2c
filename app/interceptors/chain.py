"""The chain: a list of concerns, joined into one wrapper for each method that a server serves.

Theory of operation
-------------------
A call's life, from top to bottom. On the way in, hooks run from the outermost concern to the innermost; on
the way out, from the innermost to the outermost. The list itself, with the reason of each place, is
`concerns()` in app/wiring.py.

    stage        thread            hook           who may refuse            what ends the call
    -----------  ----------------  -------------  ------------------------  -------------------------------
    accepted     grpc's polling    accept         UnknownMethod,            a refusal, which a thread of
                 thread (one)                     MetadataSize              the pool `refusals` answers
    waiting      none              -              FirstMessages             a refusal, as above, where the
                                                  (no concern; see          first message does not come in
                                                  first_message.py)         time or too many calls wait
    admitted     grpc's polling    admit          Limit, HeldMessages       a refusal, as above
                 thread
    queued       none              -              -                         nothing: a call whose client
                                                                            left is started, and ends then
    started      a worker of the   start          Auth, Deadline            a refusal
                 method's pool
    message in   the same          receive_bytes  HeldMessages,             a refusal, bytes that cannot be
                                                  MessageSize               decoded, a stream that was cut
                                   receive        Validation                a refusal
    handler      the same          -              -                         it returns or raises, its client
                                                                            leaves, a deadline passes, its
                                                                            stream is idle (IdleStreams)
    message out  the same          send_bytes     MessageSize               a refusal
                                   send           -
    failed       the same          fail           -
    over         the same          end_with_error -                         (with another status than OK)
                                   end            -
    closed       polling thread    close          -                         the reply has been sent, or its
                                                                            client has left or does not
                                                                            read (UnreadReplies)

- A message's stages repeat for each message of a stream; reading and sending alternate as the handler does.
- A call that `accept` refused goes on with `failed` and `over`, on the pool `refusals`: `fail` of every
  concern, and `end` of those outside the one that refused. The others have not seen it. After `accept`,
  `end` and `close` run for every concern, wherever the call ends.
- A call is over when its handler has returned. grpc may keep its reply for longer, if the client does not
  read it; `close` follows once it does not. The limits and the number of calls in flight count until then.
- A bidirectional stream may be admitted and started before its first message: its handler may answer first.
- The server's own deadline is `call.expires_at`, which the concern Deadline sets at `start`. From there on
  `Call.check_deadline` raises at each read of a stream, at each send, in `call.wait` and at the stream's end.
- A call that its client or its deadline has ended is noticed at the next read, send or wait. Its status is
  CANCELLED or DEADLINE_EXCEEDED then, whatever its handler does, and nothing is sent.
- Handlers that are non-blocking (`experimental_non_blocking`) send, fail and end on any thread.
- Where several clients overload the process, Pace delays their calls and refusals between `queued` and
  `started` (app/runtime/pace.py).
- grpc's one executor passes what it is given on to `call.hand_over` (app/runtime/dispatcher.py).
- Third-party interceptors are asked for the handler first of all, on the polling thread; their exception is
  used only if every `accept` has passed. What they wrap runs in the handler's place.

Known limitation: a running handler is never interrupted, for Python cannot stop a thread.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NoReturn, cast

import grpc

from app.core.call import CURRENT_CALL, Call
from app.core.errors import Unimplemented
from app.core.method import UNKNOWN, Arity, Method
from app.core.work import HandOver, hand_over_to
from app.interceptors.arities import Handler, behavior_of, refusal, wrap
from app.interceptors.concern import Concern
from app.interceptors.first_message import FirstMessages
from app.interceptors.hooks import Hook, Hooks


@dataclass(frozen=True)
class _Entry:
    """A method as it is served: its handler, the wrapper around that, and a refusal for each `accept`.

    `refuse` is for a call that every `accept` has let through.
    """

    method: Method
    hooks: Hooks
    handler: Handler | None
    hand_over: HandOver
    wrapper: Handler
    refuse: Handler
    accept: Sequence[tuple[Hook, Handler]]


class Chain(grpc.ServerInterceptor):
    """The server's outermost interceptor: accepts each call, then hands grpc the wrapper to run.

    Hooks are looked up when a service is registered, not when it is called. Other interceptors may follow;
    they run inside this one, with messages decoded, and what they refuse is seen like any other error.
    A method that was not registered through the chain is not served.
    """

    def __init__(
        self,
        concerns: Sequence[Concern],
        *,
        refusals: ThreadPoolExecutor,
        pool_of: Callable[[Method], ThreadPoolExecutor],
        first_messages: FirstMessages,
        followed: bool = True,
    ) -> None:
        """`refusals` answers what acceptance refuses; `pool_of` names a method's pool.

        `followed` says whether the server has further interceptors. Without any, grpc's own look-up of the
        handler is skipped: the chain knows it.
        """
        self._concerns = concerns
        self._refuse = hand_over_to(refusals)
        self._pool_of = pool_of
        self._first_messages = first_messages
        self._followed = followed
        self._entries: dict[str, _Entry] = {}
        self._unknown = self._entry(UNKNOWN, None)

    def registrar(self, server: grpc.Server) -> grpc.Server:
        """The server to give to a generated add_…Servicer_to_server, so that the chain sees its methods."""
        return cast("grpc.Server", _Registrar(server, self._register))

    def _register(self, service: str, handlers: Mapping[str, Handler]) -> None:
        for name, handler in handlers.items():
            arity = Arity.of(
                request_streaming=handler.request_streaming, response_streaming=handler.response_streaming
            )
            method = Method(service, name, arity)
            self._entries[method.path] = self._entry(method, handler)

    def _entry(self, method: Method, handler: Handler | None) -> _Entry:
        hooks = Hooks.of([one for each in self._concerns if (one := each.for_method(method)) is not None])
        served = handler or _UNIMPLEMENTED
        refuse = refusal(hooks, hooks.ending)
        own_pool: ThreadPoolExecutor | None = getattr(behavior_of(served), "experimental_thread_pool", None)
        hand_over = self._first_messages.before(
            own_pool or self._pool_of(method), method, hooks.admit, behavior_of(refuse)
        )
        return _Entry(
            method,
            hooks,
            handler,
            hand_over,
            wrapper=wrap(served, hooks),
            refuse=refuse,
            accept=[(accept, refusal(hooks, ending)) for accept, ending in hooks.accept],
        )

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        entry = self._entries.get(handler_call_details.method, self._unknown)
        failure: Exception | None = None
        if self._followed:
            try:
                handler = continuation(handler_call_details)
                if handler is not entry.handler:
                    entry = self._rewrapped(entry, handler)
            except Exception as error:
                failure = error
        call = Call(entry.method, handler_call_details.invocation_metadata)
        CURRENT_CALL.set(call)
        for accept, refuse in entry.accept:
            try:
                accept(call)
            except Exception as error:
                call.failure = error
                call.hand_over = self._refuse
                return refuse
        if failure is not None:
            call.failure = failure
            call.hand_over = self._refuse
            return entry.refuse
        call.hand_over = entry.hand_over
        return entry.wrapper

    def _rewrapped(self, entry: _Entry, handler: Handler | None) -> _Entry:
        """The entry with the handler that the interceptors inside this one have made of it, for this call."""
        if handler is None:
            return self._unknown
        if entry is self._unknown:
            return entry
        wrapper = wrap(handler, entry.hooks)
        return replace(entry, handler=handler, wrapper=wrapper)


def _unimplemented(_request: bytes, _context: grpc.ServicerContext) -> NoReturn:
    raise Unimplemented("unknown service or method")


# Of a method that is not served, in a chain whose concerns let it through.
_UNIMPLEMENTED: Handler = grpc.unary_unary_rpc_method_handler(_unimplemented)


class _Registrar:
    """What generated registration code asks of a server, seen by the chain on its way to grpc."""

    def __init__(self, server: grpc.Server, register: Callable[[str, Mapping[str, Handler]], None]) -> None:
        self._server = server
        self._register = register

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        self._register(service, handlers)
        self._server.add_registered_method_handlers(service, handlers)

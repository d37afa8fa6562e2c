"""A list of concerns, joined into one wrapper for each method that a server serves."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import grpc

from app.core.call import CURRENT_CALL, Call
from app.core.errors import TooLarge, Unimplemented
from app.core.metadata import size_of
from app.core.method import UNKNOWN, Arity, Method
from app.core.refusal import Refusal
from app.interceptors.arities import Handler, refusal, wrap
from app.interceptors.concern import Concern
from app.interceptors.hooks import Hooks


@dataclass(frozen=True)
class _Entry:
    """A method as it is served: its handler, the wrapper around that, and a refusal for each `accept`.

    `refuse` is the refusal of a call that every `accept` has let through. UNKNOWN has no handler.
    """

    method: Method
    hooks: Hooks
    handler: Handler | None
    wrapper: Handler
    refuse: Handler
    accept: Sequence[tuple[Callable[[Call], None], Handler]]


class Chain(grpc.ServerInterceptor):
    """The server's outermost interceptor: accepts each call, then hands grpc the wrapper to run.

    Hooks are looked up when a service is registered, not when it is called. Other interceptors may follow;
    they run inside this one, with messages decoded, and what they refuse is seen like any other error.
    A method that was not registered through the chain is not served.
    """

    def __init__(  # noqa: PLR0913 - all but the first are keywords
        self,
        concerns: Sequence[Concern],
        *,
        refusals: ThreadPoolExecutor,
        pool_of: Callable[[Method], ThreadPoolExecutor | None],
        max_message_bytes: int,
        max_metadata_bytes: int,
        followed: bool = True,
    ) -> None:
        """`refusals` answers what acceptance refuses; `pool_of` names a method's own pool, if it has one.

        `followed` says whether the server has further interceptors; without any, it is not asked for each
        call's handler, which is known.

        What is over the two sizes ends its call with RESOURCE_EXHAUSTED, if grpc's own bounds let it in.
        """
        self._concerns = concerns
        self._refusals = refusals
        self._pool_of = pool_of
        self._max_message_bytes = max_message_bytes
        self._max_metadata_bytes = max_metadata_bytes
        self._followed = followed
        self._entries: dict[str, _Entry] = {}
        self._unknown = self._entry(UNKNOWN, None)

    def registering(self, server: grpc.Server) -> Any:
        """The server to give to a generated add_…Servicer_to_server, so that the chain sees its methods."""
        return Registrar(server, self._register)

    def _register(self, service: str, handlers: Mapping[str, Handler]) -> None:
        for name, handler in handlers.items():
            arity = Arity.of(
                request_streaming=handler.request_streaming, response_streaming=handler.response_streaming
            )
            method = Method(service, name, arity)
            self._entries[method.path] = self._entry(method, handler)

    def _entry(self, method: Method, handler: Handler | None) -> _Entry:
        hooks = Hooks.of([one for each in self._concerns if (one := each.for_method(method)) is not None])
        refuse = refusal(hooks, hooks.end, self._refusals)
        wrapper = None if handler is None else self._wrap(handler, hooks, method)
        accept = [(accept, refusal(hooks, end, self._refusals)) for accept, end in hooks.accept]
        return _Entry(method, hooks, handler, wrapper, refuse, accept)

    def _wrap(self, handler: Handler, hooks: Hooks, method: Method) -> Handler:
        return wrap(handler, hooks, self._pool_of(method), self._max_message_bytes)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: Any,
    ) -> Handler:
        entry = self._entries.get(handler_call_details.method, self._unknown)
        failure: Exception | None = None
        if self._followed:
            try:
                handler = continuation(handler_call_details)
                if handler is not entry.handler:
                    entry = self._as_wrapped(entry, handler)
            except Exception as error:  # noqa: BLE001 - one of those that follow; the refusal tells the client
                failure = error
        call = Call(entry.method, handler_call_details.invocation_metadata)
        CURRENT_CALL.set(call)
        for accept, refused in entry.accept:
            try:
                accept(call)
            except Exception as error:  # noqa: BLE001 - as above
                call.failure = error
                return refused
        if failure is None and entry is self._unknown:
            call.refused = Refusal.UNKNOWN_METHOD
            failure = Unimplemented("there is no such method here")
        if failure is None and (size := size_of(call.metadata)) > self._max_metadata_bytes:
            call.refused = Refusal.METADATA_SIZE
            failure = TooLarge(
                f"the metadata has {size} bytes; the server takes at most {self._max_metadata_bytes}"
            )
        call.failure = failure
        return entry.wrapper if failure is None else entry.refuse

    def _as_wrapped(self, entry: _Entry, handler: Handler | None) -> _Entry:
        """The entry with the handler that the interceptors inside this one have made of it, for this call."""
        if handler is None:
            return self._unknown
        if entry is self._unknown:
            return entry
        wrapper = self._wrap(handler, entry.hooks, entry.method)
        return replace(entry, handler=handler, wrapper=wrapper)


class Registrar:
    """What generated registration code asks of a server, seen by the chain on its way to grpc."""

    def __init__(self, server: grpc.Server, register: Callable[[str, Mapping[str, Handler]], None]) -> None:
        self._server: Any = server
        self._register = register

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        self._register(service, handlers)
        self._server.add_registered_method_handlers(service, handlers)

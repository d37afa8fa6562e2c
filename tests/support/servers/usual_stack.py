"""The usual stack: the interceptors that a threaded server in Python usually has.

Tracing and metrics are packages in wide use. The access log wraps the handler, and a call without a good
token is given a handler that aborts, as in grpc's own examples.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import jwt
from opentelemetry import trace
from opentelemetry.instrumentation.grpc import server_interceptor
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry
from py_grpc_prometheus.prometheus_server_interceptor import PromServerInterceptor

Handler = Any  # grpc.RpcMethodHandler, whose attributes grpc does not type
Continuation = Callable[[grpc.HandlerCallDetails], Handler]

_ALGORITHM, _ISSUER, _AUDIENCE = "HS256", "stock", "api"


def interceptors(
    *, spans: TracerProvider, registry: CollectorRegistry, logger: Any, key: str, names: Collection[str]
) -> list[grpc.ServerInterceptor]:
    """From the outermost to the innermost.

    Callers need a token of one of the names, signed with `key`.
    """
    return [
        server_interceptor(spans),  # type: ignore[no-untyped-call]
        PromServerInterceptor(enable_handling_time_histogram=True, registry=registry),
        AccessLog(logger),
        Tokens(key, names),
    ]


class AccessLog(grpc.ServerInterceptor):
    """A line for each call, by a structlog logger."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def intercept_service(self, continuation: Continuation, handler_call_details: Any) -> Handler:
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        path = handler_call_details.method
        behaviour = (
            handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        )

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            with self._logged(path, context):
                return behaviour(request, context)

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._logged(path, context):
                yield from behaviour(request, context)

        make: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[handler.request_streaming, handler.response_streaming]
        return make(
            stream if handler.response_streaming else unary,
            handler.request_deserializer,
            handler.response_serializer,
        )

    @contextmanager
    def _logged(self, path: str, context: Any) -> Iterator[None]:
        began = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            yield
        except Exception:
            code = grpc.StatusCode.UNKNOWN
            raise
        finally:
            _, service, method = path.split("/")
            self._logger.info(
                "call",
                service=service,
                method=method,
                code=(context.code() or code).name,
                duration_ms=round((time.perf_counter() - began) * 1000, 3),
                peer=context.peer(),
                trace_id=trace.format_trace_id(trace.get_current_span().get_span_context().trace_id),
            )


class Tokens(grpc.ServerInterceptor):
    """JSON Web Tokens, verified on each call."""

    def __init__(self, key: str, names: Collection[str]) -> None:
        self._key = key
        self._names = names

    def intercept_service(self, continuation: Continuation, handler_call_details: Any) -> Handler:
        given = dict(handler_call_details.invocation_metadata).get("authorization", "")
        try:
            claims = jwt.decode(
                given.removeprefix("Bearer "),
                self._key,
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                audience=_AUDIENCE,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.InvalidTokenError:
            return _refusal(grpc.StatusCode.UNAUTHENTICATED, "the token is not valid")
        if claims["sub"] not in self._names:
            return _refusal(grpc.StatusCode.PERMISSION_DENIED, "the caller may not call")
        return continuation(handler_call_details)


def _refusal(code: grpc.StatusCode, message: str) -> Handler:
    return grpc.unary_unary_rpc_method_handler(lambda _request, context: context.abort(code, message))


def token(key: str, name: str) -> str:
    """A token of that name, which is good for an hour."""
    claims = {"sub": name, "iss": _ISSUER, "aud": _AUDIENCE, "exp": int(time.time()) + 3600}
    return jwt.encode(claims, key, algorithm=_ALGORITHM)

"""Spans of calls on a `grpc.aio` channel, by opentelemetry-instrumentation-grpc.

The threaded channel has its own (tracing.py), for the reasons that stand there. For `grpc.aio` the package is
used as it is, with a tracer that keeps texts of errors off the spans, and ends those of cancelled calls.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.instrumentation.grpc import aio_client_interceptors
from opentelemetry.trace import Span, SpanContext, Status, StatusCode, Tracer, TracerProvider, use_span


def tracing_interceptors(provider: TracerProvider) -> list[grpc.aio.ClientInterceptor]:
    """One for each arity, outermost first."""
    found: list[grpc.aio.ClientInterceptor] = aio_client_interceptors(  # type: ignore[no-untyped-call]
        tracer_provider=_TextlessProvider(provider)
    )
    return found


class _TextlessProvider(TracerProvider):
    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    def get_tracer(self, *names: Any, **more: Any) -> Tracer:
        return _TextlessTracer(self._provider.get_tracer(*names, **more))


class _TextlessTracer(Tracer):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start_span(self, *arguments: Any, **options: Any) -> Span:
        return _TextlessSpan(self._tracer.start_span(*arguments, **options))

    @contextmanager
    def start_as_current_span(  # type: ignore[override]  # of two kinds of context managers, the usual one
        self,
        *arguments: Any,
        end_on_exit: bool = True,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        **options: Any,
    ) -> Iterator[Span]:
        del record_exception, set_status_on_exception
        span = self.start_span(*arguments, **options)
        try:
            with use_span(span, end_on_exit, record_exception=False, set_status_on_exception=False):
                yield span
        except Exception:
            span.end()  # a second end has no effect
            raise
        except BaseException:  # asyncio's cancel, which the package lets pass
            span.set_attribute("rpc.grpc.status_code", grpc.StatusCode.CANCELLED.value[0])
            span.set_status(Status(StatusCode.ERROR))
            span.end()
            raise


class _TextlessSpan(Span):
    """Passes everything on but descriptions of errors: they may hold what must not leave the process."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        del description
        self._span.set_status(status.status_code if isinstance(status, Status) else status)

    def record_exception(self, exception: BaseException, *details: Any, **more: Any) -> None:
        """Records nothing."""

    def end(self, end_time: int | None = None) -> None:
        self._span.end(end_time)

    def get_span_context(self) -> SpanContext:
        return self._span.get_span_context()

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        self._span.set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        self._span.set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self._span.add_event(name, attributes, timestamp)

    def update_name(self, name: str) -> None:
        self._span.update_name(name)

    def is_recording(self) -> bool:
        return self._span.is_recording()

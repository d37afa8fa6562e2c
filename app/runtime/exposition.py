"""Metrics as text, rendered once for all scrapes that wait at the same time."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app

from app.runtime.http_port import Answer

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

# The share of a processor that rendering may take, after a burst of seconds: calls need the rest.
_SHARE = 0.1
_BURST = 0.5
# Seconds that a rendering waits for that at most, so that many metrics can be scraped, too.
_LONGEST_WAIT = 1.0
# Scrapes that continue in one round of the event loop, so that a probe waits for few of them.
_TURNS = 4


class Form(NamedTuple):
    """What a scrape asks for, by its headers and its query."""

    accept: str
    accept_encoding: str
    query: str


class Exposition:
    """Renders the metrics of a registry, one rendering at a time, on a thread. Used on the event loop.

    A scrape sees what was counted before it. Those that ask for the same while a rendering runs share the
    next one. A rendering waits up to a second when those before took more than a tenth of a processor.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._application: WSGIApplication = make_wsgi_app(registry)
        self._one = asyncio.Lock()
        self._turns = asyncio.Semaphore(_TURNS)
        self._next: dict[Form, asyncio.Task[Answer]] = {}
        self._left = _BURST
        self._counted = time.monotonic()

    async def rendered(self, form: Form) -> Answer:
        task = self._next.get(form)
        if task is None:
            task = self._next[form] = asyncio.create_task(self._render(form))
        answer = await asyncio.shield(task)  # it goes on for the others when one hangs up
        async with self._turns:
            await asyncio.sleep(0)
        return answer

    async def _render(self, form: Form) -> Answer:
        async with self._one:
            self._earn()
            if self._left < 0:
                await asyncio.sleep(-self._left / _SHARE)
                self._earn()
            del self._next[form]  # what is counted from here on is not seen
            answer, seconds = await _on_a_thread(lambda: self._rendered(form))
            self._left = max(self._left - seconds, -_LONGEST_WAIT * _SHARE)
            return answer

    def _earn(self) -> None:
        now = time.monotonic()
        self._left = min(_BURST, self._left + (now - self._counted) * _SHARE)
        self._counted = now

    def _rendered(self, form: Form) -> tuple[Answer, float]:
        """The metrics, and the time of a processor that they took."""
        began = time.thread_time()
        heads: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _error: object = None, /
        ) -> Callable[[bytes], object]:
            heads.append((status, headers))
            return lambda _: None

        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/metrics",
            "QUERY_STRING": form.query,
            "HTTP_ACCEPT": form.accept,
            "HTTP_ACCEPT_ENCODING": form.accept_encoding,
        }
        try:
            body = b"".join(self._application(environ, start_response))
        except Exception:  # noqa: BLE001 - whatever a collector raises
            structlog.get_logger().exception("metrics_not_rendered")
            answer = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"a metric cannot be read; see the log\n")
        else:
            [(_, headers)] = heads
            answer = Answer(HTTPStatus.OK, body, tuple(headers))
        return answer, time.thread_time() - began


async def _on_a_thread(function: "Callable[[], tuple[Answer, float]]") -> tuple[Answer, float]:
    """Runs it on a thread that does not keep the process from exiting, unlike those of an executor."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[tuple[Answer, float]] = loop.create_future()

    def run() -> None:
        result = function()
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(done, result)

    def done(result: tuple[Answer, float]) -> None:
        if not future.done():
            future.set_result(result)

    Thread(target=run, name="render metrics", daemon=True).start()
    return await future

"""A call as its client has it."""

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import grpc

from tests.gen.probe_pb2 import ProbeRequest
from tests.support.servers.probe import CLIENT_STREAMS, SERVER_STREAMS
from tests.support.servers.script import KEY, Script

Metadata = Sequence[tuple[str, str | bytes]]

# How long anything may take that a test waits for, in seconds.
PATIENCE = 5.0


class Exchange:
    """A call that its client has begun. Replies are read as they come.

    A client of a stream sends two messages, and closes its side.
    """

    def __init__(  # noqa: PLR0913 - as in ObservedServer.calls
        self,
        channel: Any,
        method: str,
        script: Script,
        *,
        path: str = "",
        messages: Sequence[str | bytes] = (),
        keep_open: bool = False,
        half: bool = False,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> None:
        """`messages` are texts of requests, or bytes as they are; `path` is of another method.

        `keep_open` sends one message, and keeps the client's side of the stream open after it. `half` sends
        none, whatever the arity, and keeps it open.
        """
        self.method = method
        self.script = script
        self.trace = secrets.token_hex(16)
        self.received = 0  # messages that the client has got
        self._ended = threading.Event()
        streamed = half or method in CLIENT_STREAMS
        self.messages = [
            one if isinstance(one, bytes) else _message(one)
            for one in messages or ["a"] * (0 if half else 2 if streamed and not keep_open else 1)
        ]
        arity = ("stream_" if streamed else "unary_") + ("stream" if method in SERVER_STREAMS else "unary")
        call = getattr(channel, arity)(path or f"/probe.Probe/{method}")
        parent = f"00-{self.trace}-{secrets.token_hex(8)}-01"
        self._call = (call if method in SERVER_STREAMS else call.future)(
            self._sent(keep_open or half) if streamed else self.messages[0],
            timeout=timeout,
            metadata=((KEY, script.key), ("traceparent", parent), *metadata),
        )
        self._call.add_done_callback(lambda _: self._ended.set())
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _sent(self, keep_open: bool) -> Iterator[bytes]:
        yield from self.messages
        if keep_open:
            self._ended.wait(2 * PATIENCE)

    def _read(self) -> None:
        with suppress(grpc.RpcError, grpc.FutureCancelledError):
            if self.method in SERVER_STREAMS:
                for _ in self._call:
                    self.received += 1
            else:
                self._call.result()
                self.received += 1

    def cancel(self) -> None:
        self._call.cancel()

    def code(self) -> grpc.StatusCode | None:
        """Waits for the call's end, and returns the status code that its client sees; None: it has no end."""
        if not self._ended.wait(PATIENCE):
            return None
        self._reader.join(PATIENCE)
        found: grpc.StatusCode = self._call.code()
        return found


def _message(text: str) -> bytes:
    return ProbeRequest(text=text).SerializeToString()

"""The large messages that calls hold at once."""

from threading import Lock

from app.core.call import Call
from app.core.errors import ResourceExhausted
from app.core.refusal import Refusal
from app.interceptors.concern import Concern

# A message of at most so many bytes is not counted: the limits on calls bound those. It is what a client may
# send before grpc has asked for it.
SMALL = 64 * 1024

# Milliseconds until a client's retry policy tries again (gRPC proposal A6).
_PUSHBACK = "100"


class HeldMessages(Concern):
    """Refuses a request message with RESOURCE_EXHAUSTED if all that are held would exceed `most` bytes.

    A call holds its message from its arrival, and a stream its last one, until it is over. Handlers have the
    decoded message besides.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._held = 0

    def admit(self, call: Call) -> None:
        data = call.first_message
        if data is not None and len(data) > SMALL:
            self._hold(call, len(data))

    def receive_bytes(self, call: Call, data: bytes) -> None:
        if len(data) > SMALL or call.held_bytes:
            self._hold(call, len(data))

    def end(self, call: Call) -> None:
        if call.held_bytes:
            with self._lock:
                self._held -= call.held_bytes

    def _hold(self, call: Call, size: int) -> None:
        size = size if size > SMALL else 0
        if size == call.held_bytes:
            return
        with self._lock:
            held = self._held - call.held_bytes + size
            if size and held > self._most:
                call.refusal = Refusal.LIMIT
            else:
                self._held, call.held_bytes = held, size
                return
        raise ResourceExhausted(
            f"too many large requests at once (limit {self._most} bytes in all); retry later",
            metadata=(("grpc-retry-pushback-ms", _PUSHBACK),),
        )

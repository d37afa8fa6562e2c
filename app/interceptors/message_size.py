"""The maximum size of a message, both ways."""

from app.core.call import Call
from app.core.errors import TooLarge
from app.core.refusal import Refusal
from app.interceptors.concern import Concern


class MessageSize(Concern):
    """Ends a call with RESOURCE_EXHAUSTED when one of its messages is larger.

    A request is not decoded then, and a reply not sent. grpc's own limit for requests is higher
    (app/runtime/transport.py), and only cancels the call.
    """

    def __init__(self, maximum: int) -> None:
        """`maximum` in bytes, uncompressed."""
        self._maximum = maximum

    def receive_bytes(self, call: Call, data: bytes) -> None:
        if len(data) > self._maximum:
            call.refusal = Refusal.MESSAGE_SIZE
            raise TooLarge(f"request message too large: {len(data)} bytes (limit {self._maximum})")

    def send_bytes(self, call: Call, data: bytes) -> None:
        if len(data) > self._maximum:
            raise TooLarge(f"response message too large: {len(data)} bytes (limit {self._maximum})")

"""A concern: a small object with hooks into each call."""

from google.protobuf.message import Message

from app.core.call import Call
from app.core.method import Method


class Concern:
    """Override the hooks that you need; a hook that is not overridden costs nothing per call.

    For one call the hooks run in the order in which they stand here, `receive_bytes` to `send` once for each
    message; the table at the head of chain.py has their threads. `accept`, `admit`, `start`, `receive_bytes`
    and `receive` run from the outermost concern to the innermost, the others the other way round.
    `end_with_error`, `end` and then `close` run once for every concern whose `accept` has returned.

    An observer records the call. A gate refuses it: it sets `call.refusal`, and raises a StatusError from any
    hook up to `send`. A concern that is a context manager is open while the server serves.
    """

    def for_method(self, method: Method) -> "Concern | None":
        """The concern as it applies to this method: itself, one made for it, or None where it does not apply.

        Called once per method, when its service is registered, and for UNKNOWN.
        """
        return self

    def accept(self, call: Call) -> None:
        """The call has arrived. On grpc's polling thread, which all calls share: must not block.

        `call.method`, `call.metadata` and `call.accepted_at` are known, its peer and deadline not yet.
        """

    def admit(self, call: Call) -> None:
        """The first message has arrived, or the client has closed its side. On the polling thread, as above.

        Does not run for a call that ends before.
        """

    def start(self, call: Call) -> None:
        """A worker has begun to serve the call; no message has been decoded yet."""

    def receive_bytes(self, call: Call, data: bytes) -> None:
        """A request message has been read, and not decoded yet."""

    def receive(self, call: Call, message: Message) -> None:
        """A request message has been decoded; the handler has not seen it yet."""

    def send_bytes(self, call: Call, data: bytes) -> None:
        """A response message has been encoded; `send` follows, unless this refuses it."""

    def send(self, call: Call, message: Message) -> None:
        """A response message is about to be sent."""

    def fail(self, call: Call, error: BaseException) -> None:
        """The chain or the handler raised. May set `call.status`, `call.message` and trailing metadata."""

    def end_with_error(self, call: Call) -> None:
        """The call is over with another status than OK; `end` follows. Must not raise, as `end`."""

    def end(self, call: Call) -> None:
        """The call is over and `call.status` is final. Must not raise: an error is only logged."""

    def close(self, call: Call) -> None:
        """The reply has been sent, or cannot be sent any more. Usually on the polling thread, as `accept`."""

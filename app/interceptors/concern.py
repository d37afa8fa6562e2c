"""What a concern is: a small object with hooks into each call."""

from google.protobuf.message import Message

from app.core.call import Call
from app.core.method import Method


class Concern:
    """Override the hooks that you need; one that is not overridden costs nothing per call.

    For one call, the hooks run in this order: `accept` and `start`, and `receive` for each message, from the
    outermost concern to the innermost; `send` for each message, `fail` if there is an error, and `end` once,
    from the innermost to the outermost. `end` runs for every concern whose `accept` has run.

    An observer writes down. A gate refuses the call: it raises a StatusError from `accept`, `start`,
    `receive` or `send`. A concern that is a context manager is open while the server serves.
    """

    def for_method(self, method: Method) -> "Concern | None":
        """The concern as it applies to this method: itself, one made for it, or None where it does not apply.

        Called once per method, when its service is registered, and for UNKNOWN.
        """
        del method
        return self

    def accept(self, call: Call) -> None:
        """The call has arrived. On grpc's polling thread, which all calls share: must not block.

        `call.method`, `call.metadata` and `call.accepted_at` are known, its peer and deadline not yet.
        """

    def start(self, call: Call) -> None:
        """A worker has taken the call up; nothing has been read yet."""

    def receive(self, call: Call, message: Message) -> None:
        """A request message has been read; the handler has not seen it yet."""

    def send(self, call: Call, message: Message) -> None:
        """The handler has made a response message; it has not been sent yet."""

    def fail(self, call: Call, error: BaseException) -> None:
        """The chain or the handler raised. May set `call.status`, `call.message` and trailing metadata."""

    def end(self, call: Call) -> None:
        """The call is over and `call.status` is final. Must not raise; an error is logged and passed over."""

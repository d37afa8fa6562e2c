"""One call, from its acceptance to its end."""

import time
from contextvars import ContextVar
from threading import Event
from typing import TYPE_CHECKING, Any, NoReturn

import grpc

from app.core.errors import CallEnded, DeadlineExceeded, StatusError, check_code, check_message
from app.core.metadata import Metadata, check_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.trace import Span

    from app.core.method import Method

# grpc reports "no deadline" as a time far beyond this, in seconds.
_NEVER = 1e9


class _NoContext:
    """Takes the place of grpc's context until a worker has the call."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own look-ups
            raise AttributeError(name)
        raise RuntimeError(f"{name} is not available before a worker has started the call")


# What the user agents of grpc's core have: C++, Python, Ruby, PHP; and how inexact their deadlines are.
_CORE = "grpc-c/"
_INEXACT = 0.04

_NO_CONTEXT: Any = _NoContext()


def trace_id(trace: int) -> str:
    """A trace's number as 32 hex digits; "" for 0, no trace."""
    return f"{trace:032x}" if trace else ""


class Call(grpc.ServicerContext):
    """A call: its state for the chain, and the context that its handler is given.

    All methods of `grpc.ServicerContext` work as documented there. In addition, handlers have `request_id`,
    `principal` (the authenticated caller's name, or ""), `scopes` (of its token), `peer_identity` (the name
    in its certificate, or ""), `trace_id` (32 hex digits, or ""), `wait`, and a `time_remaining` that counts
    the server's own deadline. `current_call()` returns the same object to code without the context.

    Lifetime: created on grpc's polling thread when the call is accepted; `context`, grpc's own, is set when a
    worker starts the call. Before that, only `method`, `metadata` and what concerns have set are available.
    `wait`, `is_active`, `time_remaining`, `cancel` and `add_callback` may be called from several threads.
    """

    # Defaults are class attributes: a call stores only those that it sets.
    request_id = ""
    trace = 0  # the trace's id as a number, or 0
    sampled = False  # whether the call's span is recorded
    refusal = ""  # why a gate has refused the call: a Refusal, or a reason of a concern of your own
    span: "Span | None" = None
    principal = ""
    scopes: frozenset[str] = frozenset()
    expires_at: float | None = None  # the server's own deadline, on time.monotonic's clock
    status: grpc.StatusCode | None = None  # the code that the call ends with, once known
    message = ""  # the status message that goes with it
    failure: BaseException | None = (
        None  # what acceptance or a read of the requests raised, even if the handler caught it
    )
    _ended: Event | None = None
    _trailers: Metadata = ()
    _chain_trailers: Metadata = ()
    sent = 0  # messages that have been given to grpc
    code_label = ""  # its name in CODE_LABELS, once the call is over
    duration = 0.0  # seconds from acceptance to the end, once the call is over
    context: grpc.ServicerContext = _NO_CONTEXT  # grpc's own context
    first_message: bytes | None = None  # where it was read before a worker started the call, until it is used
    started_at = 0.0  # when a worker has started the call, in seconds; 0 before
    places: Any = None  # of which the call has one, in the limit of its kind; None before it is admitted
    origin = ""  # the peer as grpc names it, before a worker has the call; "" where that is not known
    held_bytes = 0  # of its request message, where that is large and the call holds it
    share = ""  # the name of the client whose share of the server it takes
    waiting_since: float | None = None  # of a stream: since when its handler waits for its client
    began = False  # whether the handler of a stream has read a message
    hand_over: "Callable[[Call, Any], None] | None" = None  # takes the call's work; set on acceptance

    def __init__(self, method: "Method", metadata: Metadata) -> None:
        self.method = method
        self.metadata = metadata
        self.headers = dict(metadata)  # by name; of a name that was sent several times, the last
        self.accepted_at = time.monotonic()  # seconds

    @property
    def trace_id(self) -> str:
        """32 hex digits, or ""."""
        return trace_id(self.trace)

    def wait(self, seconds: float) -> None:
        """Sleeps, unless the call ends first.

        Raises CallEnded as soon as the client has left or its deadline has passed, and DeadlineExceeded
        at the server's own deadline.
        """
        if self._ended is None:
            self._ended = Event()
            if not self.context.add_callback(self._ended.set):
                self._ended.set()
        if self.expires_at is not None:
            seconds = max(0.0, min(seconds, self.expires_at - time.monotonic()))
        if self._ended.wait(seconds) or not self.is_active():
            raise CallEnded
        self.check_deadline()

    def check_deadline(self) -> None:
        """Raises DeadlineExceeded once the server's own deadline has passed."""
        if self.expires_at is not None and time.monotonic() >= self.expires_at:
            raise DeadlineExceeded("the call exceeded the server's maximum deadline")

    # grpc.RpcContext

    @property
    def over(self) -> bool:
        """Whether its handler has returned. Its reply may not have been sent yet."""
        return self.code_label != ""

    @property
    def started(self) -> bool:
        """Whether a worker has started the call."""
        return self.context is not _NO_CONTEXT

    def is_active(self) -> bool:
        return self.context.is_active()

    def time_remaining(self) -> float | None:  # type: ignore[override]  # grpc documents None, its types do not
        """Seconds until the earlier of the client's deadline and the server's own; None without either."""
        client = self.client_time_remaining()
        if self.expires_at is None:
            return client
        server = max(0.0, self.expires_at - time.monotonic())
        return server if client is None else min(client, server)

    def client_time_remaining(self) -> float | None:
        """Seconds until the client's own deadline; None if it set none."""
        remaining = self.context.time_remaining()
        return None if remaining > _NEVER else remaining

    def expired(self) -> bool:
        """Whether the client's deadline has ended the call, rather than a cancel. For a call that is over.

        On the wire a deadline is the time that is left, and it starts anew when the call arrives here. So the
        client's clock ends a call first, and the server sees a cancel. A cancel in the last twentieth of a
        second, or in the last tenth of a shorter deadline, counts as the deadline. Clients of grpc's core
        send up to a twenty-fifth more than is left, for shorter headers: three digits, rounded up, or what
        they have sent before on the connection if it is at most 3 % more. Of theirs, that much counts, too.
        """
        remaining = self.client_time_remaining()
        if remaining is None:
            return False
        granted = time.monotonic() - self.accepted_at + remaining
        inexact = granted * _INEXACT if _CORE in str(self.headers.get("user-agent", "")) else 0.0
        return remaining <= max(0.005, inexact + min(0.05, granted / 10))

    def cancel(self) -> bool:
        return self.context.cancel()

    def add_callback(self, callback: "Callable[[], None]") -> bool:
        return self.context.add_callback(callback)

    # grpc.ServicerContext

    def invocation_metadata(self) -> Metadata:
        return self.metadata

    def peer(self) -> str:
        return self.origin or self.context.peer()

    def peer_identities(self) -> "Iterable[bytes] | None":
        return self.context.peer_identities()

    def peer_identity_key(self) -> str | None:
        return self.context.peer_identity_key()

    @property
    def peer_identity(self) -> str:
        """The name in the client's verified certificate; "" without mutual TLS.

        It is the first URI, such as a SPIFFE id, or else the first other subject alternative name, or else
        the common name.
        """
        names: Any = self.auth_context().get("peer_uri") or self.peer_identities() or (b"",)
        name: bytes = names[0]
        return name.decode("utf-8", "backslashreplace")

    def auth_context(self) -> "Mapping[str, bytes]":
        return self.context.auth_context()

    def set_compression(self, compression: grpc.Compression) -> None:
        self.context.set_compression(compression)

    def disable_next_message_compression(self) -> None:
        self.context.disable_next_message_compression()

    def send_initial_metadata(self, initial_metadata: Metadata) -> None:
        self.context.send_initial_metadata(check_metadata(initial_metadata))

    def set_trailing_metadata(self, trailing_metadata: Metadata) -> None:
        self._trailers = check_metadata(trailing_metadata)

    def trailing_metadata(self) -> Metadata:
        """The handler's, and those that concerns have added."""
        return self._trailers + self._chain_trailers

    def add_trailing_metadata(self, metadata: Metadata) -> None:
        """Adds metadata that a handler cannot remove. It must be valid, as by `check_metadata`."""
        self._chain_trailers += metadata

    # Values that grpc cannot send raise here, where that is still an ordinary bug of the handler.

    def set_code(self, code: grpc.StatusCode) -> None:
        self.status = check_code(code)

    def code(self) -> grpc.StatusCode | None:
        return self.status

    def set_details(self, details: str) -> None:
        self.message = check_message(details)

    def details(self) -> bytes:
        return self.message.encode()

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        """Raises the StatusError that ends the call with this code, even if the handler catches it."""
        if code is grpc.StatusCode.OK:  # as in grpc: an abort is never a success
            code, details = grpc.StatusCode.UNKNOWN, ""
        error = StatusError(details, code=code)
        self.status, self.message = error.code, error.message
        raise error

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        self.set_trailing_metadata(status.trailing_metadata or ())
        self.abort(status.code, status.details)


CURRENT_CALL: ContextVar[Call | None] = ContextVar("current_call", default=None)


def current_call() -> Call:
    """The call being served. Raises LookupError outside of one."""
    call = CURRENT_CALL.get()
    if call is None:
        raise LookupError("no call is being served in this context")
    return call

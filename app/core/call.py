"""One call, from the moment that it is accepted."""

import time
from contextvars import ContextVar
from threading import Event
from typing import TYPE_CHECKING, Any, NoReturn

import grpc

from app.core.errors import CallEnded, DeadlineExceeded, StatusError, checked_code, checked_message
from app.core.metadata import Metadata, checked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.trace import Span

    from app.core.method import Method

# gRPC says "no deadline" as a time far beyond this, in seconds.
_NEVER = 1e9


class _NoContext:
    """Stands for grpc's context until there is one."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own questions
            raise AttributeError(name)
        raise RuntimeError(f"the call has been accepted, but no worker has taken it up yet: {name}")


_NO_CONTEXT: Any = _NoContext()


def trace_id(trace: int) -> str:
    """A trace's number as 32 hex digits; "" for 0, which is none."""
    return f"{trace:032x}" if trace else ""


class Call(grpc.ServicerContext):
    """What the chain and the handler know of a call; it is the context that handlers are given.

    Everything of `grpc.ServicerContext` works as documented there. What comes on top, for handlers:
    `request_id`, `principal` (the authenticated caller's name, or ""), `scopes` (what its token says that it
    may do), `peer_identity` (the name in its certificate, or ""), `trace_id` (32 hex digits, or ""), `wait`,
    and a `time_remaining` that knows the server's own bound too. In code that is not handed the context,
    `current_call()` is the call being served.

    Lifetime: made on grpc's polling thread when the call is accepted; `context`, grpc's own context, is set
    when its worker takes it up. Before that, only `method`, `metadata` and what concerns have set are there.
    `wait`, `is_active`, `time_remaining`, `cancel` and `add_callback` may be called from several threads.
    """

    # Defaults stand on the class: what a call does not have costs it nothing.
    request_id = ""
    trace = 0  # the trace's id as a number, or 0
    sampled = False  # whether the call's span is recorded
    refusal = ""  # why a gate has refused the call: a Refusal, or a reason of a concern of your own
    span: "Span | None" = None
    principal = ""
    scopes: frozenset[str] = frozenset()
    expires_at: float | None = None  # the server's bound, on time.monotonic's clock
    status: grpc.StatusCode | None = None  # the code the call ends with, once that is known
    message = ""  # the status message that goes with it
    failure: BaseException | None = None  # what a read of the requests raised, even if swallowed
    _over: Event | None = None
    _trailers: Metadata = ()
    _added: Metadata = ()
    sent = 0  # messages that have been given to grpc
    code_label = ""  # the same in the spelling of CODE_LABELS, once the call is over
    duration = 0.0  # seconds from acceptance to the end, once the call is over
    context: grpc.ServicerContext = _NO_CONTEXT  # grpc's own context

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
        at the server's own bound.
        """
        if self._over is None:
            self._over = Event()
            if not self.context.add_callback(self._over.set):
                self._over.set()
        if self.expires_at is not None:
            seconds = max(0.0, min(seconds, self.expires_at - time.monotonic()))
        if self._over.wait(seconds) or not self.is_active():
            raise CallEnded
        self.check_deadline()

    def check_deadline(self) -> None:
        """Raises DeadlineExceeded once the server's own bound has passed."""
        if self.expires_at is not None and time.monotonic() >= self.expires_at:
            raise DeadlineExceeded("the call exceeded the server's maximum deadline")

    # grpc.RpcContext

    def is_active(self) -> bool:
        return self.context.is_active()

    def time_remaining(self) -> float | None:  # type: ignore[override]  # grpc documents None, its types do not
        """Seconds until the client's deadline or the server's bound, whichever comes first; None without."""
        client = self.client_time_remaining()
        if self.expires_at is None:
            return client
        server = max(0.0, self.expires_at - time.monotonic())
        return server if client is None else min(client, server)

    def client_time_remaining(self) -> float | None:
        """Seconds until the client's own deadline; None where it set none."""
        remaining = self.context.time_remaining()
        return None if remaining > _NEVER else remaining

    def expired(self) -> bool:
        """Whether it is the client's deadline that has ended the call, which is over.

        On the wire a deadline is what is left, rounded up by as much as a hundredth (gRPC's PROTOCOL-HTTP2.md
        has eight digits of a unit; grpc's core sends fewer), and counts anew here, where the call comes later
        than it was begun. So the client's own clock ends a call first, and what is heard of it is a cancel.
        One that comes in the last twentieth of a second, or tenth of a shorter deadline, is taken for that.
        """
        remaining = self.client_time_remaining()
        if remaining is None:
            return False
        granted = time.monotonic() - self.accepted_at + remaining
        return remaining <= max(0.005, granted / 100 + min(0.05, granted / 10))

    def cancel(self) -> bool:
        return self.context.cancel()

    def add_callback(self, callback: "Callable[[], None]") -> bool:
        return self.context.add_callback(callback)

    # grpc.ServicerContext

    def invocation_metadata(self) -> Metadata:
        return self.metadata

    def peer(self) -> str:
        return self.context.peer()

    def peer_identities(self) -> "Iterable[bytes] | None":
        return self.context.peer_identities()

    def peer_identity_key(self) -> str | None:
        return self.context.peer_identity_key()

    @property
    def peer_identity(self) -> str:
        """The name in the client's verified certificate; "" without mutual TLS.

        That is its first URI, such as a SPIFFE id, or else its first other subject alternative name, or
        else its common name.
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
        self.context.send_initial_metadata(checked(initial_metadata))

    def set_trailing_metadata(self, trailing_metadata: Metadata) -> None:
        self._trailers = checked(trailing_metadata)

    def trailing_metadata(self) -> Metadata:
        """What the handler has set, and what concerns have added."""
        return self._trailers + self._added

    def add_trailing_metadata(self, metadata: Metadata) -> None:
        """Adds what a handler cannot take away. It must be known to be fit, such as by `checked`."""
        self._added += metadata

    # What grpc could not send is refused here, where it is still an ordinary bug of the handler.

    def set_code(self, code: grpc.StatusCode) -> None:
        self.status = checked_code(code)

    def code(self) -> grpc.StatusCode | None:
        return self.status

    def set_details(self, details: str) -> None:
        self.message = checked_message(details)

    def details(self) -> bytes:
        return self.message.encode()

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        """Raises the StatusError that ends the call with this code, also where a handler swallows it."""
        if code is grpc.StatusCode.OK:  # as grpc has it: an abort is never a success
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
        raise LookupError("there is no call being served here")
    return call

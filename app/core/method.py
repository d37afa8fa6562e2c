"""What is known of a gRPC method before any call of it."""

from dataclasses import dataclass
from enum import StrEnum


class Arity(StrEnum):
    """How many messages go each way, in the spelling of the `grpc_type` label (go-grpc-prometheus)."""

    UNARY = "unary"
    CLIENT_STREAM = "client_stream"
    SERVER_STREAM = "server_stream"
    BIDI_STREAM = "bidi_stream"

    @classmethod
    def of(cls, *, request_streaming: bool, response_streaming: bool) -> "Arity":
        if request_streaming:
            return cls.BIDI_STREAM if response_streaming else cls.CLIENT_STREAM
        return cls.SERVER_STREAM if response_streaming else cls.UNARY


@dataclass(frozen=True, slots=True)
class Method:
    """A method by the full name of its service, such as `quotes.Quoter`, and its own, such as `GetQuote`."""

    service: str
    name: str
    arity: Arity

    @property
    def path(self) -> str:
        """The method as the wire has it: `/quotes.Quoter/GetQuote`."""
        return f"/{self.service}/{self.name}"


# Every method that is not served. One name for all of them, so that what a caller makes up
# creates no metric series of its own.
UNKNOWN = Method("unknown", "unknown", Arity.UNARY)

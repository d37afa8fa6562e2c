"""A gRPC method."""

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
    """`service` is a full name, such as `acme.inventory.v1.InventoryService`; `name` such as `GetItem`."""

    service: str
    name: str
    arity: Arity

    @property
    def path(self) -> str:
        """The method as on the wire: `/acme.inventory.v1.InventoryService/GetItem`."""
        return f"/{self.service}/{self.name}"


# Every method that is not served. One name for all of them, so that callers cannot create metric series.
UNKNOWN = Method("unknown", "unknown", Arity.UNARY)

"""What a client interceptor is told of a call, and may change before it is made."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import grpc

Metadata = Sequence[tuple[str, str | bytes]]


class Details(NamedTuple):
    """grpc.ClientCallDetails is an interface without a constructor."""

    method: str
    timeout: float | None
    metadata: Metadata | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


def changed(details: Any, **changes: Any) -> Details:
    """A copy with these fields changed."""
    return Details(*(getattr(details, field) for field in Details._fields))._replace(**changes)

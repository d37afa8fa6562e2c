"""The maximum size of a request's metadata."""

from app.core.call import Call
from app.core.errors import TooLarge
from app.core.metadata import size_of
from app.core.refusal import Refusal
from app.interceptors.concern import Concern


class MetadataSize(Concern):
    """Refuses larger metadata with RESOURCE_EXHAUSTED on acceptance.

    grpc's own limit is higher (app/runtime/transport.py): it only cancels the call, and up to a second late.
    """

    def __init__(self, maximum: int) -> None:
        """`maximum` in bytes, as `size_of` counts them."""
        self._maximum = maximum

    def accept(self, call: Call) -> None:
        size = size_of(call.metadata)
        if size > self._maximum:
            call.refusal = Refusal.METADATA_SIZE
            raise TooLarge(f"request metadata too large: {size} bytes (limit {self._maximum})")

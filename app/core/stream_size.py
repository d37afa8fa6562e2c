"""A limit on what a handler keeps of a stream of requests."""

from collections.abc import Iterator
from typing import TypeVar

from google.protobuf.message import Message

from app.core.errors import TooLarge

Request = TypeVar("Request", bound=Message)


def bounded(requests: Iterator[Request], most: int) -> Iterator[Request]:
    """The requests, for a handler that keeps them until the stream is complete.

    Raises TooLarge at the request with which they are larger than `most` bytes in all, encoded. The limit on
    a message does not cover this: a stream may have any number of them.
    """
    total = 0
    for request in requests:
        total += request.ByteSize()
        if total > most:
            raise TooLarge(f"request stream too large: more than {most} bytes in all")
        yield request

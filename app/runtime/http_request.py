"""The head of an HTTP request: its first line and its headers."""

import asyncio
import io
import re
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, parse_headers

# In bytes, with the request line.
MAX_HEAD = 16 * 1024

_END = b"\r\n\r\n"
# The method, the path, and the query (RFC 9112, section 3).
_LINE = re.compile(rb"([A-Z]+) (?:https?://[^/?# ]*)?(/[!-~]*?)(?:\?([!-~]*))? HTTP/1\.[01]")


class RequestError(Exception):
    """A request that is answered with an error. Its text is for the client."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: str  # without the question mark
    headers: Message


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Reads a request without its body. `reader` must have the limit MAX_HEAD.

    Raises RequestError, and ConnectionError if the client closes the connection before.
    """
    try:
        head = await reader.readuntil(_END)
    except asyncio.IncompleteReadError:
        raise ConnectionResetError from None
    except asyncio.LimitOverrunError:
        raise _too_large() from None
    if len(head) > MAX_HEAD:
        raise _too_large()
    line, _, fields = head.partition(b"\r\n")
    found = _LINE.fullmatch(line)
    if found is None:
        raise RequestError(HTTPStatus.BAD_REQUEST, "expected a request of HTTP/1.1, such as GET /metrics")
    try:
        headers = parse_headers(io.BytesIO(fields))
    except HTTPException:  # a hundred or more
        raise _too_large() from None
    method, path, query = (part.decode("ascii") for part in (found[1], found[2], found[3] or b""))
    return Request(method, path, query, headers)


def _too_large() -> RequestError:
    return RequestError(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"expected a request of at most {MAX_HEAD // 1024} KB, with fewer than 100 headers",
    )

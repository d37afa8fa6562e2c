"""Metadata, by https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Custom-Metadata"."""

import re
from collections.abc import Iterable
from itertools import chain
from typing import Any

# The id of a call, from the first caller to the last server.
REQUEST_ID = "x-request-id"

# Asks for the id of the server that answers, and carries it in the reply.
INSTANCE = "x-instance"

Metadata = tuple[tuple[str, str | bytes], ...]

# Text of others that is safe in a log line and in a header.
SAFE_TEXT = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

_KEY = re.compile(r"[0-9a-z_.-]+")
_TEXT = re.compile(r"[\x20-\x7e]*")


def check_metadata(metadata: Iterable[tuple[Any, Any]]) -> Metadata:
    """Returns the metadata if gRPC can send it. Raises TypeError or ValueError, which name the key.

    grpc itself would find out too late: the client would get no answer, and the log no error.
    """
    found = tuple((key, value) for key, value in metadata)
    for key, value in found:
        if not isinstance(key, str) or not isinstance(value, str | bytes):
            raise TypeError(f"metadata {key!r}: keys are str, values are str or bytes")
        if not _KEY.fullmatch(key):
            raise ValueError(f"metadata {key!r}: keys have lower-case letters, digits and _ . - only")
        if not key.endswith("-bin") and not (isinstance(value, str) and _TEXT.fullmatch(value)):
            raise ValueError(f"metadata {key!r}: values are printable ASCII, unless the key ends in -bin")
        if key.endswith("-bin") and not isinstance(value, bytes):
            raise TypeError(f"metadata {key!r}: the value of a key that ends in -bin is bytes")
    return found


def size_of(metadata: Metadata) -> int:
    """Bytes as HTTP/2 counts them: keys, values, and 32 for each (RFC 9113, section 6.5.2)."""
    return 32 * len(metadata) + sum(map(len, chain.from_iterable(metadata)))

"""The bearer token of a call, in its metadata `authorization` (RFC 6750, section 2.1)."""

from app.auth.tokens import LONGEST
from app.core.call import Call
from app.core.errors import Unauthenticated

_SCHEME = b"bearer"


def bearer(call: Call) -> bytes:
    """Returns the token, not verified. Raises Unauthenticated, whose text never contains what was sent."""
    given = call.headers.get("authorization")
    if given is None:
        raise Unauthenticated("missing token: send metadata `authorization: Bearer TOKEN`")
    if (
        len(call.headers) < len(call.metadata)
        and [key for key, _ in call.metadata].count("authorization") > 1
    ):
        raise Unauthenticated("metadata `authorization` was sent more than once")
    value = given if isinstance(given, bytes) else given.encode()
    scheme, _, token = value.partition(b" ")
    token = token.lstrip(b" ")
    if scheme.lower() != _SCHEME or not token:
        raise Unauthenticated("metadata `authorization` must be `Bearer TOKEN`")
    if len(token) > LONGEST:
        raise Unauthenticated("the token is too long")
    return token

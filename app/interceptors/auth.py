"""Who calls: a bearer token in the `authorization` metadata (RFC 6750, section 2.1)."""

from collections.abc import Callable
from hashlib import sha256

from app.core.call import Call
from app.core.errors import Unauthenticated
from app.core.method import Method
from app.core.tokens import LONGEST
from app.interceptors.concern import Concern

# Given a token, the name of its owner; None where nobody owns it. Must not block.
Verify = Callable[[bytes], str | None]


class Auth(Concern):
    """Sets `call.principal`, or refuses with UNAUTHENTICATED.

    The messages say what is wrong and never repeat what was sent.
    """

    def __init__(self, verify: Verify, exempt: frozenset[str]) -> None:
        """`exempt` are full names of services that need no token; exact names, never prefixes."""
        self._verify = verify
        self._exempt = exempt

    def for_method(self, method: Method) -> Concern | None:
        return None if method.service in self._exempt else self

    def start(self, call: Call) -> None:
        principal = self._verify(_bearer(call))
        if principal is None:
            raise Unauthenticated("the token is not valid here")
        call.principal = principal


def verify_with(owners: Callable[[], dict[bytes, str]]) -> Verify:
    """Looks a token up by its SHA-256 digest, so that nothing compares the token itself.

    `owners` is asked at each call, so that a changed file counts from the next call on.
    """

    def verify(token: bytes) -> str | None:
        return owners().get(sha256(token).digest())

    return verify


def _bearer(call: Call) -> bytes:
    given = [value for key, value in call.metadata if key == "authorization"]
    if not given:
        raise Unauthenticated("a token is needed: send metadata `authorization: Bearer TOKEN`")
    if len(given) > 1:
        raise Unauthenticated("metadata `authorization` must be sent once")
    value = given[0] if isinstance(given[0], bytes) else given[0].encode()
    scheme, space, token = value.partition(b" ")
    if not space or scheme.lower() != b"bearer" or not token.strip():
        raise Unauthenticated("metadata `authorization` must be `Bearer TOKEN`")
    if len(token) > LONGEST:
        raise Unauthenticated("the token is too long")
    return token.strip()

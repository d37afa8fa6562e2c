"""The caller of a method, as its token identifies it."""

from collections.abc import Callable
from typing import NamedTuple


class Caller(NamedTuple):
    """An authenticated caller: a printable name, and the scopes of its token, if it has any."""

    name: str
    scopes: frozenset[str] = frozenset()


# Returns the caller of a token, given its bytes. Raises Unauthenticated, whose text never contains the token.
# Must not block or raise anything else, whatever the bytes. Several threads may call it.
Verify = Callable[[bytes], Caller]

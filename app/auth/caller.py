"""Who calls."""

from collections.abc import Callable
from typing import NamedTuple


class Caller(NamedTuple):
    """A caller whose token was good: a printable name, and what the token allows it, if it says so."""

    name: str
    scopes: frozenset[str] = frozenset()


# Given the bytes of a token, whose it is. Raises Unauthenticated, in words that never repeat the token.
# Must neither block nor fail otherwise, whatever the bytes; may be called from several threads.
Verify = Callable[[bytes], Caller]

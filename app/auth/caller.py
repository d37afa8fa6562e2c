"""The caller of a method, as its token identifies it."""

from typing import NamedTuple, Protocol


class Caller(NamedTuple):
    """An authenticated caller: a printable name, and the scopes of its token, if it has any."""

    name: str
    scopes: frozenset[str] = frozenset()


class Verify(Protocol):
    """Verifies tokens. Must not block, or raise anything else. Several threads may call it."""

    def __call__(self, token: bytes) -> Caller:
        """Returns the caller of a token. Raises Unauthenticated, whose text never contains the token."""

    def known(self, token: bytes) -> Caller | None:
        """Returns the caller if that costs little, such as for a token that was verified before."""

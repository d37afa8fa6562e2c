"""Whose share of the server a call takes."""

from collections.abc import Callable

from app.auth.bearer import bearer
from app.auth.caller import Caller
from app.core.call import Call
from app.core.errors import Unauthenticated
from app.core.peer import address_of

# Tokens whose callers are kept.
_MOST_NAMES = 4096

# Returns the caller of a token if that is known without delay, and None otherwise.
Known = Callable[[bytes], Caller | None]


class Shares:
    """Returns the name of the client whose share a call takes, with its first message.

    That is its caller, where `known` is given and has verified the token before; otherwise its address. So a
    token that is not valid does not make a client of its own.
    """

    def __init__(self, known: Known | None = None, exempt: frozenset[str] = frozenset()) -> None:
        """`exempt` are full names of services that need no token."""
        self._known = known
        self._exempt = exempt
        # By the hash of what the metadata has, for tokens are not kept. A name may be out of date: it only
        # says whose share it is.
        self._names: dict[int, str] = {}

    def __call__(self, call: Call) -> str:
        if self._known is not None and call.method.service not in self._exempt:
            given = hash(call.headers.get("authorization"))
            name = self._names.get(given) or self._learn(given, call, self._known)
            if name:
                return name
        return address_of(call.origin)

    def _learn(self, given: int, call: Call, known: Known) -> str:
        try:
            caller = known(bearer(call))
        except Unauthenticated:
            return ""
        if caller is None:
            return ""
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        name = self._names[given] = f"name:{caller.name}"
        return name


def one_for_all(_call: Call) -> str:
    """All clients have one share: there is no contention."""
    return ""

"""Calls of methods that the server does not serve."""

from app.core.call import Call
from app.core.errors import Unimplemented
from app.core.method import UNKNOWN, Method
from app.core.refusal import Refusal
from app.interceptors.concern import Concern


class UnknownMethod(Concern):
    """Refuses them with UNIMPLEMENTED on acceptance: they wait for no worker, and need no token."""

    def for_method(self, method: Method) -> Concern | None:
        return self if method is UNKNOWN else None

    def accept(self, call: Call) -> None:
        call.refusal = Refusal.UNKNOWN_METHOD
        raise Unimplemented("unknown service or method")

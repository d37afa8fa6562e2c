"""One log line for each call, when it is over."""

from collections.abc import Callable
from urllib.parse import unquote

import structlog

from app.core.call import Call
from app.core.code import CODE_LABELS
from app.core.method import Method
from app.interceptors.concern import Concern


class AccessLog(Concern):
    """Logs service, method, code, duration in milliseconds, peer, principal, request id and trace id.

    Names and codes are spelled as in the metrics, so that lines and series can be matched.
    """

    def __init__(self, quiet: frozenset[str] = frozenset()) -> None:
        """`quiet` are full names of services whose calls are logged at level debug, such as health checks."""
        self._quiet = quiet

    def for_method(self, method: Method) -> Concern:
        log = structlog.get_logger().bind(service=method.service, method=method.name)
        return _MethodLog(log.debug if method.service in self._quiet else log.info)


class _MethodLog(Concern):
    def __init__(self, log: Callable[..., None]) -> None:
        self._log = log

    def end(self, call: Call) -> None:
        self._log(
            "call",
            code=CODE_LABELS[call.status] if call.status else "",
            duration_ms=round(call.duration * 1000, 3),
            peer=unquote(call.peer()),
            principal=call.principal,
            request_id=call.request_id,
            trace_id=call.trace_id,
        )

"""One log line for each call, when it is over."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from app.core.call import Call, trace_id
from app.core.method import Method
from app.interceptors.concern import Concern

# Given what makes a line of values, and the values: logs that line, at some later moment.
Write = Callable[..., None]


class AccessLog(Concern):
    """Logs service, method, code, duration in milliseconds, peer, principal, request id and trace id.

    With mutual TLS it logs `peer_identity`, too: the name in the client's certificate.

    Names and codes are spelled as in the metrics, so that lines and series can be matched.
    """

    def __init__(
        self,
        write: Write,
        write_quietly: Write,
        quiet: frozenset[str] = frozenset(),
        *,
        mutual_tls: bool = False,
    ) -> None:
        """`quiet` are full names of services whose calls are of less interest, such as health checks."""
        self._write = write
        self._write_quietly = write_quietly
        self._quiet = quiet
        self._mutual_tls = mutual_tls

    def for_method(self, method: Method) -> Concern:
        write = self._write_quietly if method.service in self._quiet else self._write
        return _MethodLog(method, write, self._mutual_tls)


class _MethodLog(Concern):
    def __init__(self, method: Method, write: Write, mutual_tls: bool) -> None:
        self._service = method.service
        self._method = method.name
        self._write = write
        self._mutual_tls = mutual_tls

    def end(self, call: Call) -> None:
        self._write(
            self._line,
            call.code_label,
            call.duration,
            call.peer(),
            call.principal,
            call.request_id,
            call.trace,
            call.peer_identity if self._mutual_tls else None,
        )

    def _line(self, *values: Any) -> dict[str, Any]:
        code, duration, peer, principal, request_id, trace, peer_identity = values
        line = {
            "service": self._service,
            "method": self._method,
            "code": code,
            "duration_ms": round(duration * 1000, 3),
            "peer": unquote(peer),
            "principal": principal,
            "request_id": request_id,
            "trace_id": trace_id(trace),
        }
        return line if peer_identity is None else line | {"peer_identity": peer_identity}

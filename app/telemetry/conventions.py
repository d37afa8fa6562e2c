"""Names and attributes of the spans of gRPC calls: OpenTelemetry's semantic conventions, older and newer.

OTEL_SEMCONV_STABILITY_OPT_IN chooses, as https://opentelemetry.io/docs/specs/semconv/rpc/rpc-spans/ has it:
`rpc` for the newer ones, `rpc/dup` for both, anything else for the older ones. The older are those of
opentelemetry-instrumentation-grpc 0.66b2; the newer are those of version 1.44, a release candidate.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self
from urllib.parse import unquote

import grpc
from opentelemetry.trace import Status, StatusCode

from app.core.method import UNKNOWN, Method

OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"

Attributes = dict[str, str | int]

# The codes that make a server's span an error, because the server caused them. A client's span is an error
# for every code but OK. Older and newer conventions agree on both.
SERVER_ERRORS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
CLIENT_ERRORS = frozenset(grpc.StatusCode) - {grpc.StatusCode.OK}


class StatusOutcome(NamedTuple):
    """The attributes and status of a span at the end of its call. `status` is None if it stays unset."""

    attributes: Attributes
    status: Status | None


@dataclass(frozen=True, slots=True)
class Conventions:
    """The conventions that spans follow. With both, `rpc.method`, which they share, has the newer value.

    Call the methods that depend on the method or the code alone once, not for each call.
    """

    older: bool = True
    newer: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        named = {one.strip() for one in environment.get(OPT_IN, "").split(",")}
        both = "rpc/dup" in named
        newer = both or "rpc" in named
        return cls(older=both or not newer, newer=newer)

    def span_name(self, method: Method) -> str:
        if not self.newer:
            return method.path
        return "grpc" if method == UNKNOWN else method.path.removeprefix("/")

    def of_method(self, method: Method) -> Attributes:
        """Attributes that are known before the call, for the sampler."""
        found: Attributes = {}
        if self.older:
            found |= {"rpc.system": "grpc", "rpc.service": method.service, "rpc.method": method.name}
        if self.newer:
            name = "_OTHER" if method == UNKNOWN else method.path.removeprefix("/")
            found |= {"rpc.system.name": "grpc", "rpc.method": name}
        return found

    def of_server(self, address: str, port: int | None) -> Attributes:
        """Attributes of the server, on a client's span, by the channel's target."""
        if not self.newer:
            return {}
        found: Attributes = {"server.address": address}
        if port is not None:
            found["server.port"] = port
        return found

    def of_client(self, peer: str, user_agent: str | None) -> Attributes:
        """Attributes of the client, on a server's span. `peer` is grpc's: `ipv4:127.0.0.1:4711`."""
        found: Attributes = {}
        if user_agent is not None:
            if self.older:
                found["rpc.user_agent"] = user_agent
            if self.newer:
                found["user_agent.original"] = user_agent
        family, _, address = unquote(peer).partition(":")
        if family in {"ipv4", "ipv6"}:
            ip, _, port = address.rpartition(":")
            if self.older:
                found |= {"net.peer.ip": ip, "net.peer.port": port}
                if ip in {"127.0.0.1", "[::1]"}:
                    found["net.peer.name"] = "localhost"
            if self.newer:
                bare = ip.strip("[]")
                found |= {"client.address": bare, "network.peer.address": bare, "network.transport": "tcp"}
                if port.isdecimal():
                    found |= {"client.port": int(port), "network.peer.port": int(port)}
        elif self.newer and family.startswith("unix"):
            found["network.transport"] = "unix"
        return found

    def outcomes(self, errors: Collection[grpc.StatusCode]) -> dict[grpc.StatusCode, StatusOutcome]:
        """The outcome of a span for each code; `errors` are SERVER_ERRORS or CLIENT_ERRORS.

        It never has the status message, which may contain what must not leave the process.
        """
        return {code: self._outcome(code, is_error=code in errors) for code in grpc.StatusCode}

    def _outcome(self, code: grpc.StatusCode, *, is_error: bool) -> StatusOutcome:
        found: Attributes = {}
        if self.older:
            found["rpc.grpc.status_code"] = code.value[0]
        if self.newer:
            found["rpc.response.status_code"] = code.name
            if is_error:
                found["error.type"] = code.name
        return StatusOutcome(found, Status(StatusCode.ERROR, code.name) if is_error else None)

"""What the examination knows: the arguments of the command, and what the steps so far have found."""

import os
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from app.client.target import is_loopback
from app.client.tls import Tls
from app.core.name import NAME, variable
from app.tools.doctor.report import Remedy

_DEFAULT_TIMEOUT = 10.0
# Options that the environment may set, although the command must not have them.
_FROM_ENVIRONMENT = ("--ca", "--cert", "--key", "--server-name", "--tls", "--token-file")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """The target and the options of the command. `timeout` is in seconds, for all steps together."""

    target: str
    tls: Tls | None = None
    token_file: Path | None = None
    allow_plaintext_token: bool = False
    timeout: float = _DEFAULT_TIMEOUT

    @property
    def exposed(self) -> bool:
        """Whether a token would be sent over the network in plaintext."""
        return self.tls is None and not is_loopback(self.target)

    def command(self, **changes: Any) -> str:
        """Returns the command line that runs the doctor with these arguments changed.

        It unsets variables of the environment that would add other options.
        """
        arguments = replace(self, **changes)
        options = arguments.options()
        wanted = {*options, "--tls"} if arguments.tls else {*options}
        unset = [variable(one) for one in _FROM_ENVIRONMENT if one not in wanted]
        unset = [f"{name}=" for name in unset if os.environ.get(name)]
        return " ".join([*unset, shlex.join([NAME, "doctor", arguments.target, *options])])

    def options(self) -> list[str]:
        """Returns the options without those that would change nothing."""
        tls = self.tls or Tls()
        files = {
            "--ca": tls.ca_file,
            "--cert": tls.cert_file,
            "--key": tls.key_file,
            "--server-name": tls.server_name,
            "--token-file": self.token_file,
        }
        options = ["--tls"] if self.tls and tls.ca_file is None else []
        for option, value in files.items():
            options += [option, str(value)] if value is not None else []
        if self.token_file is not None and self.allow_plaintext_token and self.tls is None:
            options.append("--allow-plaintext-token")
        return options + (["--timeout", f"{self.timeout:g}"] if self.timeout != _DEFAULT_TIMEOUT else [])


@dataclass(frozen=True)
class Proxy:
    """The HTTP proxy that gRPC would use, without its credentials, and the variable that sets it.

    `bypass` is an assignment for a shell that adds the host to the exceptions.
    """

    variable: str
    address: str
    bypass: str


class Protocol(StrEnum):
    """What a port answers to the beginning of HTTP/2."""

    HTTP2 = "HTTP/2"
    HTTP1 = "HTTP/1"
    TLS = "TLS"
    OTHER = "something else"
    CLOSED = "nothing, and closed"
    SILENT = "nothing"


@dataclass(frozen=True)
class Answer:
    """`text` is the first line of an answer that is not HTTP/2, or the reason why TLS ended."""

    protocol: Protocol
    text: str = ""
    metrics: bool = False


@dataclass(frozen=True)
class Reply:
    """The end of the call that the step `token` makes."""

    method: str
    code: grpc.StatusCode
    details: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A step takes the facts, and returns a finding with further ones.

    `prefix`, `host` and `port` are parts of the target; `host` is "" if only gRPC can parse the target.
    `answer` is what the port answers to the beginning of HTTP/2, inside TLS if the arguments ask for TLS.
    """

    arguments: Arguments
    services: Sequence[ServiceDescriptor] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    usual_port: int = 50051
    deadline: float  # in the time of `time.monotonic()`
    prefix: str = ""
    host: str = ""
    port: int = 0
    names_port: bool = True
    proxy: Proxy | None = None
    addresses: Sequence[str] = ()
    answer: Answer | None = None
    alpn: str | None = None
    listed: Sequence[str] | None = None
    claims: Mapping[str, object] = field(default_factory=dict)
    reply: Reply | None = None

    def seconds(self) -> float:
        """Returns the time for the next operation: at most a third of the timeout.

        Raises TimeoutError if no time is left.
        """
        left = min(self.deadline - time.monotonic(), self.arguments.timeout / 3)
        if left <= 0:
            raise TimeoutError
        return left

    @property
    def only_grpc_connects(self) -> bool:
        """Whether only gRPC itself can connect: the target is of another kind, or there is a proxy."""
        return not self.host or self.proxy is not None

    @property
    def tls_name(self) -> str:
        """The name that the server's certificate must have."""
        tls = self.arguments.tls
        return (tls.server_name if tls else None) or self.host

    def target_at(self, port: int) -> str:
        """Returns the target with another port."""
        return f"{self.prefix}{bracketed(self.host)}:{port}"

    def port_forward(self) -> list[Remedy]:
        """Returns the commands that reach a server in a cluster from outside."""
        service, namespace = cluster_service(self.host) or (NAME, None)
        where = f"-n {namespace} " if namespace else ""
        port = self.port if self.names_port else self.usual_port
        ports = str(port) if port == self.usual_port else f"{port}:{self.usual_port}"
        remedies = [
            Remedy(
                "To reach a server in a cluster, use a port-forward, which ends with its pod:",
                f"kubectl {where}port-forward svc/{service} {ports}",
            )
        ]
        if not is_loopback(self.arguments.target):
            command = self.arguments.command(target=f"localhost:{port}")
            remedies.append(Remedy("and, while that runs, in another terminal:", command))
        return remedies


@dataclass(frozen=True)
class Finding:
    """The result of a step that did not fail; `data` is its text for scripts.

    `note` marks results that deserve attention. `facts` are those known after the step, if it adds any.
    """

    text: str
    data: Mapping[str, object] = field(default_factory=dict)
    note: bool = False
    facts: Facts | None = None


_SERVICE = re.compile(r"([a-z][a-z0-9-]*?)(-headless)?(?:\.([a-z0-9-]+)(\.svc(?:\..*)?)?)?", re.IGNORECASE)


def cluster_service(host: str) -> tuple[str, str | None] | None:
    """Returns the Service and namespace of `server`, `server-headless.shop` or `….svc.cluster.local`."""
    match = _SERVICE.fullmatch(host)
    if match is None or host == "localhost":
        return None
    service, headless, namespace, svc = match.groups()
    if namespace and not (headless or svc or service == NAME):
        return None  # it may be a domain such as `example.com`
    return service, namespace


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host

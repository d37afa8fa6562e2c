"""One examination: what was asked, the time there is, and what the steps so far have found."""

import os
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import ServiceDescriptor

from app.client.target import is_loopback
from app.client.tls import Tls
from app.core.name import NAME, variable
from app.tools.doctor.report import Remedy

if TYPE_CHECKING:
    from app.tools.doctor.call import Reply
    from app.tools.doctor.connection import Answer
    from app.tools.doctor.name import Proxy

_DEFAULT_TIMEOUT = 10.0
# Options that may come from the environment, and be too much.
_FROM_ENVIRONMENT = ("--ca", "--cert", "--key", "--server-name", "--tls", "--token-file")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The target and options of a channel, as the user typed them. `timeout` is in seconds, and for all."""

    target: str
    tls: Tls | None = None
    token_file: Path | None = None
    allow_plaintext_token: bool = False
    timeout: float = _DEFAULT_TIMEOUT

    @property
    def exposed(self) -> bool:
        """Whether a token would go over the network in plaintext."""
        return self.tls is None and not is_loopback(self.target)

    def doctor(self, **changes: Any) -> str:
        """The command line that examines the same with these changes.

        What comes from the environment, and would be wrong, is taken out of it.
        """
        asked = replace(self, **changes)
        options = asked.options()
        wanted = {*options, "--tls"} if asked.tls else {*options}
        emptied = [variable(one) for one in _FROM_ENVIRONMENT if one not in wanted]
        emptied = [f"{name}=" for name in emptied if os.environ.get(name)]
        return " ".join([*emptied, shlex.join([NAME, "doctor", asked.target, *options])])

    def options(self) -> list[str]:
        """As a shell has them, but for quotes; those that say what is so anyway are left out."""
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


@dataclass
class Case:
    """`prefix`, `host` and `port` are the parts of the target; `host` is "" where gRPC alone can tell.

    `answer` is what the port says to the first words of HTTP/2, inside TLS where that was asked for.
    """

    asked: Asked
    services: Sequence[ServiceDescriptor]
    environ: Mapping[str, str]
    usual_port: int
    end: float
    prefix: str = ""
    host: str = ""
    port: int = 0
    names_port: bool = True
    proxy: "Proxy | None" = None
    addresses: list[str] = field(default_factory=list)
    answer: "Answer | None" = None
    alpn: str | None = None
    listed: list[str] | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    reply: "Reply | None" = None

    def seconds(self) -> float:
        """For what begins now: a third of the whole at most. Raises TimeoutError where none are left."""
        left = min(self.end - time.monotonic(), self.asked.timeout / 3)
        if left <= 0:
            raise TimeoutError
        return left

    @property
    def left_to_grpc(self) -> bool:
        """Whether gRPC alone knows how to connect, so that only calls can be tried."""
        return not self.host or self.proxy is not None

    @property
    def tls_name(self) -> str:
        """The name that the server's certificate must have."""
        tls = self.asked.tls
        return (tls.server_name if tls else None) or self.host

    def at(self, port: int) -> str:
        """The target with another port."""
        return f"{self.prefix}{bracketed(self.host)}:{port}"

    def port_forward(self) -> list[Remedy]:
        """What to type where the server runs in a cluster and this is no part of it."""
        service, namespace = cluster_service(self.host) or (NAME, None)
        where = f"-n {namespace} " if namespace else ""
        port = self.port if self.names_port else self.usual_port
        ports = str(port) if port == self.usual_port else f"{port}:{self.usual_port}"
        found = [
            Remedy(
                "A server in a cluster is reached through a port-forward, which ends with its pod:",
                f"kubectl {where}port-forward svc/{service} {ports}",
            )
        ]
        if not is_loopback(self.asked.target):
            command = self.asked.doctor(target=f"localhost:{port}")
            found.append(Remedy("and, while that runs, in another terminal:", command))
        return found


_SERVICE = re.compile(r"([a-z][a-z0-9-]*?)(-headless)?(?:\.([a-z0-9-]+)(\.svc(?:\..*)?)?)?", re.IGNORECASE)


def cluster_service(host: str) -> tuple[str, str | None] | None:
    """The Service and namespace of such as `quoter`, `quoter-headless.shop` or `….svc.cluster.local`."""
    match = _SERVICE.fullmatch(host)
    if match is None or host == "localhost":
        return None
    service, headless, namespace, svc = match.groups()
    if namespace and not (headless or svc or service == NAME):
        return None  # it may as well be `example.com`
    return service, namespace


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host

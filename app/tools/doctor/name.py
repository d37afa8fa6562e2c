"""The steps `name` and `addresses`: what the target says, where that is, and through which proxy."""

import ipaddress
import re
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.client.target import is_loopback
from app.client.tls import Tls
from app.tools.doctor.case import Case, bracketed, cluster_service
from app.tools.doctor.report import Found, Remedy, Wrong

# Where a target has no port, gRPC's resolver takes that of https.
_DEFAULT_PORT, _LAST_PORT = 443, 65_535
_GRPCS = re.compile(r"(ipv4|ipv6|unix|unix-abstract|vsock|xds|google-c2p(-experimental)?):|dns://[^/]+/")
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/]*)", re.IGNORECASE)
_HOST = re.compile(r"(?:\[([^][]+)\]|([^][:\s]+))(?::(.*))?")
# So many addresses of a name are tried, which is more than anybody reads.
_MOST = 8


def name(case: Case) -> Found:
    """Whether gRPC takes the target for what was meant (doc/naming.md of grpc/grpc)."""
    target = case.asked.target
    if _GRPCS.match(target):
        return Found("only gRPC itself can look it up", note=True)
    case.prefix = (
        "dns:///" if target.startswith("dns:///") else "dns:" if re.match("dns:[^/]", target) else ""
    )
    rest = target.removeprefix(case.prefix)
    if (url := _URL.match(rest)) is not None:
        if url[1] == "dns":
            raise _bad(
                case, "dns:// is followed by a name server, and that by / and a name", url[2], "dns:///"
            )
        raise _bad(case, f"gRPC takes no URLs: {url[1]}:// would be a part of the name", url[2], tls=url[1])
    if "/" in rest:
        raise _bad(case, "a target has no path: methods are named by the call", rest.partition("/")[0])
    if (match := _HOST.fullmatch(rest)) is None:
        address, _, port = rest.rpartition(":")
        if _is_ip(address):
            raise _bad(case, "an IPv6 address stands in brackets", f"[{address}]:{port}")
        raise _bad(case, "it names no host", f"localhost{rest if rest.startswith(':') else ':50051'}")
    case.host, port = match[1] or match[2], match[3]
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT):
        why = f"the port {port!r} is no number from 1 to {_LAST_PORT}"
        raise _bad(case, why, f"{bracketed(case.host)}:{case.usual_port}")
    case.names_port = port is not None
    case.port = int(port or _DEFAULT_PORT)
    # A channel to this machine asks no proxy.
    case.proxy = None if is_loopback(target) else proxy_for(case.host, case.environ)
    facts = {"host": case.host, "port": case.port}
    if port is None:
        return Found(f"{case.host}; no port is named, and gRPC takes {case.port}", facts, note=True)
    return Found(f"{case.host}, port {case.port}", facts)


def addresses(case: Case) -> Found:
    """Which addresses the name has, of both families."""
    if (proxy := case.proxy) is not None:
        text = f"left to the proxy {proxy.address}, which {proxy.variable} names"
        return Found(text, {"proxy": proxy.address, "variable": proxy.variable}, note=True)
    if case.left_to_grpc:
        return Found("left to gRPC", note=True)
    try:
        found = _look_up(case.host, case.port, case.seconds())
    except (OSError, UnicodeError) as error:
        slow = isinstance(error, TimeoutError) or getattr(error, "errno", None) == socket.EAI_AGAIN
        raise _unknown(case, unanswered=slow) from None
    case.addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))[:_MOST]
    return Found(", ".join(case.addresses), {"addresses": case.addresses})


def _look_up(host: str, port: int, seconds: float) -> list[Any]:
    """On another thread, which is left where it takes too long: a look-up has no timeout of its own."""
    future: Future[list[Any]] = Future()

    def run() -> None:
        try:
            future.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            future.set_exception(error)

    threading.Thread(target=run, name="look up a name", daemon=True).start()
    return future.result(seconds)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _bad(case: Case, why: str, instead: str, prefix: str | None = None, tls: str = "") -> Wrong:
    """`instead` is the target without its prefix, that was probably meant; `tls` a URL's scheme."""
    secure = case.asked.tls or (Tls() if tls in {"https", "grpcs"} else None)
    target = (case.prefix if prefix is None else prefix) + instead
    return Wrong(
        "bad-target",
        why,
        f"gRPC cannot use {case.asked.target!r} as a target: {why}. HOST:PORT is right, or dns:///HOST:PORT.",
        Remedy("It is probably:", case.asked.doctor(target=target, tls=secure)),
        status=None,
    )


def _unknown(case: Case, *, unanswered: bool) -> Wrong:
    text = f"the name server did not answer for {case.host}" if unanswered else f"{case.host} does not exist"
    explained, remedies = f"The call would go nowhere: {text}, as far as this machine knows.", []
    if cluster_service(case.host):
        explained += " Names of Kubernetes Services are known only inside their cluster."
        remedies = case.port_forward()
    elif unanswered:
        explained += " The network or a VPN may be down. An address in place of the name does without it."
        remedies = [Remedy("To see whether names work at all:", f"getent hosts {case.host}")]
    else:
        explained += " Look for a misspelling, or ask whoever runs the server for its name."
    return Wrong("name-server" if unanswered else "unknown-name", text, explained, *remedies)


@dataclass(frozen=True)
class Proxy:
    """The HTTP proxy that gRPC would connect through, without its credentials, and the variable that says so.

    `past` is an assignment, for a shell, that excepts the host as well as those that are excepted already.
    """

    variable: str
    address: str
    past: str


def proxy_for(host: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy of the environment, read as http_proxy_mapper.cc of grpc/grpc does: lower case alone."""
    variable = next((one for one in ("grpc_proxy", "https_proxy", "http_proxy") if one in environ), None)
    if variable is None:
        return None
    try:
        url = urlsplit(environ[variable])
    except ValueError:
        return None  # as gRPC, which logs that it is none
    excepting = next((one for one in ("no_grpc_proxy", "no_proxy") if one in environ), "no_proxy")
    excepted = [one.strip() for one in environ.get(excepting, "").split(",") if one.strip()]
    if url.scheme != "http" or not url.hostname or any(_includes(entry, host) for entry in excepted):
        return None
    address = url.netloc.rpartition("@")[2]
    return Proxy(variable, address, f"{excepting}={','.join([*excepted, host])}")


def _includes(entry: str, host: str) -> bool:
    if host.lower().endswith(entry.lower()):
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False

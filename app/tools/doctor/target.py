"""The steps `name` and `addresses`: how gRPC reads the target, its addresses, and a proxy in between."""

import ipaddress
import re
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from urllib.parse import urlsplit

from app.client.target import is_loopback
from app.client.tls import Tls
from app.tools.doctor.facts import Facts, Finding, Proxy, bracketed, cluster_service
from app.tools.doctor.report import Remedy, StepError

# gRPC's resolver uses the port of https if the target has none.
_DEFAULT_PORT, _LAST_PORT = 443, 65_535
_GRPCS = re.compile(r"(ipv4|ipv6|unix|unix-abstract|vsock|xds|google-c2p(-experimental)?):|dns://[^/]+/")
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/]*)", re.IGNORECASE)
_HOST = re.compile(r"(?:\[([^][]+)\]|([^][:\s]+))(?::(.*))?")
# The number of addresses to try; more would not be read.
_MOST_ADDRESSES = 8


def name(facts: Facts) -> Finding:
    """Checks that gRPC reads the target as it was meant (doc/naming.md of grpc/grpc)."""
    target = facts.arguments.target
    if _GRPCS.match(target):
        return Finding("only gRPC itself can resolve it", note=True)
    prefix = "dns:///" if target.startswith("dns:///") else "dns:" if re.match("dns:[^/]", target) else ""
    facts = replace(facts, prefix=prefix)
    rest = target.removeprefix(prefix)
    if (url := _URL.match(rest)) is not None:
        if url[1] == "dns":
            why = "dns:// must be followed by a name server, / and a name"
            raise _bad_target(facts, why, url[2], "dns:///")
        raise _bad_target(
            facts, f"gRPC accepts no URLs: {url[1]}:// would be part of the name", url[2], tls=url[1]
        )
    if "/" in rest:
        raise _bad_target(facts, "a target has no path; the call names the method", rest.partition("/")[0])
    if (match := _HOST.fullmatch(rest)) is None:
        address, _, port = rest.rpartition(":")
        if _is_ip(address):
            raise _bad_target(facts, "an IPv6 address must be in brackets", f"[{address}]:{port}")
        raise _bad_target(
            facts, "the host is missing", f"localhost{rest if rest.startswith(':') else ':50051'}"
        )
    host, port = match[1] or match[2], match[3]
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT):
        why = f"the port {port!r} is not a number from 1 to {_LAST_PORT}"
        raise _bad_target(facts, why, f"{bracketed(host)}:{facts.usual_port}")
    number = int(port or _DEFAULT_PORT)
    # gRPC uses no proxy for this machine: see `options.py` of the client.
    proxy = None if is_loopback(target) else proxy_for(host, facts.environ)
    facts = replace(facts, host=host, port=number, names_port=port is not None, proxy=proxy)
    data = {"host": host, "port": number}
    if port is None:
        return Finding(f"{host}; the port is missing, so gRPC uses {number}", data, note=True, facts=facts)
    return Finding(f"{host}, port {number}", data, facts=facts)


def addresses(facts: Facts) -> Finding:
    """Looks up the addresses of the host, of both families."""
    if (proxy := facts.proxy) is not None:
        text = f"left to the proxy {proxy.address}, set by {proxy.variable}"
        return Finding(text, {"proxy": proxy.address, "variable": proxy.variable}, note=True)
    if facts.only_grpc_connects:
        return Finding("left to gRPC", note=True)
    try:
        found = _look_up(facts.host, facts.port, facts.seconds())
    except (OSError, UnicodeError) as error:
        slow = isinstance(error, TimeoutError) or getattr(error, "errno", None) == socket.EAI_AGAIN
        raise _unknown_name(facts, unanswered=slow) from None
    found = list(dict.fromkeys(found))[:_MOST_ADDRESSES]
    return Finding(", ".join(found), {"addresses": found}, facts=replace(facts, addresses=found))


def _look_up(host: str, port: int, seconds: float) -> list[str]:
    """Runs on another thread, which is abandoned after that time: look-ups have no timeout of their own."""
    future: Future[list[str]] = Future()

    def run() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            future.set_result([str(address[0]) for *_, address in found])
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


def _bad_target(facts: Facts, why: str, instead: str, prefix: str | None = None, tls: str = "") -> StepError:
    """`instead` is the target that was probably meant, without its prefix; `tls` is the scheme of a URL."""
    arguments = facts.arguments
    secure = arguments.tls or (Tls() if tls in {"https", "grpcs"} else None)
    target = (facts.prefix if prefix is None else prefix) + instead
    return StepError(
        "bad-target",
        why,
        f"gRPC cannot use {arguments.target!r} as a target: {why}. Expected HOST:PORT, or dns:///HOST:PORT.",
        Remedy("You probably mean:", arguments.command(target=target, tls=secure)),
        status=None,
    )


def _unknown_name(facts: Facts, *, unanswered: bool) -> StepError:
    host = facts.host
    text = f"the name server did not answer for {host}" if unanswered else f"{host} does not exist"
    explanation, remedies = f"The name cannot be resolved on this machine: {text}.", []
    if cluster_service(host):
        explanation += " Names of Kubernetes Services are known only inside their cluster."
        remedies = facts.port_forward()
    elif unanswered:
        explanation += " The network or a VPN may be down. An IP address as the target needs no name server."
        remedies = [Remedy("To check whether names can be resolved at all:", f"getent hosts {host}")]
    else:
        explanation += " Check the spelling, or ask the operator of the server for its name."
    return StepError("name-server" if unanswered else "unknown-name", text, explanation, *remedies)


def proxy_for(host: str, environ: Mapping[str, str]) -> Proxy | None:
    """Returns the proxy that gRPC uses for the host.

    Like http_proxy_mapper.cc of grpc/grpc, it reads only variables in lower case.
    """
    variable = next((one for one in ("grpc_proxy", "https_proxy", "http_proxy") if one in environ), None)
    if variable is None:
        return None
    try:
        url = urlsplit(environ[variable])
    except ValueError:
        return None  # as in gRPC, which logs that it is invalid
    exceptions = next((one for one in ("no_grpc_proxy", "no_proxy") if one in environ), "no_proxy")
    excepted = [one.strip() for one in environ.get(exceptions, "").split(",") if one.strip()]
    if url.scheme != "http" or not url.hostname or any(_includes(entry, host) for entry in excepted):
        return None
    address = url.netloc.rpartition("@")[2]
    return Proxy(variable, address, f"{exceptions}={','.join([*excepted, host])}")


def _includes(entry: str, host: str) -> bool:
    if host.lower().endswith(entry.lower()):
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False

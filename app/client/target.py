"""Parsing of targets, such as `dns:///server-headless:50051`."""

import ipaddress
import re

# `//AUTHORITY/` of a dns: target is the name server, not the host.
_DNS = re.compile(r"dns:(//[^/]*/)?")
_HOST = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:/@#?,%]+))(?::(\d+))?")


def is_loopback(target: str) -> bool:
    """Whether a target, such as `localhost:50051` or `dns:///server:50051`, is certainly on this machine.

    For several addresses (`ipv4:127.0.0.1:50051,127.0.0.1:50052`): whether all of them are.
    """
    if is_unix_socket(target):
        return True
    if target.startswith(("ipv4:", "ipv6:")):
        matches = [_HOST.fullmatch(address) for address in target.partition(":")[2].split(",")]
        return all(match is not None and _is_loopback(match[1] or match[2]) for match in matches)
    return _is_loopback(server_of(target)[0])


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_unix_socket(target: str) -> bool:
    return target.startswith(("unix:", "unix-abstract:"))


def server_of(target: str) -> tuple[str, int | None]:
    """Returns the host and port of a target, or the whole target and None if it names no single server.

    These are `server.address` and `server.port` in OpenTelemetry's semantic conventions for gRPC.
    """
    if is_unix_socket(target):
        return target.partition(":")[2].removeprefix("//"), None
    match = _HOST.fullmatch(_DNS.sub("", target, count=1) if target.startswith("dns:") else target)
    if match is None:
        return target, None
    return match[1] or match[2], int(match[3]) if match[3] else None

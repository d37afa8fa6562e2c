"""What a target says about where calls go."""

import ipaddress
import re

# `//AUTHORITY/` of a dns: target is the name server to ask, and says nothing about the host.
_DNS = re.compile(r"dns:(//[^/]*/)?")
_HOST = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:/@#?,%]+))(?::\d+)?")


def is_loopback(target: str) -> bool:
    """Whether a target, such as `localhost:50051` or `dns:///quoter:50051`, is surely on this machine."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    match = _HOST.fullmatch(_DNS.sub("", target, count=1) if target.startswith("dns:") else target)
    if match is None:
        return False
    host = match[1] or match[2]
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""What a target says about where calls go."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(target: str) -> bool:
    """Whether a target, such as `localhost:50051` or `dns:///quoter:50051`, is surely on this machine."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    try:
        host = urlsplit("//" + target.removeprefix("dns:").lstrip("/")).hostname
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False

"""The network address of a client, from what grpc calls its peer."""

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote

# The part of an IPv6 address that names a network. Its owner has all addresses in it.
_PREFIX = 64


@lru_cache(maxsize=4096)
def address_of(peer: str) -> str:
    """The IP address without the port, or the /64 network of an IPv6 address; otherwise the kind of peer.

    The peer of one connection is always the same, such as `ipv4:10.0.0.1:4711` or `unix:/run/socket`.
    """
    kind, _, rest = unquote(peer).partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return kind
    try:
        address = ip_address(rest.rpartition(":")[0].strip("[]").partition("%")[0])
    except ValueError:
        return rest
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, _PREFIX), strict=False))

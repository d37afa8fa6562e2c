import pytest

from app.core.peer import address_of


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.1:4711", "10.0.0.1"),
        ("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:4711", "2001:db8:1:2::/64"),
        ("ipv6:[2001:db8:1:2::9]:1", "2001:db8:1:2::/64"),
        ("ipv6:%5Bfe80::1%25eth0%5D:4711", "fe80::/64"),
        ("ipv6:[::ffff:10.0.0.1]:4711", "10.0.0.1"),
        ("unix:/run/socket", "unix"),
        ("unix:", "unix"),
        ("ipv4:nonsense", "nonsense"),
        ("", ""),
    ],
)
def test_a_client_is_known_by_its_address_whatever_its_port(peer: str, address: str) -> None:
    assert address_of(peer) == address

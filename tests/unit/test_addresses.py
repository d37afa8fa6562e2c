import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.address import Address, parse_address, parse_addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:50051", ["127.0.0.1:50051"]),
        ("0.0.0.0:0", ["0.0.0.0:0"]),
        ("[::1]:50051", ["[::1]:50051"]),
        ("[::]:1, 10.0.0.1:65535", ["[::]:1", "10.0.0.1:65535"]),
        ("localhost:50051", ["127.0.0.1:50051", "[::1]:50051"]),
        ("unix:/run/server.sock", ["unix:/run/server.sock"]),
        ("unix:///run/server.sock", ["unix:/run/server.sock"]),
    ],
)
def test_an_address_reads_as_grpc_writes_it(text: str, expected: list[str]) -> None:
    assert [str(address) for address in parse_addresses(text)] == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "missing"),
        ("127.0.0.1:1,,127.0.0.1:2", "missing"),
        ("127.0.0.1", "no port"),
        ("127.0.0.1:", "no port"),
        ("127.0.0.1:99999", "no port from 0 to 65535"),
        ("127.0.0.1:-1", "no port"),
        ("127.0.0.1:٣", "no port"),
        (":50051", "is not an IP address"),
        ("server.example:50051", "is not an IP address"),
        ("::1:50051", "brackets"),
        ("[127.0.0.1]:50051", "brackets"),
        ("unix:", "has no path"),
        ("127.0.0.1:1,127.0.0.1:1", "twice"),
        ("localhost:1,127.0.0.1:1", "twice"),
    ],
)
def test_an_address_that_grpc_would_bind_differently_is_invalid(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_addresses(text)


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/tmp/socket", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
    ],
)
def test_loopback_addresses(text: str, loopback: bool) -> None:
    assert all(address.loopback for address in parse_address(text)) is loopback


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_ip_address_and_port_survives_a_round_trip(ip: object, port: int) -> None:
    address = Address(str(ip), port)
    assert parse_address(str(address)) == (address,)


@given(st.text())
def test_any_other_text_is_refused_with_a_value_error_and_nothing_else(text: str) -> None:
    try:
        parse_addresses(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - either outcome is right; any other exception is not

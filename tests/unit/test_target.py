from pathlib import Path

import pytest

from app.client.channel import channel
from app.client.target import is_loopback, server_of


@pytest.mark.parametrize(
    "target",
    [
        "localhost:50051",
        "localhost",
        "127.0.0.1:1",
        "127.8.8.8:1",
        "[::1]:50051",
        "dns:localhost:50051",
        "dns:///localhost:50051",
        "dns://8.8.8.8/127.0.0.1:50051",
        "unix:/tmp/socket",
        "unix:///tmp/socket",
        "ipv4:127.0.0.1:1",
        "ipv4:127.0.0.1:1,127.0.0.2:2",
        "ipv6:[::1]:1,[::1]:2",
    ],
)
def test_targets_on_this_machine(target: str) -> None:
    assert is_loopback(target)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "server:50051",
        "10.0.0.1:50051",
        "[::2]:50051",
        "localhost.example:1",
        "dns:///server-headless:50051",
        "dns://127.0.0.1:53/elsewhere.example:50051",
        "localhost#.example:1",
        "localhost@example:1",
        "localhost:1,example:1",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
        "ipv4:127.0.0.1:1,unix:/tmp/socket",
        "ipv4:127.0.0.1:1,",
        "ipv4:",
        "http://localhost:1",
        "xds:///localhost",
    ],
)
def test_targets_that_may_be_on_another_machine(target: str, tmp_path: Path) -> None:
    assert not is_loopback(target)
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    with pytest.raises(ValueError, match=r"unencrypted|empty"):
        channel(target, token_file=token)


@pytest.mark.parametrize(
    ("target", "server"),
    [
        ("grpc.io:50051", ("grpc.io", 50051)),
        ("grpc.io", ("grpc.io", None)),
        ("10.1.2.80:443", ("10.1.2.80", 443)),
        ("[::1]:50051", ("::1", 50051)),
        ("dns:server:50051", ("server", 50051)),
        ("dns:///server-headless:50051", ("server-headless", 50051)),
        ("dns://1.2.3.4/grpc.io:50051", ("grpc.io", 50051)),
        ("unix:///run/containerd/containerd.sock", ("/run/containerd/containerd.sock", None)),
        ("unix:run/socket", ("run/socket", None)),
        ("zk://zookeeper:2181/my-server", ("zk://zookeeper:2181/my-server", None)),
        (
            "ipv4:198.51.100.123:50051,198.51.100.124:50051",
            ("ipv4:198.51.100.123:50051,198.51.100.124:50051", None),
        ),
    ],
)
def test_host_and_port_of_a_target_follow_opentelemetry(target: str, server: tuple[str, int | None]) -> None:
    assert server_of(target) == server

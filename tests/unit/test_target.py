from pathlib import Path

import pytest

from app.client.channel import channel
from app.client.target import is_loopback


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
    ],
)
def test_a_target_on_this_machine(target: str) -> None:
    assert is_loopback(target)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "quoter:50051",
        "10.0.0.1:50051",
        "[::2]:50051",
        "localhost.example:1",
        "dns:///quoter-headless:50051",
        "dns://127.0.0.1:53/elsewhere.example:50051",
        "localhost#.example:1",
        "localhost@example:1",
        "localhost:1,example:1",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
        "http://localhost:1",
        "xds:///localhost",
    ],
)
def test_a_target_that_may_be_elsewhere(target: str, tmp_path: Path) -> None:
    assert not is_loopback(target)
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    with pytest.raises(ValueError, match=r"unencrypted|empty"):
        channel(target, token_file=token)

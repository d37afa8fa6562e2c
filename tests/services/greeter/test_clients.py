"""The published tutorial's client works as it is, apart from its port."""

from pathlib import Path

from tests.support.clients.tutorial import printed_by
from tests.support.servers.server import Server

CLIENTS = Path(__file__).parent / "clients"


def test_the_greeters_client_is_greeted_by_name(server: Server, tmp_path: Path) -> None:
    client = CLIENTS / "greeter_client.py"
    printed = printed_by(client, "helloworld.proto", "50051", server.target, tmp_path)
    assert printed == "Greeter client received: Hello, World\n"

"""The published tutorial's client works as it is, apart from its port."""

from pathlib import Path

from tests.support.clients.tutorial import printed_by
from tests.support.servers.server import Server

CLIENTS = Path(__file__).parent / "clients"


def test_grpctests_client_reads_that_its_message_was_received(server: Server, tmp_path: Path) -> None:
    printed = printed_by(CLIENTS / "client.py", "grpctest.proto", "50051", server.target, tmp_path)
    text = r"Hello I am up and running received \"Hello Server you there?\" message from you"
    assert printed == f'message: "{text}"\nreceived: true\n\n'

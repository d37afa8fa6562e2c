"""The published tutorial's client works as it is, apart from its port."""

from pathlib import Path

from app.services.quotes import EMBEDDED
from tests.support.clients.tutorial import printed_by
from tests.support.servers.server import Server

CLIENTS = Path(__file__).parent / "clients"


def test_the_client_prints_real_quotes_of_the_author_it_asks_for(server: Server, tmp_path: Path) -> None:
    printed = printed_by(CLIENTS / "client.py", "quote_service.proto", "5050", server.target, tmp_path)
    lines = printed.splitlines()
    assert len(lines) == 3
    assert set(lines) <= set(EMBEDDED.read_text("utf-8").splitlines())
    assert lines[0].endswith(" ~ Mark Twain")

"""The quotes file of a server that runs."""

from pathlib import Path
from typing import Any

import grpc

from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from tests.support.servers.process import server_process


def test_a_changed_quotes_file_counts_without_a_restart_and_a_broken_one_does_not(tmp_path: Path) -> None:
    quotes = tmp_path / "quotes.txt"
    quotes.write_text("old ~ Ann\n")
    with (
        server_process(APP_QUOTES_FILE=str(quotes)) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        stub: Any = quote_service_pb2_grpc.QuoterStub(channel)

        def quote() -> str:
            return str(stub.GetQuote(pb.QuoteRequest(), timeout=5).quote)

        assert quote() == "old"
        quotes.write_text("broken\n")
        refused = server.wait_for("reload_failed")
        assert refused["problem"] == "line 1: expected quote ~ author"
        assert quote() == "old"
        quotes.write_text("new ~ Ann\n")
        server.wait_for("file_reloaded")
        assert quote() == "new"

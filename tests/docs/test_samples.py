"""The samples of docs/client.md and docs/telemetry.md agree with the program."""

import json
import re
from pathlib import Path
from typing import Any

import grpc
import pytest

from app.client.channel import channel
from app.client.service_config import ServiceConfig
from tests.docs.pages import Page
from tests.docs.sample import Sample, renamed
from tests.support.servers.server import TOKEN, running

CALLING, CONFIGURING = (block.text for block in Page("docs/client.md").blocks if block.language == "python")


def test_the_first_sample_calls_a_service_with_a_token(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token, tokens = tmp_path / "token", tmp_path / "tokens"
    token.write_text(TOKEN)
    tokens.write_text(f"ann:{TOKEN}")
    assert len(CALLING.strip().splitlines()) - CALLING.count("import") <= 10
    with running((sample.service,), auth_mode="tokens", auth_tokens_file=tokens) as server:
        code = patient(renamed(CALLING))
        for shown, here in {
            "dns:///inventory-headless:50051": server.target,
            "/etc/inventory/token": str(token),
        }.items():
            assert shown in code
            code = code.replace(shown, here)
        exec(code, {})  # noqa: S102 - the page's own
    assert 'id: "1"' in capsys.readouterr().out


def test_the_service_config_of_the_page_fits_the_service(sample: Sample) -> None:
    names: dict[str, Any] = {}
    exec(patient(renamed(CONFIGURING)), names)  # noqa: S102 - the page's own
    with running((sample.service,)) as server:
        for config in (names["CONFIG"], ServiceConfig(balancing="pick_first")):
            with channel(server.target, services=[sample.service.descriptor], config=config) as opened:
                assert called(sample, opened).count == 3


def test_a_log_line_has_the_fields_that_the_page_shows(sample: Sample) -> None:
    [shown] = [block.text for block in Page("docs/telemetry.md").blocks if block.language == "json"]
    with running((sample.service,)) as server:
        with grpc.insecure_channel(server.target) as opened:
            called(sample, opened)
        [line] = server.calls()
    assert list(line) == list(json.loads(shown))


def called(sample: Sample, opened: grpc.Channel) -> Any:
    return sample.stubs.InventoryServiceStub(opened).GetItem(sample.pb.GetItemRequest(id="1"))


def patient(code: str) -> str:
    """The code with time for a machine that is busy with other tests."""
    assert "timeout=2" in code
    return code.replace("timeout=2", "timeout=30")


def test_the_metrics_that_the_page_lists_are_served() -> None:
    section = Page("docs/telemetry.md").section("## Metrics")
    listed = re.findall(r"^\| `(\w+)`", section, flags=re.MULTILINE)
    assert "grpc_server_in_flight" in listed
    with running() as server:
        _, served = server.get("/metrics")
    # Those of TLS and of keys from a URL, which other tests look for.
    assert [name for name in listed if f"# HELP {name} " not in served] == [
        "tls_certificate_expiration_timestamp_seconds",
        "jwt_keys_last_fetch_timestamp_seconds",
    ]

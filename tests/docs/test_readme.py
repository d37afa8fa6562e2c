"""The README: its length, its first commands, and what its samples show."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.client.channel import channel
from app.client.service_config import ServiceConfig
from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.services import SERVICES
from app.wiring import EXEMPT
from tests.docs.pages import Page
from tests.support.process import ROOT, ServerProcess, environment, server_process

QUOTER = pb.DESCRIPTOR.services_by_name["Quoter"]
README = Page("README.md").text


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """The server of `make run`, on ports of its own."""
    with server_process(APP_LOG_FORMAT="json") as started:
        yield started


def test_the_code_that_is_shown_calls_the_server(
    server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    calling, configuring = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(calling.strip().splitlines()) - calling.count("import") <= 10
    for shown, ours in {
        "dns:///quoter-headless:50051": server.target,
        "/etc/quoter/token": str(token),
    }.items():
        assert shown in calling
        calling = calling.replace(shown, ours)
    exec(calling, {})  # noqa: S102 - the README's own
    assert 'author: "Mark Twain"' in capsys.readouterr().out
    config: dict[str, Any] = {}
    exec(configuring, config)  # noqa: S102 - as above
    with channel(server.target, services=[QUOTER], config=config["CONFIG"]) as opened:
        assert quote_service_pb2_grpc.QuoterStub(opened).GetQuote(pb.QuoteRequest()).quote
    with channel(server.target, config=ServiceConfig(balancing="pick_first")) as opened:
        assert quote_service_pb2_grpc.QuoterStub(opened).GetQuote(pb.QuoteRequest()).quote


def test_the_log_line_has_the_fields_that_are_shown(server: ServerProcess) -> None:
    [shown] = re.findall(r"```json\n(.*?)\n```", README, flags=re.DOTALL)
    subprocess.run(
        ["quoter", "get"], env=environment(QUOTER_TARGET=server.target), check=True, capture_output=True
    )
    assert list(server.wait_for("call")) == list(json.loads(shown))


def test_the_first_two_commands_are_run_and_test_and_they_do_what_is_said() -> None:
    assert re.findall(r"^    (make \w+)", README, flags=re.MULTILINE)[:2] == ["make run", "make test"]
    recipe = subprocess.run(
        ["make", "-n", "run"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert ".venv/bin/python -m app serve" in recipe
    targets = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in ("setup", "run", "test", "interop", "lint", "gen", "image", "e2e"):
        assert re.search(rf"^{name} +\w", targets, flags=re.MULTILINE), targets


def test_every_service_and_method_is_in_its_table() -> None:
    for service in SERVICES:
        [row] = re.findall(rf"^\| `{re.escape(service.name)}` \| (.*?) \|", README, flags=re.MULTILINE)
        assert row == ", ".join(f"`{method.name}`" for method in service.descriptor.methods)
    assert all(name in README for name in EXEMPT if "reflection" not in name)


CHAIN = (
    "request id → instance → tracing → metrics → access log → errors → limit → auth → deadline → validation"
    " → handler"
)


def test_the_chain_is_the_one_that_is_shown() -> None:
    assert CHAIN in README
    source = (ROOT / "app" / "wiring.py").read_text().partition("def limit_of")[0]
    listed = re.findall(r"^        ([A-Z]\w+(?=\()|\*\w+(?=,))", source, flags=re.MULTILINE)
    listed = [name.removeprefix("*") for name in listed]
    assert [re.sub(r"(?<=\w)(?=[A-Z])", " ", name).lower() for name in listed] == CHAIN.split(" → ")[:-1]


def test_the_clusters_commands_are_those_of_the_charts_notes_which_the_end_to_end_tests_run() -> None:
    notes = (ROOT / "helm" / "quoter" / "templates" / "NOTES.txt").read_text()
    for template, value in {
        "{{ $kubectl }}": "kubectl",
        "{{ $name }}": "quoter",
        '{{ include "quoter.tokenSecret" . }}': "quoter-token",
        "{{ $tls }}": "",
    }.items():
        notes = notes.replace(template, value)
    shown = README.partition("## On a cluster")[2].partition("## ")[0]
    commands = re.findall(r"^    ((?:kubectl|quoter) .*)$", shown, flags=re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        assert f"    {command}\n" in notes

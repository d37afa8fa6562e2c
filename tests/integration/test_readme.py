"""What the README shows is what happens."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.auth.permissions import parse_permissions
from app.client.channel import channel
from app.client.service_config import ServiceConfig
from app.core.code import CODE_LABELS
from app.core.section import variable
from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.server import EXEMPT
from app.services import SERVICES
from app.settings import Settings
from tests.integration.test_exactness import TABLE, arities
from tests.support.process import ROOT, ServerProcess, environment, server_process

QUOTER = pb.DESCRIPTOR.services_by_name["Quoter"]
README = (ROOT / "README.md").read_text()


def settings_table() -> str:
    """The table of all settings, as the README has it."""
    rows = ["| variable | default | |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, (), "") else f"`{field.default}`"
        rows.append(f"| `{variable(name)}` | {default} | {field.description} |")
    return "\n".join(rows)


def test_the_settings_are_all_in_the_table_with_their_defaults() -> None:
    assert settings_table() in README, f"the table of settings should be:\n{settings_table()}"


def test_every_variable_that_is_named_is_a_setting() -> None:
    assert set(re.findall(r"\bAPP_[A-Z_]+\b", README)) <= {variable(name) for name in Settings.model_fields}


def test_the_rules_that_are_shown_are_rules() -> None:
    shown = re.findall(r"APP_AUTH_REQUIRE='(.*?)'", README)
    assert shown
    for rules in shown:
        assert parse_permissions(rules)


def outcomes_table() -> str:
    """The table of outcomes, as the README has it."""
    rows = ["| what happens | arities | the client sees | span, metric and log line say | by |"]
    rows.append("|---|---|---|---|---|")
    for case in TABLE:
        seen = dict.fromkeys(client for client, _ in case.pairs)
        said = [
            " or ".join(
                CODE_LABELS[code] if code else "nothing" for client, code in case.pairs if client is one
            )
            for one in seen
        ]
        codes = "<br>".join(client.name for client in seen)
        cells = (case.what, arities(case.methods), codes, "<br>".join(said), case.by)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def test_every_outcome_of_a_call_is_in_the_table() -> None:
    assert outcomes_table() in README, f"the table of outcomes should be:\n{outcomes_table()}"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """The server of `make run`, on ports of its own."""
    with server_process(APP_LOG_FORMAT="json") as started:
        yield started


def transcripts() -> list[tuple[str, str]]:
    """Each command of the README's consoles, with the output that is shown below it."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL):
        for entry in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = entry.partition("\n")
            found.append((command, output))
    return found


def test_every_command_prints_what_is_shown(server: ServerProcess) -> None:
    metrics_port = server.serving["metrics"][0].split(":")[-1].removesuffix("/metrics")
    shown = transcripts()
    assert len(shown) >= 6
    for command, output in shown:
        done = subprocess.run(
            ["bash", "-c", command.replace("localhost:9464", f"localhost:{metrics_port}")],
            cwd=ROOT,
            env=environment(QUOTER_TARGET=server.target),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )
        pattern = re.escape(output).replace(r"\.\.\.", r"[^\n]*")
        assert re.fullmatch(pattern, done.stdout), f"$ {command}\n{done.stdout}"


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
    source = (ROOT / "app" / "server.py").read_text().partition("def bound_of")[0]
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


def test_every_file_that_is_named_is_there() -> None:
    for name in re.findall(r"\]\(([\w./]+)\)", README + (ROOT / "CONTRIBUTING.md").read_text()):
        assert (ROOT / name).exists(), name
    for name in set(re.findall(r"`((?:app|tests|protos|helm)/[\w./]*)`", README)) - {
        "app/services/yours.py",
        "protos/yours.proto",
    }:
        assert Path(ROOT / name).exists(), name

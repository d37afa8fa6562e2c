"""The notes that helm prints after an install: the commands for a first call, and warnings."""

from pathlib import Path
from typing import Any

import pytest

from tests.chart.chart import notes

FORWARD = "kubectl --namespace here port-forward svc/quoter 50051 9464"
TOKEN = "kubectl --namespace here get secret quoter-token -o jsonpath='{.data.token}' | base64 -d > token"  # noqa: S105 - a command
CA = "kubectl --namespace here get secret certificate -o jsonpath='{.data.ca\\.crt}' | base64 -d > ca.crt"
CURL = "curl localhost:9464/metrics"
TLS: dict[str, Any] = {"enabled": True, "existingSecret": "certificate"}
MUTUAL = TLS | {"clientCa": {"enabled": True}}
JWT = {"issuer": "https://issuer.example/", "audience": "quoter", "jwksUrl": "https://issuer.example/keys"}


@pytest.mark.parametrize(
    ("values", "commands"),
    [
        ({}, [TOKEN, "quoter doctor --token-file token"]),
        ({"auth": {"mode": "none"}}, ["quoter doctor"]),
        ({"auth": {"mode": "jwt", "jwt": JWT}}, ["quoter doctor --token-file token"]),
        (
            {"auth": {"existingSecret": "mine"}},
            [TOKEN.replace("quoter-token", "mine"), "quoter doctor --token-file token"],
        ),
        ({"tls": TLS}, [TOKEN, CA, "quoter doctor --token-file token --ca ca.crt --server-name quoter"]),
        (
            {"tls": MUTUAL, "auth": {"mode": "none"}},
            [CA, "quoter doctor --ca ca.crt --server-name quoter --cert client.crt --key client.key"],
        ),
    ],
)
def test_the_commands_follow_from_the_values(
    values: dict[str, Any], commands: list[str], tmp_path: Path
) -> None:
    printed = notes(values, tmp_path)
    found = [line.strip() for line in printed.splitlines() if line.startswith("    ")]
    assert found == [FORWARD, *commands, CURL]
    assert max(map(len, printed.splitlines())) < 120
    assert "\n\n\n" not in printed


def test_the_notes_warn_of_what_the_values_leave_out(tmp_path: Path) -> None:
    assert "auth.existingSecret" in notes({}, tmp_path / "made")
    assert "auth.existingSecret" not in notes({"auth": {"existingSecret": "mine"}}, tmp_path / "own")
    assert "calls fail when a pod ends" in notes({"drain": {"delaySeconds": 0}}, tmp_path / "off")
    assert "calls fail when a pod ends" not in notes({"drain": {"clientLookupSeconds": 1}}, tmp_path / "on")
    assert "with a token of your issuer" in notes({"auth": {"mode": "jwt", "jwt": JWT}}, tmp_path / "jwt")
    assert "client.crt" in notes({"tls": MUTUAL}, tmp_path / "mutual")

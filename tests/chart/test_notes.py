"""The notes that helm prints after an install: the commands for a first call, and warnings."""

from pathlib import Path
from typing import Any

import pytest

from app.core.name import NAME
from app.runtime.memory import budget
from app.runtime.server_settings import ServerSettings
from tests.chart.chart import notes

FORWARD = f"kubectl --namespace here port-forward svc/{NAME} 50051 9464"
TOKEN = f"kubectl --namespace here get secret {NAME}-token -o jsonpath='{{.data.token}}' | base64 -d > token"
CA = "kubectl --namespace here get secret certificate -o jsonpath='{.data.ca\\.crt}' | base64 -d > ca.crt"
CURL = "curl localhost:9464/metrics"
TLS: dict[str, Any] = {"enabled": True, "existingSecret": "certificate"}
MUTUAL = TLS | {"clientCa": {"enabled": True}}
JWT = {"issuer": "https://issuer.example/", "audience": "api", "jwksUrl": "https://issuer.example/keys"}


@pytest.mark.parametrize(
    ("values", "commands"),
    [
        ({}, [TOKEN, f"{NAME} doctor --token-file token"]),
        ({"auth": {"mode": "none"}}, [f"{NAME} doctor"]),
        ({"auth": {"mode": "jwt", "jwt": JWT}}, [f"{NAME} doctor --token-file token"]),
        (
            {"auth": {"existingSecret": "mine"}},
            [TOKEN.replace(f"{NAME}-token", "mine"), f"{NAME} doctor --token-file token"],
        ),
        ({"tls": TLS}, [TOKEN, CA, f"{NAME} doctor --token-file token --ca ca.crt --server-name {NAME}"]),
        (
            {"tls": MUTUAL, "auth": {"mode": "none"}},
            [CA, f"{NAME} doctor --ca ca.crt --server-name {NAME} --cert client.crt --key client.key"],
        ),
    ],
)
def test_the_commands_follow_from_the_values(
    values: dict[str, Any], commands: list[str], tmp_path: Path
) -> None:
    printed = notes(values, tmp_path)
    found = [line.strip() for line in printed.splitlines() if line.startswith("    ")]
    assert found == [FORWARD, *commands, CURL]
    # As if a longer name had six letters.
    assert max(len(line.replace(NAME, NAME[:6])) for line in printed.splitlines()) < 120
    assert "\n\n\n" not in printed


def test_the_notes_warn_of_what_the_values_leave_out(tmp_path: Path) -> None:
    assert "auth.existingSecret" in notes({}, tmp_path / "made")
    assert "auth.existingSecret" not in notes({"auth": {"existingSecret": "mine"}}, tmp_path / "own")
    assert "calls fail when a pod ends" in notes({"drain": {"delaySeconds": 0}}, tmp_path / "off")
    assert "calls fail when a pod ends" not in notes({"drain": {"clientLookupSeconds": 1}}, tmp_path / "on")
    assert "with a token of your issuer" in notes({"auth": {"mode": "jwt", "jwt": JWT}}, tmp_path / "jwt")
    assert "client.crt" in notes({"tls": MUTUAL}, tmp_path / "mutual")


def test_the_notes_name_the_status_page_where_it_is_on(tmp_path: Path) -> None:
    named = "status page is http://localhost:9464/."
    assert named not in notes({}, tmp_path / "off")
    for page in ("full", "no-details"):
        printed = notes({"statusPage": page}, tmp_path / page)
        assert named in printed
        assert "\n\n\n" not in printed


@pytest.mark.parametrize(
    ("values", "connections"),
    [
        ({}, "46 connections|2 * 2 pods * (10 + 1) + 2 for the Job that migrates."),
        (
            {"replicaCount": 3, "strategy": {"type": "Recreate"}},
            "35 connections|3 pods * (10 + 1) + 2 for the",
        ),
        (
            {"autoscaling": {"enabled": True, "maxReplicas": 7}, "database": {"migrate": {"mode": "none"}}},
            "154 connections|2 * 7 pods * (10 + 1). Twice, because in an update",
        ),
        (
            {"database": {"poolSize": 4, "migrate": {"mode": "init-container"}}},
            "20 connections|2 * 2 pods * (4",
        ),
    ],
)
def test_the_notes_have_the_sum_of_the_connections_to_the_database(
    values: dict[str, Any], connections: str, tmp_path: Path
) -> None:
    database = {"existingSecret": "database"} | values.get("database", {})
    printed = notes(values | {"database": database}, tmp_path)
    assert all(part in printed for part in connections.split("|")), printed
    assert "must exceed that by superuser_reserved_connections (3) and by what others use" in printed
    assert "With PgBouncer, its max_client_conn must exceed it" in printed
    [paragraph] = [one for one in printed.split("\n\n") if "max_connections" in one]
    assert max(len(line) for line in paragraph.splitlines()) < 120
    assert "\n\n\n" not in printed


def test_the_notes_have_no_sum_without_a_database(tmp_path: Path) -> None:
    assert "max_connections" not in notes({}, tmp_path)


def settings(**values: Any) -> ServerSettings:
    return ServerSettings(**values)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, {}),
        ({"maxStreams": 333, "shareReserve": 0.1}, {"max_streams": 333, "share_reserve": 0.1}),
        (
            {"shareBy": "none", "maxMessageBytes": 1_000_001},
            {"share_by": "none", "max_message_bytes": 1_000_001},
        ),
    ],
)
def test_the_notes_warn_of_a_memory_limit_below_the_budget_of_the_server(
    values: dict[str, Any], names: dict[str, Any], tmp_path: Path
) -> None:
    needed = sum(part.bytes for part in budget(settings(**names))) // 1024**2

    def printed(limit: str) -> str:
        given = {"server": values, "resources": {"limits": {"memory": limit}}}
        return notes(given, tmp_path / limit)

    for limit in (f"{needed - 1}Mi", f"{(needed - 2) * 1024**2}", "200M"):
        assert f"may make a pod need {needed} MiB" in printed(limit)
    for limit in (f"{needed + 1}Mi", "100Gi"):
        assert "of memory" not in printed(limit)
    assert "of memory" not in notes({}, tmp_path / "default")

"""The script of `helm test`, run here against a server with the settings that the chart gives it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.chart.chart import rendered
from tests.integration.process import ServerProcess, environment, server_process

TOKEN = "a-token-for-tests-only"  # noqa: S105 - it guards nothing
KEYS = {"issuer": "https://issuer.example/", "audience": "quoter", "keys": {"existingSecret": "keys"}}


def script(values: dict[str, Any], server: ServerProcess, token: Path) -> subprocess.CompletedProcess[str]:
    [container] = rendered(values)["Pod/quoter-test"]["spec"]["containers"]
    written: str = container["args"][0]
    for there, here in {
        "http://quoter:9464": str(server.serving["metrics"][0]).removesuffix("/metrics"),
        "quoter:50051": server.target,
        "/run/secrets/quoter/token": str(token),
    }.items():
        written = written.replace(there, here)
    return subprocess.run(
        [*container["command"], written],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return file


def test_with_tokens_it_asks_for_health_and_quotes(token: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"default:{TOKEN}\n")
    with server_process(APP_AUTH_MODE="tokens", APP_AUTH_TOKENS_FILE=str(tokens)) as server:
        done = script({}, server, token)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[:2] == ["ready", "SERVING"]
        assert len(done.stdout.splitlines()) == 5

        token.write_text("the-token-of-somebody-else")
        assert script({}, server, token).returncode == 64 + 16  # UNAUTHENTICATED


def test_with_an_issuer_it_makes_sure_that_nobody_is_let_in_without_a_token(
    token: Path, tmp_path: Path
) -> None:
    values = {"auth": {"mode": "jwt", "jwt": KEYS}}
    tokens = tmp_path / "tokens"
    tokens.write_text(f"default:{TOKEN}\n")
    with server_process(APP_AUTH_MODE="tokens", APP_AUTH_TOKENS_FILE=str(tokens)) as server:
        done = script(values, server, token)
        assert done.returncode == 0, done.stderr
    with server_process() as server:  # which lets everybody in
        assert script(values, server, token).returncode == 1
        done = script({"auth": {"mode": "none"}}, server, token)
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 5)

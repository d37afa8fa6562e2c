"""The script of `helm test`, run here against a server with the settings that the chart gives it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.chart.chart import rendered
from tests.support.certificates import NAMES, issued
from tests.support.servers.process import ServerProcess, environment, server_process

TOKEN = "a-token-for-tests-only"  # noqa: S105 - it guards nothing
KEYS = {"issuer": "https://issuer.example/", "audience": "quoter", "keys": {"existingSecret": "keys"}}

# It starts the command line a dozen times.
pytestmark = pytest.mark.timeout(120)


def script(
    values: dict[str, Any], server: ServerProcess, token: Path, ca: Path = Path("none")
) -> subprocess.CompletedProcess[str]:
    [container] = rendered(values)["Pod/quoter-test"]["spec"]["containers"]
    written: str = container["args"][0]
    for there, here in {
        "http://quoter:9464": str(server.serving["metrics"][0]).removesuffix("/metrics"),
        "quoter:50051": server.target,
        "/run/secrets/quoter/token": str(token),
        "/run/secrets/tls/ca.crt": str(ca),
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


def test_with_tls_it_calls_where_it_has_the_ca_and_says_where_it_has_not(token: Path, tmp_path: Path) -> None:
    ca, other = trustme.CA(), trustme.CA()
    pair = issued(ca, *NAMES)
    files = {
        "cert": pair.certificate,
        "key": pair.key,
        "ca": ca.cert_pem.bytes(),
        "other": other.cert_pem.bytes(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    cert, key = str(tmp_path / "cert"), str(tmp_path / "key")
    tls = {"enabled": True, "existingSecret": "certificate"}
    values = {"auth": {"mode": "none"}, "tls": tls}
    with server_process(APP_TLS_CERT_FILE=cert, APP_TLS_KEY_FILE=key) as server:
        done = script(values, server, token, tmp_path / "ca")
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 5), done.stderr
        assert script(values, server, token, tmp_path / "other").returncode == 64 + 14  # UNAVAILABLE

        done = script(values, server, token)
        assert (done.returncode, done.stdout) == (0, "ready\nno calls: certificate has no ca.crt\n")
        done = script(values | {"tls": tls | {"clientCa": {"enabled": True}}}, server, token)
        assert (done.returncode, done.stdout) == (
            0,
            "ready\nno calls: this pod has no certificate of a client\n",
        )

"""The script of `helm test`, run on this machine against a server with the chart's settings."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.core.name import NAME
from app.services import SERVICES
from tests.chart.chart import rendered
from tests.support.certificates import NAMES, issued
from tests.support.servers.process import ROOT, ServerProcess, environment, server_process, with_probe

TOKEN = "a-token-for-tests-only"  # noqa: S105 - of this test only
KEYS = {"issuer": "https://issuer.example/", "audience": "api", "keys": {"existingSecret": "keys"}}

# Exit codes of the command line: 64 and the status code.
UNAVAILABLE, PERMISSION_DENIED, UNAUTHENTICATED = 64 + 14, 64 + 7, 64 + 16

# The script starts the command line several times.
pytestmark = pytest.mark.timeout(240)


def script(
    values: dict[str, Any],
    server: ServerProcess,
    token: Path,
    ca: Path = Path("none"),
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    [container] = rendered(values)[f"Pod/{NAME}-test"]["spec"]["containers"]
    written: str = container["args"][0]
    for there, here in {
        f"http://{NAME}:9464": str(server.serving["metrics"][0]).removesuffix("/metrics"),
        f"{NAME}:50051": server.target,
        f"/run/secrets/{NAME}/token": str(token),
        "/run/secrets/tls/ca.crt": str(ca),
    }.items():
        written = written.replace(there, here)
    return subprocess.run(
        [*container["command"], written],
        env=env or with_probe(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return file


REJECTED = "a call without a token was rejected"
NO_CALL = "no call: no method is marked NO_SIDE_EFFECTS"


@contextmanager
def with_tokens(tmp_path: Path, **variables: str) -> Iterator[ServerProcess]:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"default:{TOKEN}\n")
    with server_process(
        APP_AUTH_MODE="tokens", APP_AUTH_TOKENS_FILE=str(tokens), APP_REFLECTION="false", **variables
    ) as server:
        yield server


def test_with_tokens_it_checks_health_and_that_calls_need_the_token(token: Path, tmp_path: Path) -> None:
    with with_tokens(tmp_path) as server:
        done = script({}, server, token)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert (lines[:2], lines[-1]) == (["ready", "SERVING"], REJECTED)
        assert "accepted" in done.stdout
        assert "answered" in done.stdout

        token.write_text("the-token-of-somebody-else")
        assert script({}, server, token).returncode == UNAUTHENTICATED


def test_a_caller_without_the_permission_passes_only_where_the_values_have_permissions(
    token: Path, tmp_path: Path
) -> None:
    services = [service.name for service in SERVICES]
    require = "; ".join(f"{name} name:somebody-else" for name in services)
    with with_tokens(tmp_path, APP_AUTH_REQUIRE=require) as server:
        done = script({"auth": {"require": require}}, server, token)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, REJECTED), done.stderr
        assert script({}, server, token).returncode == PERMISSION_DENIED


def test_with_an_issuer_it_fails_where_the_server_answers_without_a_token(
    token: Path, tmp_path: Path
) -> None:
    values = {"auth": {"mode": "jwt", "jwt": KEYS}}
    with with_tokens(tmp_path) as server:
        done = script(values, server, token)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ["ready", "SERVING", REJECTED]
    with server_process() as server:
        done = script(values, server, token)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "a call without a token was answered")
        done = script({"auth": {"mode": "none"}}, server, token)
        assert (done.returncode, done.stdout.splitlines()[:2]) == (0, ["ready", "SERVING"])
        assert "answered" in done.stdout


def test_without_a_method_that_is_safe_to_call_it_only_checks_health(token: Path, tmp_path: Path) -> None:
    no_services = "from app import services\nservices.SERVICES = ()\n"
    (tmp_path / "sitecustomize.py").write_text(no_services)
    with with_tokens(tmp_path) as server:
        done = script({}, server, token, env=environment(PYTHONPATH=f"{tmp_path}:{ROOT}"))
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert (lines[:2], lines[-1]) == (["ready", "SERVING"], NO_CALL)


def test_with_tls_it_calls_if_the_secret_has_the_ca_and_prints_a_line_if_not(
    token: Path, tmp_path: Path
) -> None:
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
        assert done.returncode == 0, done.stderr
        assert "answered" in done.stdout
        assert script(values, server, token, tmp_path / "other").returncode == UNAVAILABLE

        done = script(values, server, token)
        assert (done.returncode, done.stdout) == (0, "ready\nno calls: certificate has no ca.crt\n")
        done = script(values | {"tls": tls | {"clientCa": {"enabled": True}}}, server, token)
        assert (done.returncode, done.stdout) == (
            0,
            "ready\nno calls: this pod has no client certificate\n",
        )

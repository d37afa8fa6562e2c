"""The server takes what the chart gives it, whatever the switches."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec

from app.core.errors import StartError
from app.services.quotes import QUOTER
from app.settings import Settings, load
from tests.chart.chart import Objects, rendered, variables
from tests.chart.combinations import COMBINATIONS

LISTENS = {"APP_LISTEN": "0.0.0.0:50051", "APP_METRICS_LISTEN": "0.0.0.0:9464"}  # as in the Dockerfile


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files that the server finds in its pod, by their paths there."""
    folder = tmp_path_factory.mktemp("pod")
    ca = trustme.CA()
    issued = ca.issue_cert("quoter", not_after=dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
    key = jwt.algorithms.ECAlgorithm.to_jwk(
        ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True
    )
    content = {
        "/run/secrets/quoter/tokens": b"default:a-token-for-tests-only\n",
        "/run/secrets/jwt/jwks.json": json.dumps({"keys": [key]}).encode(),
        "/run/secrets/tls/tls.crt": b"".join(one.bytes() for one in issued.cert_chain_pems),
        "/run/secrets/tls/tls.key": issued.private_key_pem.bytes(),
        "/run/secrets/tls/ca.crt": ca.cert_pem.bytes(),
        "/run/secrets/client-ca/ca.crt": ca.cert_pem.bytes(),
        "/etc/quoter/quotes.txt": b"Well begun is half done. ~ Aristotle\n",
    }
    found = {}
    for path, data in content.items():
        found[path] = folder / path.replace("/", "-")
        found[path].write_bytes(data)
    return found


def settings(objects: Objects, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the server reads of its variables; raises StartError where it would not start."""
    given = LISTENS | {name: value for name, value in variables(objects).items() if name.startswith("APP_")}
    for name, value in given.items():
        assert value is not None
        monkeypatch.setenv(name, str(files.get(value, value)))
    return load()


@pytest.mark.parametrize("values", COMBINATIONS, ids=range(len(COMBINATIONS)))
def test_the_server_starts_with_every_combination(
    values: dict[str, Any], files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings(rendered(values), files, monkeypatch)
    assert found.auth.auth_mode == values["auth"]["mode"]
    assert found.server.reflection is values["reflection"]
    expected = "mutual" if values["tls"]["clientCa"]["enabled"] else "on"
    assert found.tls.mode == (expected if values["tls"]["enabled"] else "off")


def test_each_value_arrives_as_its_setting(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "services": ["quotes.Quoter", "calc.Calculator"],
        "auth": {
            "mode": "jwt",
            "require": "quotes.Quoter/AddQuotes scope:quotes.write; calc.Calculator name:bob",
            "jwt": {
                "issuer": "https://issuer.example/",
                "audience": "quoter",
                "algorithms": ["ES256", "RS256"],
                "leewaySeconds": 2.5,
                "jwksUrl": "https://issuer.example/keys",
            },
        },
        "limits": {
            "workers": 3,
            "maxCalls": 100_000,
            "maxStreams": 7,
            "maxWatches": 10_000,
            "maxDeadlineSeconds": 1.5,
            "maxConnectionCalls": 99_999,
            "maxMessageBytes": 1_000_000_000,
            "maxMetadataBytes": 1_048_576,
        },
        "keepalive": {"timeSeconds": 86_400, "timeoutSeconds": 0.5, "permitTimeSeconds": 6},
        "quotes": {"existingConfigMap": "mine"},
        "drain": {"delaySeconds": 86_400, "graceSeconds": 86_399},
        "maxConnectionAgeSeconds": 3_600,
    }
    found = settings(rendered(values), files, monkeypatch)
    assert found.server.services == ("quotes.Quoter", "calc.Calculator")
    assert found.auth.auth_require is not None
    assert (found.auth.jwt_issuer, found.auth.jwt_audience) == ("https://issuer.example/", "quoter")
    assert (found.auth.jwt_algorithms, found.auth.jwt_leeway) == (("ES256", "RS256"), 2.5)
    assert found.auth.jwt_jwks_url == "https://issuer.example/keys"
    assert (
        found.server.workers,
        found.server.max_calls,
        found.server.max_streams,
        found.server.max_watches,
    ) == (3, 100_000, 7, 10_000)
    assert (found.server.max_deadline, found.server.max_connection_calls) == (1.5, 99_999)
    assert (found.server.max_message_bytes, found.server.max_metadata_bytes) == (1_000_000_000, 1_048_576)
    assert (
        found.server.keepalive_time,
        found.server.keepalive_timeout,
        found.server.permit_keepalive_time,
    ) == (86_400, 0.5, 6)
    assert (found.server.drain_delay, found.server.drain_grace, found.server.max_connection_age) == (
        86_400,
        86_399,
        3_600,
    )
    assert found.of(QUOTER).quotes_file == files["/etc/quoter/quotes.txt"]


def test_the_server_would_refuse_what_does_not_fit(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = rendered({"extraEnv": [{"name": "APP_WORKER", "value": "3"}]})
    with pytest.raises(StartError, match="did you mean APP_WORKERS"):
        settings(wrong, files, monkeypatch)

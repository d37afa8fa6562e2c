"""The server accepts the variables that the chart sets, for every combination of switches."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec

from app.core.errors import StartError
from app.core.name import NAME
from app.core.section import settings_of
from app.database.opening import url_of
from app.settings import FRAME, Settings, load
from tests.chart.chart import Objects, rendered, variables
from tests.chart.combinations import COMBINATIONS
from tests.support.chart import SECRET
from tests.support.servers.echo import ECHO


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files in the server's pod, by their paths."""
    folder = tmp_path_factory.mktemp("pod")
    ca = trustme.CA()
    issued = ca.issue_cert("server.example", not_after=dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
    key = jwt.algorithms.ECAlgorithm.to_jwk(
        ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True
    )
    content = {
        f"/run/secrets/{NAME}/tokens": b"default:a-token-for-tests-only\n",
        "/run/secrets/jwt/jwks.json": json.dumps({"keys": [key]}).encode(),
        "/run/secrets/tls/tls.crt": b"".join(one.bytes() for one in issued.cert_chain_pems),
        "/run/secrets/tls/tls.key": issued.private_key_pem.bytes(),
        "/run/secrets/tls/ca.crt": ca.cert_pem.bytes(),
        "/run/secrets/client-ca/ca.crt": ca.cert_pem.bytes(),
    }
    found = {}
    for path, data in content.items():
        found[path] = folder / path.replace("/", "-")
        found[path].write_bytes(data)
    found["/run/secrets/database"] = secret = folder / "database"
    secret.mkdir()
    (secret / "uri").write_text("postgresql://server:s3cr3t@database/items")
    return found


def settings(objects: Objects, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that the server reads from its variables. Raises StartError if it would not start."""
    given = {name: value for name, value in variables(objects).items() if name.startswith("APP_")}
    for name, value in given.items():
        assert value is not None
        monkeypatch.setenv(name, str(files.get(value, value)))
    found = load(services=[ECHO])
    assert found.unknown_variables == ()
    return found


@pytest.mark.parametrize("values", COMBINATIONS, ids=range(len(COMBINATIONS)))
def test_the_server_starts_with_every_combination(
    values: dict[str, Any], files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings(rendered(values), files, monkeypatch)
    assert found.auth.auth_mode == values["auth"]["mode"]
    assert found.server.reflection is values["reflection"]
    expected = "mutual" if values["tls"]["clientCa"]["enabled"] else "on"
    assert found.tls.mode == (expected if values["tls"]["enabled"] else "off")


def test_every_value_reaches_its_setting(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "services": ["probe.Probe"],
        "auth": {
            "mode": "jwt",
            "require": "probe.Probe/Unary scope:probe.read; probe.Probe name:bob",
            "jwt": {
                "issuer": "https://issuer.example/",
                "audience": "api",
                "algorithms": ["ES256", "RS256"],
                "leewaySeconds": 2.5,
                "jwksUrl": "http://issuer.example/keys",
                "jwksAllowHttp": True,
            },
        },
        "server": {
            "workers": 3,
            "maxCalls": 100_000,
            "maxQueueSeconds": 0.5,
            "maxStreams": 7,
            "maxWatches": 10_000,
            "firstMessageTimeoutSeconds": 2.5,
            "maxWaitingCalls": 300,
            "maxDeadlineSeconds": 1.5,
            "maxConnections": 1_000_000,
            "maxConnectionIdleSeconds": 9.5,
            "maxConnectionCalls": 99_999,
            "maxMessageBytes": 1_000_000_000,
            "maxMetadataBytes": 1_048_576,
            "compression": False,
            "resetProtection": False,
        },
        "keepalive": {"timeSeconds": 86_400, "timeoutSeconds": 0.5, "permitTimeSeconds": 6},
        "database": {
            "existingSecret": "database",
            "outage": "serve-reads",
            "poolSize": 33,
            "poolWaitSeconds": 0.25,
            "connectTimeoutSeconds": 9,
        },
        "drain": {"delaySeconds": 86_400, "graceSeconds": 86_399},
        "maxConnectionAgeSeconds": 3_600,
        "containerPorts": {"grpc": 8443, "metrics": 8080},
        "log": {
            "fields": "gcp",
            "gcpProject": "my-project",
            "maxWaitingLines": 1_000_000,
            "maxStderrLinesPerSecond": 10_000,
        },
    }
    found = settings(rendered(values), files, monkeypatch)
    server, auth = found.server, found.auth
    assert [str(one) for one in (*server.listen, *server.metrics_listen)] == ["[::]:8443", "[::]:8080"]
    assert server.services == ("probe.Probe",)
    assert auth.auth_require is not None
    assert (auth.jwt_issuer, auth.jwt_audience) == ("https://issuer.example/", "api")
    assert (auth.jwt_algorithms, auth.jwt_leeway) == (("ES256", "RS256"), 2.5)
    assert auth.jwt_jwks_url == "http://issuer.example/keys"
    assert (server.workers, server.max_calls, server.max_queue_time) == (3, 100_000, 0.5)
    assert (server.max_streams, server.max_watches) == (7, 10_000)
    assert (server.first_message_timeout, server.max_waiting_calls) == (2.5, 300)
    assert (server.max_deadline, server.max_connection_calls) == (1.5, 99_999)
    assert (server.max_message_bytes, server.max_metadata_bytes) == (1_000_000_000, 1_048_576)
    assert (server.max_connections, server.max_connection_idle) == (1_000_000, 9.5)
    assert (server.compression, server.reset_protection) == (False, False)
    assert (server.keepalive_time, server.keepalive_timeout) == (86_400, 0.5)
    assert server.permit_keepalive_time == 6
    assert (server.log_max_waiting, server.log_max_stderr) == (1_000_000, 10_000)
    database = found.database
    assert url_of(database).dialect == "postgresql"
    assert (database.database_outage, database.database_pool_size) == ("serve-reads", 33)
    assert (database.database_pool_wait, database.database_connect_timeout) == (0.25, 9)
    assert (server.log_fields, server.log_gcp_project) == ("gcp", "my-project")
    assert (server.drain_delay, server.drain_grace, server.max_connection_age) == (86_400, 86_399, 3_600)


def test_the_chart_sets_every_setting_of_the_frame_and_no_others() -> None:
    switched_on = {
        "services": ["probe.Probe"],
        "auth": {"require": "probe.Probe name:bob"},
        "log": {"fields": "gcp", "gcpProject": "my-project"},
        "database": {"existingSecret": "database"},
    }
    keys = {"mode": "jwt", "jwt": {"issuer": "i", "audience": "a", "keys": {"existingConfigMap": "keys"}}}
    url = {"mode": "jwt", "jwt": {"issuer": "i", "audience": "a", "jwksUrl": "https://issuer.example/keys"}}
    tls = {"enabled": True, "existingSecret": "certificate", "clientCa": {"enabled": True}}
    given = {
        name
        for values in (switched_on, {"auth": keys}, {"auth": url}, {"tls": tls})
        for name in variables(rendered(values))
        if name.startswith("APP_")
    }
    settings = {name for section in FRAME.values() for name in settings_of(section)} - SECRET
    assert given == settings


def test_the_server_rejects_an_unknown_variable(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = rendered({"extraEnv": [{"name": "APP_WORKER", "value": "3"}]})
    with pytest.raises(StartError, match="did you mean APP_WORKERS"):
        settings(wrong, files, monkeypatch)

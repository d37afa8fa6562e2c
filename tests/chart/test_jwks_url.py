"""The chart and the server agree about the JWKS URL, and the chart mounts a private CA."""

from typing import Any

import pytest

from app.reload.url import is_secure
from tests.chart.chart import refusal, rendered, variables, volumes

JWT: dict[str, Any] = {"issuer": "https://issuer.example/", "audience": "api"}


def values(**jwt: Any) -> dict[str, Any]:
    return {"auth": {"mode": "jwt", "jwt": JWT | jwt}}


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example/keys",
        "http://keycloak.auth:8080/realms/a/protocol/openid-connect/certs",
        "http://localhost:8080/keys",
        "http://localhost",
        "http://127.0.0.1/keys",
        "http://127.1.2.3?a",
        "http://[::1]:80/keys",
        "http://[::2]/keys",
        "http://10.0.0.1/keys",
        "http://localhost.attacker.test/",
        "http://127.0.0.1.attacker.test/",
    ],
)
def test_the_chart_rejects_the_urls_that_the_server_rejects(url: str) -> None:
    if is_secure(url):
        assert variables(rendered(values(jwksUrl=url)))["APP_JWT_JWKS_URL"] == url
    else:
        assert "auth.jwt.jwksUrl is not secure" in refusal(values(jwksUrl=url))
    permitted = variables(rendered(values(jwksUrl=url, jwksAllowHttp=True)))
    assert (permitted["APP_JWT_JWKS_URL"], permitted["APP_JWT_JWKS_ALLOW_HTTP"]) == (url, "true")


@pytest.mark.parametrize(
    ("name", "volume"),
    [
        ("existingSecret", {"secret": {"secretName": "ca"}}),
        ("existingConfigMap", {"configMap": {"name": "ca"}}),
    ],
)
def test_a_private_ca_is_mounted_and_trusted(name: str, volume: dict[str, dict[str, str]]) -> None:
    objects = rendered(values(jwksUrl="https://issuer.here/keys", jwksCa={name: "ca", "key": "root.pem"}))
    assert variables(objects)["SSL_CERT_FILE"] == "/run/secrets/jwks-ca/root.pem"
    [(kind, source)] = volume.items()
    mounted = volumes(objects)["/run/secrets/jwks-ca"][kind]
    assert source.items() <= mounted.items()
    assert mounted["items"] == [{"key": "root.pem", "path": "root.pem"}]


@pytest.mark.parametrize(
    ("jwt", "words"),
    [
        (
            {"keys": {"existingSecret": "k"}, "jwksCa": {"existingSecret": "ca"}},
            "only valid with auth.jwt.jwksUrl",
        ),
        (
            {"jwksUrl": "https://i/", "jwksCa": {"existingSecret": "a", "existingConfigMap": "b"}},
            "auth.jwt.jwksCa.existingSecret and auth.jwt.jwksCa.existingConfigMap conflict",
        ),
    ],
)
def test_a_private_ca_that_has_no_effect_is_an_error(jwt: dict[str, Any], words: str) -> None:
    assert words in refusal(values(**jwt))

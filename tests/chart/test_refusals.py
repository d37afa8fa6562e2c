"""Conflicting values fail, and the error names them and a valid choice."""

from typing import Any

import pytest

from tests.chart.chart import refusal, rendered, variables
from tests.chart.combinations import IMPOSSIBLE, ROWS, complete
from tests.chart.examples import README

JWT = {"issuer": "https://issuer.example/", "audience": "api", "jwksUrl": "https://issuer.example/keys"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"drain": {"delaySeconds": 41}}, ["drain.delaySeconds is 41", "for 41 seconds", "more than 41"]),
        (
            {"drain": {"clientLookupSeconds": 1, "delaySeconds": 12}},
            ["drain.delaySeconds is 12", "within 1 s (drain.clientLookupSeconds)"],
        ),
        ({"maxConnectionAgeSeconds": 60, "drain": {"delaySeconds": 45}}, ["for 96 seconds", "more than 96"]),
        (
            {"server": {"maxDeadlineSeconds": 3600}},
            [
                "server.maxDeadlineSeconds is 3600",
                "a call has only 304 seconds before a draining pod is killed",
                "drain.graceSeconds to 3596 or more",
            ],
        ),
        (
            {"drain": {"graceSeconds": 20}, "server": {"maxDeadlineSeconds": 30}},
            ["server.maxDeadlineSeconds is 30", "24 or less"],
        ),
        ({"limits": {"workers": 16}}, ["- limits was renamed to server\n"]),
        (
            {"drain": {"clients": "own"}},
            ["drain.clients was renamed to drain.clientLookupSeconds: 30 in place of `any`"],
        ),
        ({"auth": {"mode": "none", "existingSecret": "mine"}}, ["auth.existingSecret is only valid with"]),
        (
            {"auth": {"mode": "none", "require": "acme.inventory.v1.InventoryService name:bob"}},
            ["auth.require is only valid with"],
        ),
        (
            {"auth": {"jwt": {"issuer": "https://issuer.example/"}}},
            ["auth.jwt is only valid with auth.mode=jwt"],
        ),
        (
            {"auth": {"mode": "jwt"}},
            ["requires auth.jwt.issuer", "requires auth.jwt.audience", "exactly one source of keys"],
        ),
        (
            {"auth": {"mode": "jwt", "jwt": JWT | {"keys": {"existingSecret": "keys"}}}},
            ["exactly one source of keys"],
        ),
        ({"auth": {"mode": "jwt", "jwt": JWT | {"algorithms": ["HS256"]}}}, ["HS256 in auth.jwt.algorithms"]),
        ({"log": {"gcpProject": "my-project"}}, ["log.gcpProject is only valid with log.fields=gcp"]),
        ({"tls": {"enabled": True}}, ["tls.enabled requires a certificate"]),
        ({"tls": {"existingSecret": "certificate"}}, ["are only valid with tls.enabled"]),
        ({"tls": {"clientCa": {"enabled": True}}}, ["are only valid with tls.enabled"]),
        ({"tls": {"certManager": {"enabled": True}}}, ["are only valid with tls.enabled"]),
        (
            {"tls": {"enabled": True, "existingSecret": "c", "clientCa": {"existingSecret": "ca"}}},
            ["tls.clientCa.existingSecret is only valid with tls.clientCa.enabled"],
        ),
        (
            {"tls": {"enabled": True, "existingSecret": "c", "certManager": {"enabled": True}}},
            ["tls.certManager.enabled conflict", "requires tls.certManager.issuer.name"],
        ),
        (
            {"autoscaling": {"enabled": True, "minReplicas": 11}},
            ["autoscaling.minReplicas (11) is greater than"],
        ),
        (
            {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}},
            ["resources.requests.cpu"],
        ),
        ({"service": {"nodePort": 30001}}, ["are only valid with service.type=NodePort or LoadBalancer"]),
        (
            {"service": {"type": "NodePort", "loadBalancerIP": "10.0.0.1"}},
            ["are only valid with service.type=LoadBalancer"],
        ),
        *(
            (
                {"service": {"type": kind, "metricsPort": 80}},
                [
                    "service.metricsPort is only valid with service.type=ClusterIP",
                    f"with {kind} the Service has no port of metrics. Leave it out; the headless Service",
                ],
            )
            for kind in ("NodePort", "LoadBalancer")
        ),
        ({"containerPorts": {"grpc": 9464}}, ["containerPorts.grpc and containerPorts.metrics are the same"]),
        ({"service": {"grpcPort": 9464}}, ["service.grpcPort and service.metricsPort are the same port"]),
        ({"ingress": {"host": "a"}}, ["ingress.host was renamed to ingress.hosts: a list"]),
        ({"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}, ["scrape each pod twice"]),
        ({"grpcRoute": {"enabled": True}}, ["grpcRoute.enabled requires grpcRoute.parentRefs"]),
        (
            {"extraEnv": [{"name": "APP_WORKERS", "value": "3"}]},
            ["extraEnv cannot set APP_WORKERS, which follows from the chart's values: set server.workers"],
        ),
        (
            {"database": {"keys": {"uri": "url"}}},
            ["database.keys, database.sslMode, database.ca and database.migrate are only valid with"],
        ),
        (
            {"database": {"migrate": {"mode": "init-container"}}},
            ["database.migrate are only valid with database.existingSecret"],
        ),
        (
            {"database": {"existingSecret": "a", "keys": {"host": "h", "user": "u"}}},
            ["database.keys lacks password, dbname: name the key of `uri`, or those of `host`, `user`"],
        ),
        (
            {"database": {"existingSecret": "a", "ca": {"existingSecret": "b", "existingConfigMap": "c"}}},
            ["database.ca.existingConfigMap and database.ca.public conflict: set only one"],
        ),
        (
            {"database": {"existingSecret": "a", "ca": {"existingSecret": "b", "public": True}}},
            ["database.ca.existingConfigMap and database.ca.public conflict: set only one"],
        ),
        (
            {"database": {"existingSecret": "a", "sslMode": "require", "ca": {"public": True}}},
            ["database.ca.public requires database.sslMode=verify-full, not require, since public CAs"],
        ),
        *(
            (
                {"database": {"existingSecret": "a", "sslMode": mode}},
                [f"database.sslMode={mode} requires a CA: set database.ca.existingSecret", "ca.public=true"],
            )
            for mode in ("verify-ca", "verify-full")
        ),
        (
            {"database": {"existingSecret": "a", "ca": {"key": "b.pem"}}},
            ["database.ca.key is only valid with database.ca.existingSecret or database.ca.existingConfig"],
        ),
        *(
            ({"database": {"ca": ca}}, ["database.ca and database.migrate are only valid with database.ex"])
            for ca in ({"key": "b.pem"}, {"public": True})
        ),
        (
            {"database": {"existingSecret": "a", "keys": {"uri": "u", "host": "h", "port": "p"}}},
            ["database.keys names uri and host, port: name the key of the URL, or those of its parts"],
        ),
        *(
            (
                {"extraEnv": [{"name": "APP_DATABASE_URL", "value": url}]},
                ["APP_DATABASE_URL in extraEnv would have its password", "set database.existingSecret"],
            )
            for url in ("postgresql://a:b@c/d", "postgres://a:b@c/d", " PostgreSQL://a:$(B)@c/d")
        ),
        (
            {"database": {"existingSecret": "a", "migrate": {"mode": "none", "existingSecret": "b"}}},
            ["database.migrate.existingSecret is only valid with database.migrate.mode=job or init-"],
        ),
        (
            {"database": {"existingSecret": "a"}, "extraEnv": [{"name": "APP_DATABASE_URL", "value": "b"}]},
            ["APP_DATABASE_URL in extraEnv and database.existingSecret are two databases: set only one"],
        ),
        (
            {"extraEnv": [{"name": "APP_DATABASE_URL", "value": "sqlite:////data/items.db"}]},
            ["which only one pod may use: set replicaCount=1, strategy.type=Recreate and"],
        ),
        *(
            (
                {"database": {"existingSecret": "a"}, "extraEnv": [{"name": name, "value": "require"}]},
                [f"extraEnv cannot set {name}, which follows from the chart's values: set {value}"],
            )
            for name, value in (("PGSSLMODE", "database.sslMode"), ("PGSSLROOTCERT", "database.ca"))
        ),
        *(
            (
                {"database": {"existingSecret": "a"}, "extraEnv": [{"name": name, "value": "a"}]},
                [f"extraEnv cannot set {name}, which a migration would not have: give the setting to"],
            )
            for name in ("PGOPTIONS", "PGSSLCERT", "PGPASSWORD")
        ),
        (
            {"extraEnv": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
            ["extraEnv sets A, which is already set"],
        ),
    ],
)
def test_conflicting_values_fail_with_an_explanation(values: dict[str, Any], words: list[str]) -> None:
    error = refusal(values)
    assert "conflicting values" in error
    for one in words:
        assert one in error


@pytest.mark.parametrize(
    "values",
    [
        {"drain": {"delaySeconds": 42}},
        {"drain": {"clientLookupSeconds": 1, "delaySeconds": 13}},
        {"drain": {"graceSeconds": 20}, "server": {"maxDeadlineSeconds": 24}},
        {"drain": {"graceSeconds": 3596}, "server": {"maxDeadlineSeconds": 3600}},
        {
            "extraEnv": [{"name": "APP_DATABASE_URL", "value": "sqlite:////data/items.db"}],
            "replicaCount": 1,
            "strategy": {"type": "Recreate"},
        },
    ],
)
def test_values_at_the_limit_are_accepted(values: dict[str, Any]) -> None:
    rendered(values)


@pytest.mark.parametrize("drain", [{"delaySeconds": 0}, {"delaySeconds": 7, "graceSeconds": 0}])
def test_a_drain_that_is_turned_off_is_not_checked(drain: dict[str, int]) -> None:
    found = variables(rendered({"drain": drain, "server": {"maxDeadlineSeconds": 86_400}}))
    assert found["APP_DRAIN_DELAY"] == str(drain["delaySeconds"])


@pytest.mark.parametrize("pair", sorted(map(sorted, IMPOSSIBLE)), ids=str)
def test_the_pairs_that_no_combination_has_are_rejected(
    pair: list[tuple[str, Any]],
) -> None:
    off = {name: False if isinstance(value, bool) else value for name, value in ROWS[0].items()}
    refusal(complete(off | dict(pair)))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replicas": 3}, "'replicas' not allowed"),
        ({"tls": {"certManager": {"issuer": {"nam": "ca"}}}}, "'nam' not allowed"),
        ({"extraEnv": [{"name": "A", "valu": ""}]}, "'valu' not allowed"),
        ({"server": {"maxCalls": 0}}, "/server/maxCalls"),
        ({"auth": {"jwt": {"algorithms": ["none"]}}}, "/auth/jwt/algorithms/0"),
        ({"podDisruptionBudget": {"maxUnavailable": 0}}, "/podDisruptionBudget/maxUnavailable"),
        ({"image": {"digest": "latest"}}, "/image/digest"),
        ({"database": {"migrate": {"mode": "jobs"}}}, "/database/migrate/mode"),
        ({"database": {"keys": {"url": "a"}}}, "'url' not allowed"),
        ({"database": {"keys": {"uri": "a/b"}}}, "/database/keys/uri"),
        ({"database": {"sslMode": "on"}}, "/database/sslMode"),
        ({"enabled": "yes"}, "/enabled"),
        ({"global": {"imageRegistry": 1}}, "/global/imageRegistry"),
        ({"livenessProbe": {"grpc": 1}}, "at '/livenessProbe': additional properties 'grpc' not allowed"),
    ],
)
def test_the_chart_rejects_an_unknown_or_invalid_value_by_name(values: dict[str, Any], named: str) -> None:
    assert named in refusal(values)


def test_the_readme_has_the_seconds_that_the_chart_computes() -> None:
    words = " ".join(README.split())
    assert "resolved addresses again: 41 seconds" in words
    assert "for 41 seconds" in refusal({"drain": {"delaySeconds": 1}})
    assert "`drain.clientLookupSeconds: 1` makes the delay 16 seconds" in words
    assert variables(rendered({"drain": {"clientLookupSeconds": 1}}))["APP_DRAIN_DELAY"] == "16"

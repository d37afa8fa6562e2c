"""Values that do not go together are refused, and the words say which and what would be right."""

from typing import Any

import pytest

from tests.chart.chart import refusal, rendered, variables
from tests.chart.combinations import IMPOSSIBLE, ROWS, with_what_it_needs
from tests.chart.examples import README

JWT = {"issuer": "https://issuer.example/", "audience": "quoter", "jwksUrl": "https://issuer.example/keys"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"drain": {"delaySeconds": 41}}, ["drain.delaySeconds is 41", "for 41 seconds", "more than 41"]),
        (
            {"drain": {"clients": "own", "delaySeconds": 12}},
            ["drain.delaySeconds is 12", "(drain.clients: own)"],
        ),
        ({"maxConnectionAgeSeconds": 60, "drain": {"delaySeconds": 45}}, ["for 96 seconds", "more than 96"]),
        (
            {"limits": {"maxDeadlineSeconds": 3600}},
            [
                "limits.maxDeadlineSeconds is 3600",
                "leaves a call 304 seconds",
                "drain.graceSeconds to 3596 or more",
            ],
        ),
        (
            {"drain": {"graceSeconds": 20}, "limits": {"maxDeadlineSeconds": 30}},
            ["limits.maxDeadlineSeconds is 30", "24 or less"],
        ),
        ({"auth": {"mode": "none", "existingSecret": "mine"}}, ["auth.existingSecret counts only with"]),
        (
            {"auth": {"mode": "none", "require": "calc.Calculator name:bob"}},
            ["auth.require counts only with"],
        ),
        (
            {"auth": {"jwt": {"issuer": "https://issuer.example/"}}},
            ["auth.jwt counts only with auth.mode=jwt"],
        ),
        (
            {"auth": {"mode": "jwt"}},
            ["needs auth.jwt.issuer", "needs auth.jwt.audience", "needs the issuer's keys from one place"],
        ),
        ({"auth": {"mode": "jwt", "jwt": JWT | {"keys": {"existingSecret": "keys"}}}}, ["from one place"]),
        ({"auth": {"mode": "jwt", "jwt": JWT | {"algorithms": ["HS256"]}}}, ["HS256 in auth.jwt.algorithms"]),
        ({"tls": {"enabled": True}}, ["tls.enabled needs a certificate"]),
        ({"tls": {"existingSecret": "certificate"}}, ["count only with tls.enabled"]),
        ({"tls": {"clientCa": {"enabled": True}}}, ["count only with tls.enabled"]),
        ({"tls": {"certManager": {"enabled": True}}}, ["count only with tls.enabled"]),
        (
            {"tls": {"enabled": True, "existingSecret": "c", "clientCa": {"existingSecret": "ca"}}},
            ["tls.clientCa.existingSecret counts only with tls.clientCa.enabled"],
        ),
        (
            {"tls": {"enabled": True, "existingSecret": "c", "certManager": {"enabled": True}}},
            ["are two certificates", "needs tls.certManager.issuer.name"],
        ),
        ({"quotes": {"text": "a ~ b", "existingConfigMap": "mine"}}, ["are two sources of quotes"]),
        ({"autoscaling": {"enabled": True, "minReplicas": 11}}, ["autoscaling.minReplicas (11) is above"]),
        (
            {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}},
            ["resources.requests.cpu"],
        ),
        ({"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}, ["scraped twice"]),
        ({"grpcRoute": {"enabled": True}}, ["grpcRoute.enabled needs grpcRoute.parentRefs"]),
        ({"extraEnv": [{"name": "APP_WORKERS", "value": "3"}]}, ["extraEnv has APP_WORKERS"]),
        ({"extraEnv": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}, ["extraEnv has A,"]),
    ],
)
def test_values_that_cannot_work_together_are_refused_in_words(
    values: dict[str, Any], words: list[str]
) -> None:
    said = refusal(values)
    assert "these values do not go together" in said
    for one in words:
        assert one in said


@pytest.mark.parametrize(
    "values",
    [
        {"drain": {"delaySeconds": 42}},
        {"drain": {"clients": "own", "delaySeconds": 13}},
        {"drain": {"graceSeconds": 20}, "limits": {"maxDeadlineSeconds": 24}},
        {"drain": {"graceSeconds": 3596}, "limits": {"maxDeadlineSeconds": 3600}},
    ],
)
def test_what_just_suffices_is_let_in(values: dict[str, Any]) -> None:
    rendered(values)


@pytest.mark.parametrize("drain", [{"delaySeconds": 0}, {"delaySeconds": 7, "graceSeconds": 0}])
def test_a_drain_that_somebody_has_turned_off_is_not_checked(drain: dict[str, int]) -> None:
    found = variables(rendered({"drain": drain, "limits": {"maxDeadlineSeconds": 86_400}}))
    assert found["APP_DRAIN_DELAY"] == str(drain["delaySeconds"])


@pytest.mark.parametrize("pair", IMPOSSIBLE, ids=lambda pair: " ".join(sorted(map(str, pair))))
def test_the_pairs_that_no_combination_has_are_those_that_are_refused(
    pair: frozenset[tuple[str, Any]],
) -> None:
    off = {name: False if isinstance(value, bool) else value for name, value in ROWS[0].items()}
    refusal(with_what_it_needs(off | dict(pair)))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replicas": 3}, "'replicas' not allowed"),
        ({"tls": {"certManager": {"issuer": {"nam": "ca"}}}}, "'nam' not allowed"),
        ({"extraEnv": [{"name": "A", "valu": ""}]}, "'valu' not allowed"),
        ({"limits": {"maxCalls": 0}}, "/limits/maxCalls"),
        ({"auth": {"jwt": {"algorithms": ["none"]}}}, "/auth/jwt/algorithms/0"),
        ({"podDisruptionBudget": {"maxUnavailable": 0}}, "/podDisruptionBudget/maxUnavailable"),
        ({"image": {"digest": "latest"}}, "/image/digest"),
    ],
)
def test_a_value_that_does_not_exist_or_fit_is_refused_by_its_name(
    values: dict[str, Any], named: str
) -> None:
    assert named in refusal(values)


def test_the_readme_has_the_seconds_that_the_chart_reckons_with() -> None:
    words = " ".join(README.split())
    assert "looked addresses up again: 41 seconds" in words
    assert "for 41 seconds" in refusal({"drain": {"delaySeconds": 1}})
    assert "`drain.clients: own` makes the delay 16 seconds" in words
    assert variables(rendered({"drain": {"clients": "own"}}))["APP_DRAIN_DELAY"] == "16"

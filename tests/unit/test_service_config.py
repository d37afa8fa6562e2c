"""Validation of the service config, and its JSON."""

import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from app.client.options import Keepalive
from app.client.outlier_detection import FailurePercentage, OutlierDetection, SuccessRate
from app.client.retries import RetryPolicy, RetryThrottling
from app.client.service_config import MethodConfig, ServiceConfig
from tests.gen import probe_pb2

PROBE = probe_pb2.DESCRIPTOR.services_by_name["Probe"]
NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "field", "values", "expected"),
    [
        (RetryPolicy, "max_attempts", [1, 6, 0, -1, 3.0, "3", True, None], "an integer from 2 to 5"),
        (RetryPolicy, "initial_backoff", [0, 0.001, -1, NAN, INFINITE, "0.1s", True], "from 0.01 to 86400"),
        (RetryPolicy, "max_backoff", [0.05, 86_401, "1s"], "from 0.1 to 86400"),
        (RetryPolicy, "multiplier", [0.5, 0, NAN, "2"], "a number from 1 to 100"),
        (RetryPolicy, "codes", [frozenset(), frozenset({14}), frozenset({"UNAVAILABLE"})], "StatusCode"),
        (RetryPolicy, "codes", ["UNAVAILABLE", [grpc.StatusCode.UNAVAILABLE], None], "a frozenset"),
        (RetryPolicy, "codes", [frozenset({grpc.StatusCode.OK})], "codes other than OK"),
        (RetryThrottling, "max_tokens", [0, 2, 1001, 10.5], "an integer from 3 to 1000"),
        (RetryThrottling, "token_ratio", [0, 0.0001, 2, NAN], "a number from 0.001 to 1"),
        (MethodConfig, "timeout", [0, 0.0001, "1s", NAN, 100_000], "a number of seconds from 0.001 to 86400"),
        (MethodConfig, "wait_for_ready", [1, 0, "true"], "True, False or None"),
        (OutlierDetection, "interval", [0, "10s"], "a number of seconds"),
        (OutlierDetection, "base_ejection_time", [0, "30s"], "a number of seconds"),
        (OutlierDetection, "max_ejection_time", [29], "from 30 to 86400"),
        (OutlierDetection, "max_ejection_percent", [-1, 101, 50.5], "an integer from 0 to 100"),
        (OutlierDetection, "failure_percentage", [None, 50], "FailurePercentage"),
        (OutlierDetection, "success_rate", [1.9], "a SuccessRate"),
        (FailurePercentage, "threshold", [-1, 100], "an integer from 0 to 99"),
        (FailurePercentage, "request_volume", [0, 1.5], "an integer from 1"),
        (FailurePercentage, "minimum_hosts", [0], "an integer from 1"),
        (SuccessRate, "stdev_factor", [0, -1], "a number from 0.001 to 1000"),
        (SuccessRate, "request_volume", [0], "an integer from 1"),
        (SuccessRate, "minimum_hosts", [1], "an integer from 2"),
        (ServiceConfig, "balancing", ["roundrobin", "", None, "ring_hash"], "round_robin or pick_first"),
        (ServiceConfig, "retry", [3, {}], "a RetryPolicy or None"),
        (ServiceConfig, "throttling", [0.1], "a RetryThrottling or None"),
        (ServiceConfig, "health_service", [True], "a service's full name"),
        (ServiceConfig, "outlier_detection", [True], "an OutlierDetection or None"),
        (ServiceConfig, "methods", [None, [MethodConfig()]], "a mapping"),
        (Keepalive, "time", [5, 9.9, 0], "a number of seconds from 10 to 86400"),
        (Keepalive, "timeout", [0, NAN], "a number of seconds"),
    ],
)
def test_an_invalid_value_is_rejected_with_what_was_expected(
    kind: Callable[..., object], field: str, values: list[object], expected: str
) -> None:
    for value in values:
        with pytest.raises(ValueError, match=f"{field}: expected .*{expected}") as caught:
            kind(**{field: value})
        assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (RetryPolicy, "max_atempts", "did you mean max_attempts?"),
        (ServiceConfig, "health_check", "did you mean health_service?"),
        (ServiceConfig, "hedging", "expected one of balancing, retry, throttling, methods"),
        (OutlierDetection, "base_ejection", "did you mean base_ejection_time?"),
    ],
)
def test_a_misspelt_setting_is_rejected_with_a_suggestion(
    kind: Callable[..., object], given: str, words: str
) -> None:
    with pytest.raises(TypeError) as caught:
        kind(**{given: 1})
    assert f"no setting {given}; {words}" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"), [("health_service", ""), ("outlier_detection", OutlierDetection())]
)
def test_settings_that_grpc_ignores_under_pick_first_are_rejected(field: str, value: Any) -> None:
    setting = {field: value}
    ServiceConfig(**setting)
    with pytest.raises(ValueError, match=f"{field}: .*pick_first"):
        ServiceConfig(balancing="pick_first", **setting)


@pytest.mark.parametrize("name", ["Unary", "/probe.Probe/Unary", "probe.Probe", "a/b/c", "", 1])
def test_a_method_without_its_service_is_rejected(name: Any) -> None:
    with pytest.raises(ValueError, match=r"ServiceConfig.methods: expected package.Service/Method"):
        ServiceConfig(methods={name: MethodConfig()})


def test_a_method_needs_a_method_config() -> None:
    settings: Any = {"probe.Probe/Unary": {"timeout": 1}}
    with pytest.raises(
        ValueError, match=r"for probe.Probe/Unary in ServiceConfig.methods: expected a MethodConfig"
    ):
        ServiceConfig(methods=settings)


def test_an_unknown_method_of_a_known_service_is_rejected() -> None:
    config = ServiceConfig(methods={"probe.Probe/Unaries": MethodConfig(timeout=1)})
    config.as_json()
    with pytest.raises(
        ValueError,
        match=r"unknown method Unaries of probe.Probe .*: expected one of Unary, ServerStream",
    ):
        config.as_json([PROBE])


def test_a_checked_config_cannot_be_changed() -> None:
    methods: dict[str, Any] = {"probe.Probe/Unary": MethodConfig(timeout=1)}
    config = ServiceConfig(methods=methods)
    before = config.as_json()
    methods["nonsense"] = None
    assert config.as_json() == before
    with pytest.raises(TypeError):
        config.methods["nonsense"] = MethodConfig()  # type: ignore[index]


def test_each_method_has_one_entry_with_all_of_its_settings() -> None:
    """Of two entries that match, gRPC uses one; if two have the same name, it fails every call."""
    names = ["probe.Probe/Unary", "probe.Probe/ClientStream", "other.Service/Method"]
    config = ServiceConfig(methods={name: MethodConfig(timeout=1.5) for name in names})
    found = {
        f"{name['service']}/{name['method']}": sorted(entry.keys() - {"name"})
        for entry in json.loads(config.as_json([PROBE, PROBE]))["methodConfig"]
        for name in entry["name"]
    }
    assert found == {
        "probe.Probe/Unary": ["retryPolicy", "timeout"],
        "probe.Probe/ServerStream": ["retryPolicy"],
        "probe.Probe/BidiStream": ["retryPolicy"],
        "probe.Probe/ClientStream": ["timeout"],
        "other.Service/Method": ["timeout"],
    }


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.1, "0.100s"), (1, "1.000s"), (0.0015, "0.002s"), (86_400, "86400.000s")]
)
def test_durations_are_written_in_seconds(seconds: float, text: str) -> None:
    config = ServiceConfig(methods={"a.B/C": MethodConfig(timeout=seconds)})
    assert json.loads(config.as_json())["methodConfig"][0]["timeout"] == text


def test_a_whole_token_ratio_is_written_with_a_decimal_point() -> None:
    """Because gRPC reads 1 as a thousandth."""
    assert '"tokenRatio": 1.0}' in ServiceConfig(throttling=RetryThrottling(token_ratio=1)).as_json()

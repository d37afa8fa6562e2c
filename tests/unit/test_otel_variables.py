"""What becomes of OTEL_… variables that OpenTelemetry's SDK would not take."""

import os
import re
from pathlib import Path
from typing import Any

import opentelemetry.environment_variables as of_the_api
import opentelemetry.sdk.environment_variables as of_the_sdk
import pytest
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

from app.telemetry.exporters import exporters
from app.telemetry.otel_variables import _KINDS, correct

PAGE = Path(__file__).parents[2] / "docs" / "telemetry.md"

LIMITS = [name for name in _KINDS if name.endswith("_LIMIT")]
PROCESSOR = [name for name in _KINDS if "_BSP_" in name]


@pytest.mark.parametrize("name", [*_KINDS, "OTEL_TRACES_SAMPLER", "OTEL_PROPAGATORS", "OTEL_SERVICE_NAME"])
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_otel_variable_counts_as_unset(name: str, value: str) -> None:
    environment = {name: value, "OTHER": ""}
    assert correct(environment) == []
    assert environment == {"OTHER": ""}


@pytest.mark.parametrize("name", [*LIMITS, *PROCESSOR])
@pytest.mark.parametrize("value", ["abc", "-1", "1.5"])
def test_a_number_that_is_none_is_ignored_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment = {name: value}
    [ignored] = correct(environment)
    assert (ignored.variable, ignored.value, ignored.used) == (name, value, "the default")
    assert ignored.problem.startswith("expected a whole number")
    assert name not in environment
    for given, text in environment.items():
        monkeypatch.setenv(given, text)
    SpanLimits()
    BatchSpanProcessor(ConsoleSpanExporter()).shutdown()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", [*LIMITS, *PROCESSOR])
def test_a_number_that_fits_is_kept(name: str) -> None:
    environment = {name: "3"}
    assert correct(environment) == []
    assert environment[name] == "3"


@pytest.mark.parametrize(
    ("given", "batch", "warned"),
    [
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "100"}, "100", []),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "3000"}, None, []),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "9000"}, "2048", ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"]),
        (
            {"OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20"},
            "10",
            ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"],
        ),
    ],
)
def test_a_batch_is_at_most_the_queue(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], batch: str | None, warned: list[str]
) -> None:
    environment = dict(given)
    assert [one.variable for one in correct(environment)] == warned
    assert environment.get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") == batch
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    BatchSpanProcessor(ConsoleSpanExporter()).shutdown()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("sampler", "argument", "used", "warned"),
    [
        ("always_off", None, ("always_off", None), []),
        ("Always_Off", None, ("always_off", None), []),
        ("jaeger_remote", "endpoint=http://a", (None, "endpoint=http://a"), ["OTEL_TRACES_SAMPLER"]),
        ("traceidratio", "often", ("traceidratio", "1"), ["OTEL_TRACES_SAMPLER_ARG"]),
        ("traceidratio", "2", ("traceidratio", "1"), ["OTEL_TRACES_SAMPLER_ARG"]),
        ("traceidratio", "0.25", ("traceidratio", "0.25"), []),
    ],
)
def test_a_sampler_that_is_not_there_gives_way_to_the_default(
    sampler: str, argument: str | None, used: tuple[str | None, str | None], warned: list[str]
) -> None:
    environment = {"OTEL_TRACES_SAMPLER": sampler}
    if argument is not None:
        environment["OTEL_TRACES_SAMPLER_ARG"] = argument
    assert [one.variable for one in correct(environment)] == warned
    assert (environment.get("OTEL_TRACES_SAMPLER"), environment.get("OTEL_TRACES_SAMPLER_ARG")) == used


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("OTEL_PYTHON_CONTEXT", "contextvars_context", "contextvars_context"),
        ("OTEL_PYTHON_CONTEXT", "gevent", None),
        ("OTEL_PYTHON_ID_GENERATOR", "random", "random"),
        ("OTEL_PYTHON_ID_GENERATOR", "xray", None),
        ("OTEL_PYTHON_TRACER_PROVIDER", "default_tracer_provider", "default_tracer_provider"),
        ("OTEL_PYTHON_TRACER_PROVIDER", "vendor", None),
        ("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "process,aws_ec2", "process"),
        ("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "*", "*"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "gzip"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", None),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2.5", "2.5"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", None),
        ("OTEL_CONFIG_FILE", "/etc/otel.yaml", None),
    ],
)
def test_what_no_installed_package_provides_is_ignored_with_a_warning(
    name: str, value: str, kept: str | None
) -> None:
    environment = {name: value}
    ignored = correct(environment)
    assert environment.get(name) == kept
    assert [one.variable for one in ignored] == ([] if kept == value else [name])
    assert correct(environment) == []  # a second time, nothing is left to report


def test_the_sdks_own_provider_is_made_with_exporters_whether_it_is_named_or_not() -> None:
    environment = {"OTEL_PYTHON_TRACER_PROVIDER": "sdk_tracer_provider"}
    assert correct(environment) == []
    assert environment == {}


def test_no_compression_has_a_name_that_the_exporter_does_not_know() -> None:
    environment = {"OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
    assert correct(environment) == []
    assert environment == {}


GRPC = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"
HTTP = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
CONSOLE = ConsoleSpanExporter.__module__
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("variables", "modules", "ignored"),
    [
        ({}, [], []),
        ({"OTEL_TRACES_EXPORTER": "none"}, [], []),
        ({"OTEL_TRACES_EXPORTER": "None"}, [], []),
        (ENDPOINT, [GRPC], []),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, [GRPC], []),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, [GRPC, CONSOLE], []),
        ({"OTEL_TRACES_EXPORTER": "OTLP,otlp"}, [GRPC], []),
        ({"OTEL_TRACES_EXPORTER": "otlp_proto_http"}, [HTTP], []),
        ({"OTEL_TRACES_EXPORTER": "logging"}, [CONSOLE], []),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, [HTTP], []),
        (
            ENDPOINT
            | {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": " GRPC ",
            },
            [GRPC],
            [],
        ),
        (
            ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            [HTTP],
            [("OTEL_EXPORTER_OTLP_PROTOCOL", "not installed", "http/protobuf")],
        ),
        (
            ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http"},
            [HTTP],
            [("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "expected grpc or http/protobuf", "http/protobuf")],
        ),
        (
            ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "kafka"},
            [GRPC],
            [("OTEL_EXPORTER_OTLP_PROTOCOL", "expected grpc or http/protobuf", "grpc")],
        ),
        (
            {"OTEL_TRACES_EXPORTER": "zipkin,console"},
            [CONSOLE],
            [("OTEL_TRACES_EXPORTER", "not installed", "the other exporters, if any")],
        ),
        (
            {"OTEL_TRACES_EXPORTER": "none,console"},
            [],
            [("OTEL_TRACES_EXPORTER", "none excludes other exporters", "none")],
        ),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "True"}, [], []),
        (
            ENDPOINT | {"OTEL_EXPORTER_OTLP_COMPRESSION": "deflate"},
            [GRPC],
            [("OTEL_EXPORTER_OTLP_COMPRESSION", "not possible over gRPC", "none")],
        ),
        (
            ENDPOINT
            | {
                "OTEL_EXPORTER_OTLP_COMPRESSION": "deflate",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            },
            [HTTP],
            [],
        ),
    ],
)
def test_exporters_are_those_that_the_variables_name_and_packages_provide(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    modules: list[str],
    ignored: list[tuple[str, ...]],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = exporters(os.environ)
    monkeypatch.undo()
    assert [type(one).__module__ for one in found.exporters] == modules
    assert [(one.variable, one.problem, one.used) for one in found.ignored] == ignored
    for exporter in found.exporters:
        exporter.shutdown()


def test_an_exporter_whose_constructor_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "abc")  # `correct` would have removed it
    found = exporters({"OTEL_TRACES_EXPORTER": "otlp,console"})
    assert [type(one) for one in found.exporters] == [ConsoleSpanExporter]
    [ignored] = found.ignored
    assert (ignored.variable, ignored.value) == ("OTEL_TRACES_EXPORTER", "otlp")


def test_limits_apply_to_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    provider = TracerProvider(shutdown_on_exit=False)
    span: Any = provider.get_tracer("test").start_span("a", attributes={"a": "12345", "b": "1", "c": "1"})
    assert dict(span.attributes) == {"b": "1", "c": "1"}
    provider.shutdown()


# Of the SDK for Python, what no specification has, and no platform sets for all pods.
_LEFT_OUT = re.compile(r"METRIC|METER|LOG|BLRP|PROMETHEUS|ZIPKIN|CREDENTIAL|RETRYABLE|CONFIGURATOR")


def test_the_documentation_has_every_variable_of_the_sdk_that_concerns_traces() -> None:
    known = {
        value
        for module in (of_the_api, of_the_sdk)
        for value in vars(module).values()
        if isinstance(value, str) and value.startswith("OTEL_") and not _LEFT_OUT.search(value)
    }
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `OTEL_")]
    documented = {name for row in rows for name in re.findall(r"OTEL_\w+", row)}
    assert len(known) > 30
    assert documented - known == {"OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_PYTHON_GRPC_EXCLUDED_SERVICES"}
    assert known - documented == set()
    assert set(_KINDS) <= documented

"""The exporters of spans that OTEL_TRACES_EXPORTER lists: entry points of installed packages."""

from typing import NamedTuple

from opentelemetry.sdk.trace.export import SpanExporter

from app.telemetry.otel_variables import Environment, Ignored, UnusableError, installed, made, names_in

EXPORTER = "OTEL_TRACES_EXPORTER"

_GROUP = "opentelemetry_traces_exporter"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_COMPRESSIONS = ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION")

# The name of the entry point for each protocol of OTLP.
_GRPC, _HTTP = "grpc", "http/protobuf"
_BY_PROTOCOL = {_GRPC: "otlp_proto_grpc", _HTTP: "otlp_proto_http", "http/json": "otlp_json_http"}

# Names of the specification that are called otherwise in Python.
_ALIASES = {"logging": "console"}


class Exporters(NamedTuple):
    """Those that could be made, and what could not be used of the variables."""

    exporters: list[SpanExporter]
    ignored: list[Ignored]


def exporters(environment: Environment) -> Exporters:
    """Makes the exporters. When unset: otlp if an OTLP endpoint is set, none otherwise.

    `none` in a list of several turns all off, as it does for propagators.
    """
    found = Exporters([], [])
    text = environment.get(EXPORTER, "").lower()
    names = names_in(text)
    if not names:
        names = ["otlp"] if any(environment.get(one) for one in _ENDPOINTS) else []
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return found
    if "none" in names:
        if names != ["none"]:
            found.ignored.append(Ignored(EXPORTER, text, "none excludes other exporters", "none"))
        return found
    for name in names:
        entry = _otlp(environment, found.ignored) if name == "otlp" else _ALIASES.get(name, name)
        _add(name, entry, found)
    return found


def _otlp(environment: Environment, ignored: list[Ignored]) -> str:
    """The entry point for OTLP by the protocol that is set, or by the closest that is installed."""
    protocol_variable = next((one for one in _PROTOCOLS if environment.get(one)), "")
    given = environment.get(protocol_variable, _GRPC)
    protocol = given.strip().lower()
    closest = protocol
    if protocol not in _BY_PROTOCOL or installed(_GROUP, _BY_PROTOCOL[protocol]) is None:
        # The same path and port of a collector take Protobuf and JSON.
        closest = _HTTP if protocol.startswith("http") else _GRPC
        problem = "not installed" if protocol in _BY_PROTOCOL else f"expected {_GRPC} or {_HTTP}"
        ignored.append(Ignored(protocol_variable, given, problem, closest))
    deflate = [one for one in _COMPRESSIONS if environment.get(one, "").strip().lower() == "deflate"]
    if closest == _GRPC:
        ignored += [Ignored(one, environment.pop(one), "not possible over gRPC", "none") for one in deflate]
    return _BY_PROTOCOL[closest]


def _add(name: str, entry: str, found: Exporters) -> None:
    point = installed(_GROUP, entry)
    if point is None:
        found.ignored.append(Ignored(EXPORTER, name, "not installed", "the other exporters, if any"))
        return
    try:
        # Loaded here, because it takes a tenth of the server's start.
        found.exporters.append(made(point, SpanExporter))
    except UnusableError as error:
        found.ignored.append(Ignored(EXPORTER, name, str(error), "the other exporters, if any"))

"""Packages that OTEL_… variables name, are installed, and fail: the server starts without them."""

import json
from pathlib import Path

import grpc
import pytest

from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.clients.status import outcome
from tests.support.servers.process import server_process

# Each variable, the group of its entry points, and what is used in place of one that fails.
VARIABLES = {
    "OTEL_TRACES_EXPORTER": ("opentelemetry_traces_exporter", "the other exporters, if any"),
    "OTEL_TRACES_SAMPLER": ("opentelemetry_traces_sampler", "parentbased_always_on"),
    "OTEL_PROPAGATORS": ("opentelemetry_propagator", "tracecontext"),
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": ("opentelemetry_resource_detector", "the default"),
    "OTEL_PYTHON_ID_GENERATOR": ("opentelemetry_id_generator", "random"),
    "OTEL_PYTHON_CONTEXT": ("opentelemetry_context", "the default"),
    "OTEL_PYTHON_TRACER_PROVIDER": ("opentelemetry_tracer_provider", "the default"),
    "OTEL_PYTHON_METER_PROVIDER": ("opentelemetry_meter_provider", "the default"),
}
LISTS = {"OTEL_PROPAGATORS": "vendor,tracecontext"}
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

FAILING = {
    "on_import": ("import of_another_version", "ModuleNotFoundError"),
    "when_it_is_made": ("def make(*_):\n    raise LookupError('no agent')", "LookupError('no agent')"),
    "by_what_it_makes": ("def make(*_):\n    return None", "None"),
    "without_what_is_named": ("", "AttributeError"),
}
# The SDK takes any context, and looks at a detector only when it asks it.
MAY_MAKE_NOTHING = {"OTEL_PYTHON_CONTEXT"}


def install(folder: Path, module: str) -> None:
    """Installs the package `vendor` there, with an entry point in each group."""
    (folder / "vendor.py").write_text(module)
    about = folder / "vendor-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: vendor\nVersion: 1.0\n")
    groups = [f"[{group}]\nvendor = vendor:make\n" for group, _ in VARIABLES.values()]
    (about / "entry_points.txt").write_text("\n".join(groups))


@pytest.mark.parametrize("fails", FAILING)
def test_an_installed_package_that_fails_is_a_warning_and_the_server_serves(
    tmp_path: Path, fails: str
) -> None:
    module, problem = FAILING[fails]
    install(tmp_path, module)
    given = {name: LISTS.get(name, "vendor") for name in VARIABLES}
    if fails == "by_what_it_makes":
        given = {name: value for name, value in given.items() if name not in MAY_MAKE_NOTHING}
    with server_process(PYTHONPATH=str(tmp_path), **given) as server:
        with grpc.insecure_channel(server.target) as channel:
            call = probe_pb2_grpc.ProbeStub(channel).Unary
            traced = (("traceparent", f"00-{TRACE}-{SPAN}-01"),)
            assert outcome(lambda: call(pb.ProbeRequest(), metadata=traced)) is grpc.StatusCode.OK
        assert server.end() == 0
    lines = [json.loads(line) for line in server.output]
    ignored = {line["variable"]: line for line in lines if line["event"] == "otel_variable_ignored"}
    assert {name: line["used"] for name, line in ignored.items()} == {
        name: VARIABLES[name][1] for name in given
    }
    assert {line["value"] for line in ignored.values()} == {"vendor"}
    for line in ignored.values():
        assert line["problem"].startswith("cannot be used: ")
        assert problem in line["problem"]
    [served] = [line for line in lines if line["event"] == "call"]
    assert served["trace_id"] == TRACE


DETECTOR = """
from opentelemetry.sdk.resources import ResourceDetector

class Failing(ResourceDetector):
    def detect(self):
        raise LookupError("no metadata server")

def make():
    return Failing(raise_on_error=True)
"""


def test_a_resource_detector_that_insists_on_its_error_is_a_warning(tmp_path: Path) -> None:
    install(tmp_path, DETECTOR)
    variable = "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"
    with server_process(PYTHONPATH=str(tmp_path), **{variable: "vendor"}) as server:
        assert server.end() == 0
    [line] = [one for one in map(json.loads, server.output) if one["event"] == "otel_variable_ignored"]
    assert (line["variable"], line["value"], line["used"]) == (variable, "vendor", "the default")
    assert "no metadata server" in line["problem"]

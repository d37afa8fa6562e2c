"""The standard OTEL_… variables.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from app.core.name import NAME
from app.telemetry.tracer_provider import tracer_provider
from tests.support.clients.status import outcome
from tests.support.servers.probe import CALLS
from tests.support.servers.probe_server import probe_server
from tests.support.waiting import until

# The sampler by ratio looks at the lower half of a trace's id: these are the first and the last to be taken.
FIRST, LAST = "0af7651916cd43dd0000000000000001", "0af7651916cd43ddffffffffffffffff"
SPAN = "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, NAME),
        ({"OTEL_SERVICE_NAME": "named"}, "named"),
        ({"OTEL_SERVICE_NAME": ""}, NAME),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=attributed"}, "attributed"),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=attributed", "OTEL_SERVICE_NAME": "named"},
            "named",
        ),
    ],
)
def test_the_services_name(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with tracer_provider(NAME) as provider:
        assert provider.resource.attributes["service.name"] == name


def test_the_resources_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod,team=a%20b")
    with tracer_provider(NAME) as provider:
        attributes = provider.resource.attributes
    assert attributes["deployment.environment.name"] == "prod"
    assert attributes["team"] == "a b"
    assert attributes["service.name"] == NAME
    assert attributes["telemetry.sdk.language"] == "python"


@pytest.mark.parametrize(
    ("sampler", "argument", "decisions"),
    [
        # Of a call without a caller's span, with one that is sampled, and with one that is not.
        (None, None, (True, True, False)),
        ("always_on", None, (True, True, True)),
        ("always_off", None, (False, False, False)),
        ("traceidratio", "0", (False, False, False)),
        ("traceidratio", "1", (True, True, True)),
        ("traceidratio", None, (True, True, True)),
        ("parentbased_always_on", None, (True, True, False)),
        ("parentbased_always_off", None, (False, True, False)),
        ("parentbased_traceidratio", "0", (False, True, False)),
        ("parentbased_traceidratio", "1", (True, True, False)),
        # The SDK warns of what it does not know, and takes the default.
        ("sometimes", None, (True, True, False)),
        ("traceidratio", "often", (True, True, True)),
        ("traceidratio", "2", (True, True, True)),
    ],
)
def test_the_sampler_decides_which_calls_have_spans(
    monkeypatch: pytest.MonkeyPatch,
    sampler: str | None,
    argument: str | None,
    decisions: tuple[bool, ...],
) -> None:
    for variable, value in {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}.items():
        if value is not None:
            monkeypatch.setenv(variable, value)
    inner: list[Any] = []
    with probe_server() as at:
        at.probe.on_call = lambda *_: inner.append(trace.get_current_span().get_span_context())
        made = []
        for header in (None, f"00-{FIRST}-{SPAN}-01", f"00-{LAST}-{SPAN}-00"):
            before = len(at.server.spans)
            CALLS["Unary"](at.stub, metadata=(("traceparent", header),) if header else ())
            made.append(len(at.server.spans) - before)
        assert tuple(made) == decisions
        # What the handler traces and calls on with says the same, sampled or not.
        assert [one.trace_flags.sampled for one in inner] == list(decisions)
        lines = until(lambda: len(at.server.calls()) == 3 and at.server.calls())
        assert [line["trace_id"] for line in lines] == [f"{one.trace_id:032x}" for one in inner]
        assert [line["trace_id"] for line in lines[1:]] == [FIRST, LAST]


@pytest.mark.parametrize("method", CALLS)
def test_the_ratio_goes_by_the_traces_id_for_every_arity(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    with probe_server() as at:
        for trace_id in (FIRST, LAST):
            CALLS[method](at.stub, metadata=(("traceparent", f"00-{trace_id}-{SPAN}-00"),))
        [span] = at.server.spans
        assert f"{span.context.trace_id:032x}" == FIRST


def test_a_disabled_sdk_makes_no_span_and_passes_the_callers_trace_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    with (
        tracer_provider(NAME) as provider,
        provider.get_tracer("test").start_as_current_span("call") as span,
    ):
        assert not span.is_recording()
    assert '"name": "call"' not in capsys.readouterr().out
    inner: list[Any] = []
    with probe_server() as at:
        at.probe.on_call = lambda *_: inner.append(trace.get_current_span().get_span_context())
        CALLS["Unary"](at.stub, metadata=(("traceparent", f"00-{FIRST}-{SPAN}-01"),))
        assert at.server.spans == ()
        assert [line["trace_id"] for line in at.server.calls()] == [FIRST]
    assert [f"{one.trace_id:032x}" for one in inner] == [FIRST]


PEER = {"client.address": "127.0.0.1", "network.peer.address": "127.0.0.1", "network.transport": "tcp"}
OLDER = {"rpc.system": "grpc", "rpc.service": "probe.Probe", "rpc.grpc.status_code": 13}
NEWER = {
    "rpc.system.name": "grpc",
    "rpc.response.status_code": "INTERNAL",
    "error.type": "INTERNAL",
    **PEER,
}


@pytest.mark.parametrize(
    ("opt_in", "expected"),
    [
        ("rpc", NEWER),
        ("http,rpc/dup", OLDER | {"net.peer.ip": "127.0.0.1", "net.peer.name": "localhost"} | NEWER),
    ],
)
@pytest.mark.parametrize("method", CALLS)
def test_the_newer_conventions_are_opted_into(
    monkeypatch: pytest.MonkeyPatch, method: str, opt_in: str, expected: dict[str, Any]
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", opt_in)

    def fail(*_: Any) -> None:
        raise ValueError

    with probe_server() as at:
        at.probe.on_call = fail
        assert outcome(lambda: CALLS[method](at.stub)) is grpc.StatusCode.INTERNAL
        [span] = at.server.spans
    found = dict(span.attributes or {})
    ports = {found.pop(name) for name in ("client.port", "network.peer.port")}
    assert {str(port) for port in ports} == {found.pop("net.peer.port", str(*ports))}
    agents = {found.pop(name, None) for name in ("user_agent.original", "rpc.user_agent")} - {None}
    assert [str(agent).partition("/")[0] for agent in agents] == ["grpc-python"]
    assert found == expected | {"rpc.method": f"probe.Probe/{method}"}
    assert span.name == f"probe.Probe/{method}"


def test_a_method_that_is_not_served_is_other_by_the_newer_conventions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "rpc")
    with probe_server() as at:
        assert outcome(lambda: at.channel.unary_unary("/made/up")(b"")) is grpc.StatusCode.UNIMPLEMENTED
        [span] = at.server.spans
    assert span.name == "grpc"
    assert (span.attributes or {})["rpc.method"] == "_OTHER"


def test_propagators_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PROPAGATORS", "none")
    with probe_server() as at:
        CALLS["Unary"](at.stub, metadata=(("traceparent", f"00-{FIRST}-{SPAN}-01"),))
        [span] = at.server.spans
    assert span.parent is None
    assert f"{span.context.trace_id:032x}" != FIRST


class AnyProvider(trace.TracerProvider):
    """A provider that has no more than the interface, as other makers' have."""

    def __init__(self) -> None:
        self._of_the_sdk = TracerProvider(shutdown_on_exit=False)
        self.add_span_processor = self._of_the_sdk.add_span_processor
        self.shutdown = self._of_the_sdk.shutdown

    def get_tracer(self, *names: Any, **more: Any) -> trace.Tracer:
        return self._of_the_sdk.get_tracer(*names, **more)


@pytest.mark.parametrize("method", CALLS)
def test_any_provider_will_do(method: str) -> None:
    inner: list[Any] = []
    provider: Any = AnyProvider()
    with probe_server(spans=provider) as at:
        at.probe.on_call = lambda *_: inner.append(trace.get_current_span().get_span_context())
        CALLS[method](at.stub, metadata=(("traceparent", f"00-{FIRST}-{SPAN}-01"),))
        [span] = until(lambda: at.server.spans)
        assert at.seen() == [(method, "OK")]
        assert [line["trace_id"] for line in at.server.calls()] == [FIRST]
    assert span.name == f"/probe.Probe/{method}"
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == SPAN
    assert inner == [span.context]

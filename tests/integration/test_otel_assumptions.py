"""What this program relies on and OpenTelemetry does not document. Each test names one reliance."""

from copy import copy

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)

from tests.support.servers.probe import CALLS
from tests.support.servers.probe_server import probe_server
from tests.support.waiting import until


class Recorder(Sampler):
    """Records the trace ids that it is asked about, and decides as it is given."""

    def __init__(self, decision: Decision) -> None:
        self.asked: list[int] = []
        self._decision = decision

    def should_sample(
        self, parent_context: Context | None, trace_id: int, *_args: object, **_values: object
    ) -> SamplingResult:
        del parent_context
        self.asked.append(trace_id)
        return SamplingResult(self._decision)

    def get_description(self) -> str:
        return "TraceIdRatioBased{1}"


def test_a_parent_based_sampler_asks_its_root_where_a_trace_begins() -> None:
    root = Recorder(Decision.RECORD_AND_SAMPLE)
    sampler = ParentBased(root, ALWAYS_OFF, ALWAYS_OFF, ALWAYS_OFF, ALWAYS_OFF)
    assert vars(sampler)["_root"] is root
    decided = sampler.should_sample(Context(), 7, "name")
    assert (root.asked, decided.decision) == ([7], Decision.RECORD_AND_SAMPLE)


@pytest.mark.parametrize("ratio", [1e-9, 0.3, 1.0])
def test_a_ratio_is_compared_with_the_lower_half_of_the_trace_id(ratio: float) -> None:
    sampler = TraceIdRatioBased(ratio)
    assert TraceIdRatioBased.TRACE_ID_LIMIT == 2**64 - 1
    for low, decision in {
        sampler.bound - 1: Decision.RECORD_AND_SAMPLE,
        sampler.bound: Decision.DROP,
    }.items():
        if low < 2**64:
            for trace_id in (low, low | 1 << 127):
                assert sampler.should_sample(Context(), trace_id, "name").decision is decision


class Sevens(IdGenerator):
    def generate_span_id(self) -> int:
        return 7

    def generate_trace_id(self) -> int:
        return 77

    def is_trace_id_random(self) -> bool:
        return False


def test_the_copy_of_a_tracer_takes_its_ids_from_a_generator_of_its_own() -> None:
    provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    shared = provider.get_tracer("name")
    own = copy(shared)
    assert isinstance(own, Tracer)
    own.id_generator = Sevens()
    made = own.start_span("a", Context()).get_span_context()
    assert (made.trace_id, made.span_id, made.trace_flags) == (77, 7, trace.TraceFlags.SAMPLED)
    assert shared.start_span("a", Context()).get_span_context().trace_id != 77
    assert provider.get_tracer("name") is shared


def test_a_provider_that_is_given_is_not_changed_and_may_serve_two_servers() -> None:
    ids = RandomIdGenerator()
    sampler = Recorder(Decision.RECORD_AND_SAMPLE)
    provider = TracerProvider(sampler=sampler, id_generator=ids, shutdown_on_exit=False)
    before = provider.get_tracer("app.interceptors.tracing")
    assert isinstance(before, Tracer)
    with probe_server(spans=provider) as one, probe_server(spans=provider) as other:
        for at in (one, other):
            CALLS["Unary"](at.stub)
            until(at.server.calls)
        logged = [line["trace_id"] for at in (one, other) for line in at.server.calls()]
        spans = one.server.spans
    assert [trace.format_trace_id(span.context.trace_id) for span in spans] == logged
    # Twice each: by the server, and by the SDK, which must ask about the same trace.
    assert [trace.format_trace_id(one) for one in sampler.asked] == [one for one in logged for _ in range(2)]
    assert provider.id_generator is ids
    assert provider.get_tracer("app.interceptors.tracing") is before
    assert before.id_generator is ids

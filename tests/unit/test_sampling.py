import random

import pytest
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
)

from app.telemetry.propagation import ROOT
from app.telemetry.sampling import ID_MASK, root_threshold

STANDARD = [
    ALWAYS_ON,
    ALWAYS_OFF,
    DEFAULT_ON,
    DEFAULT_OFF,
    *(
        made(rate)
        for made in (TraceIdRatioBased, ParentBasedTraceIdRatio)
        for rate in (0, 1e-9, 0.01, 0.5, 1)
    ),
    ParentBased(ALWAYS_ON, remote_parent_sampled=ALWAYS_OFF),
]


@pytest.mark.parametrize("sampler", STANDARD, ids=lambda sampler: sampler.get_description())
def test_the_threshold_decides_as_the_sampler_does(sampler: Sampler) -> None:
    threshold = root_threshold(sampler)
    assert threshold is not None
    random_ids = random.Random(7)  # noqa: S311 - no secret
    ids = [
        *(random_ids.getrandbits(128) for _ in range(2000)),
        1,
        threshold,
        threshold - 1,
        ID_MASK,
        1 << 127,
    ]
    for trace_id in (one for one in ids if one > 0):
        asked = sampler.should_sample(ROOT, trace_id, "name")
        assert (trace_id & ID_MASK < threshold) is (asked.decision is Decision.RECORD_AND_SAMPLE)


class Own(Sampler):
    def should_sample(self, *_args: object, **_values: object) -> SamplingResult:
        return SamplingResult(Decision.DROP)

    def get_description(self) -> str:
        return "Own{AlwaysOnSampler}"


class OwnRatio(TraceIdRatioBased):
    """Decides otherwise than its base class, under the same description."""

    def should_sample(self, *_args: object, **_values: object) -> SamplingResult:
        return SamplingResult(Decision.DROP)


class OwnParentBased(ParentBased):
    def should_sample(self, *_args: object, **_values: object) -> SamplingResult:
        return SamplingResult(Decision.DROP)


OWN = [Own(), OwnRatio(1), OwnParentBased(ALWAYS_ON), StaticSampler(Decision.RECORD_ONLY)]


@pytest.mark.parametrize("sampler", [*OWN, *map(ParentBased, OWN)])
def test_a_sampler_that_is_not_exactly_opentelemetrys_must_be_asked(sampler: Sampler) -> None:
    assert root_threshold(sampler) is None

"""What a standard sampler would say of a trace that begins here, without the cost of asking it."""

import re

from opentelemetry.sdk.trace.sampling import Sampler, TraceIdRatioBased

# A sampler's description is its public name; ParentBased asks another where a trace begins here.
_RATIO = re.compile(r"(?:ParentBased\{root:)?TraceIdRatioBased\{([^{}]+)\}.*")
_ALWAYS = re.compile(r"(?:ParentBased\{root:)?Always(On|Off)Sampler\b.*")

# The part of a trace's id that a ratio is taken of, as OpenTelemetry's SDK does.
ID_MASK = TraceIdRatioBased.TRACE_ID_LIMIT


def root_bound(sampler: Sampler) -> int | None:
    """The id, masked with ID_MASK, from which on a trace that begins here is not sampled.

    None where it cannot be known, because the sampler is not one of OpenTelemetry's own.
    """
    description = sampler.get_description()
    if ratio := _RATIO.fullmatch(description):
        return TraceIdRatioBased(float(ratio[1])).bound
    if always := _ALWAYS.fullmatch(description):
        return ID_MASK + 1 if always[1] == "On" else 0
    return None

"""The decision of OpenTelemetry's own samplers for a new trace, as a comparison with the trace id."""

from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    TraceIdRatioBased,
)

# The part of a trace id that a ratio is compared with.
ID_MASK = TraceIdRatioBased.TRACE_ID_LIMIT

_PARENT_BASED = (ParentBased, ParentBasedTraceIdRatio)


def root_threshold(sampler: Sampler) -> int | None:
    """Returns the first masked trace id that the sampler drops if a trace begins here.

    Comparing costs a quarter of asking. None if the sampler must be asked: any that is not exactly one of
    OpenTelemetry's own, subclasses of them included.
    """
    if type(sampler) in _PARENT_BASED:
        # Private, because no public attribute has the sampler of new traces; the default sampler is one of
        # these. A sampler without the attribute is asked.
        root = getattr(sampler, "_root", None)
        return None if root is None else root_threshold(root)
    if type(sampler) is TraceIdRatioBased:
        return sampler.bound
    if sampler is ALWAYS_ON:
        return ID_MASK + 1
    return 0 if sampler is ALWAYS_OFF else None

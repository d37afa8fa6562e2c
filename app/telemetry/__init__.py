"""Tracing, metrics and logs: conventions of spans, propagation, sampling, exporters, registry, names."""

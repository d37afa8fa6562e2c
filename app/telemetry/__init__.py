"""Tracing, metrics and logs: conventions, propagation, sampling, names, and where they are sent."""

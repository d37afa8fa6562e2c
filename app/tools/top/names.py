"""The metrics that `top` reads, with their labels. `test_top.py` looks for each in a scrape of a server."""

from collections.abc import Mapping

from app.telemetry.metric_names import LABELS

HANDLED = "grpc_server_handled_total"
BUCKET = "grpc_server_handling_seconds_bucket"
IN_FLIGHT = "grpc_server_in_flight"
REFUSED = "grpc_server_refused_total"
CONCURRENCY = "grpc_server_concurrency"
LIMIT = "grpc_server_concurrency_limit"
QUEUED = "grpc_server_queued"
WORKERS = "grpc_server_workers"
READY = "grpc_server_ready"
DRAINING = "grpc_server_draining"
BUILD = "app_build_info"
STARTED = "process_start_time_seconds"
MEMORY = "process_resident_memory_bytes"

READ: Mapping[str, tuple[str, ...]] = {
    HANDLED: (*LABELS, "grpc_code"),
    BUCKET: (*LABELS, "le"),
    IN_FLIGHT: LABELS,
    REFUSED: (*LABELS, "reason"),
    CONCURRENCY: ("kind",),
    LIMIT: ("kind",),
    QUEUED: (),
    WORKERS: (),
    READY: (),
    DRAINING: (),
    BUILD: ("version",),
    STARTED: (),
    MEMORY: (),
}

# The kinds of calls whose limit is always shown; others only while they are in use.
ALWAYS_SHOWN = ("calls", "streams")

# The beginning of services whose calls do not count as calls: probes and reflection.
GRPCS_OWN = "grpc."

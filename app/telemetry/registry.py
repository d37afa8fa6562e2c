"""The metrics registry of a server."""

import prometheus_client
from prometheus_client import CollectorRegistry

from app.core.name import NAME
from app.telemetry.build_info import build_info


def server_registry() -> CollectorRegistry:
    """Returns a new registry with the metrics of the process, of Python and of the build."""
    # Go has no _created series, and they would double what is scraped.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    prometheus_client.ProcessCollector(registry=registry)
    prometheus_client.PlatformCollector(registry=registry)
    prometheus_client.GCCollector(registry=registry)
    build_info(NAME, registry)
    return registry

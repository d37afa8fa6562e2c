"""The metrics registry of a server."""

import platform
from importlib.metadata import PackageNotFoundError, version

import prometheus_client
from prometheus_client import CollectorRegistry, Info

from app.core.name import NAME
from app.telemetry.saturation import count_threads

# Libraries whose version decides how the program behaves.
_LIBRARIES = ("grpcio", "protobuf")


def server_registry() -> CollectorRegistry:
    """Returns a new registry with the metrics of the process, of Python and of the build."""
    # Go has no _created series, and they would double the scraped data.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    prometheus_client.ProcessCollector(registry=registry)
    prometheus_client.PlatformCollector(registry=registry)
    prometheus_client.GCCollector(registry=registry)
    count_threads(registry)
    _build_info(NAME, registry)
    return registry


def _build_info(name: str, registry: CollectorRegistry) -> None:
    """Registers `app_build_info`: always 1, with the versions of the program, Python and libraries.

    The metric has the same name in every fork, like the settings; the label `name` is the fork's own.
    """
    info = Info("app_build", "The program and what it runs on, by version.", registry=registry)
    libraries = {library: _version(library) for library in _LIBRARIES}
    info.info({"name": name, "version": _version(name), "python": platform.python_version()} | libraries)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # run from a directory that is not installed
        return "unknown"

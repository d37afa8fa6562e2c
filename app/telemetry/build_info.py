"""Which program runs here, as a metric."""

import platform
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Info

# What a version of decides how the program behaves, besides its own.
_LIBRARIES = ("grpcio", "protobuf")


def build_info(name: str, registry: CollectorRegistry) -> None:
    """Registers `app_build_info`: always 1, with the versions of the program and of what it runs on.

    The metric has the same name in every fork, as the settings do; `name` is the program's own.
    """
    info = Info("app_build", "The program and what it runs on, by version.", registry=registry)
    libraries = {library: _version(library) for library in _LIBRARIES}
    info.info({"name": name, "version": _version(name), "python": platform.python_version()} | libraries)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # run from a directory that was not installed: no reason not to serve
        return "unknown"

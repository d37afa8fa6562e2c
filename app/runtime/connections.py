"""The number of connections that the server holds at once."""

import resource

import structlog

# One of so many file descriptors is kept for everything else: the metrics port, files, outgoing connections.
_KEPT = 4


def connection_limit(setting: int) -> int:
    """The setting, or fewer: as many connections as the process has file descriptors for (RLIMIT_NOFILE)."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return setting
    fit = max(1, descriptors - descriptors // _KEPT)
    if setting > fit:
        structlog.get_logger().info(
            "max_connections_lowered", setting=setting, limit=fit, file_descriptors=descriptors
        )
    return min(setting, fit)

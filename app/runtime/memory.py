"""The memory that the server may need, if clients use all of its limits at once."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

import structlog

from app.runtime.server_settings import ServerSettings

_KIB, _MIB = 1024, 1024 * 1024

# Measured. What the program takes, and what it takes for each call, thread and connection.
_BASE = 90 * _MIB
_CALL = 20 * _KIB
_THREAD = 64 * _KIB
_CONNECTION = 40 * _KIB
# Calls that grpc holds before they are accepted (app/runtime/transport.py).
_PENDING = 4000
# A message takes so many times its size: as it came, decoded, and what a handler makes of it.
_COPIES = 3

_CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
# Above it, the limit is none.
_UNLIMITED = 1 << 60


class Part(NamedTuple):
    """A part of the budget, with the variables that it follows from."""

    variables: str
    bytes: int


def budget(settings: ServerSettings) -> list[Part]:
    """The parts, of which the sum is the budget. The chart has the same sum, in `_memory.tpl`."""
    reserve = 1 + (0 if settings.share_by == "none" else settings.share_reserve)
    streams = ceil(settings.max_streams * reserve)
    threads = ceil((settings.workers + settings.max_watches) * reserve) + streams
    # At work, and as many again whose reply is not sent.
    calls = 2 * ceil((settings.max_calls + settings.max_checks) * reserve) + _PENDING
    # Streams count twice: those that are open, and those that wait for their first message.
    arriving = settings.max_waiting_calls + settings.max_streams + streams
    message = settings.max_message_bytes + settings.max_message_bytes // 16
    return [
        Part("", _BASE),
        Part("APP_MAX_HELD_BYTES", _COPIES * settings.max_held_bytes),
        Part("APP_MAX_MESSAGE_BYTES, APP_MAX_STREAMS and APP_MAX_WAITING_CALLS", arriving * message),
        Part("APP_MAX_CALLS and APP_MAX_CHECKS", calls * _CALL),
        Part("APP_WORKERS, APP_MAX_STREAMS and APP_MAX_WATCHES", threads * _THREAD),
        Part("APP_MAX_CONNECTIONS", settings.max_connections * _CONNECTION),
    ]


def memory_limit(files: Sequence[Path] = _CGROUPS) -> int | None:
    """The limit of the process's cgroup, in bytes; None where there is none."""
    for file in files:
        try:
            limit = int(file.read_text())
        except (OSError, ValueError):  # the file of the other version of cgroups, or `max`
            continue
        return limit if limit < _UNLIMITED else None
    return None


def check_memory(settings: ServerSettings, limit: int | None) -> None:
    """Logs a warning if the budget is larger than the limit: clients could have the process killed."""
    parts = budget(settings)
    total = sum(part.bytes for part in parts)
    if limit is not None and total > limit:
        structlog.get_logger().warning(
            "memory_limit_below_budget",
            limit_mib=limit // _MIB,
            budget_mib=total // _MIB,
            parts_mib={part.variables or "program": part.bytes // _MIB for part in parts},
        )

"""The drain of a server: what happens to its calls when the process is to end."""

import threading
import time

import grpc
import structlog

from app.runtime.health import Health
from app.runtime.open_calls import open_calls

# The shortest grace, in seconds: an idle server needs a moment to stop, and to end its health Watches.
_MOMENT = 0.2

# How long clients have to close connections that have no calls, in seconds. gRPC's clients do so at once; for
# others, grpc would wait until the end of the grace period.
IDLE = 5.0

# How often to look whether the last call has ended, in seconds.
_INTERVAL = 0.1


def drain(
    server: grpc.Server,
    health: Health,
    *,
    delay: float,
    grace: float,
    idle: float = IDLE,
) -> bool:
    """Stops the server: every accepted call may finish, within `delay` + `grace` seconds. Logs each step.

    Connections without calls are closed `idle` seconds after the delay, or when the last call has ended.
    Returns whether all calls have finished; those that had not were cancelled.
    """
    log = structlog.get_logger()
    began = time.monotonic()

    # 1. Health says NOT_SERVING. New calls are served as before, while endpoints and clients catch up.
    health.begin_drain()
    log.info("drain_started", delay_seconds=delay, grace_seconds=grace)
    time.sleep(delay)

    # 2. New calls are refused, health Watches end, and calls in flight may finish within the grace period.
    allowed = max(grace, _MOMENT)
    stopped = server.stop(allowed + _MOMENT)  # a moment longer, because calls are counted at its end
    health.end_watches()
    log.info("drain_refusing_new_calls", after_seconds=_since(began), calls=open_calls(server))
    calls = _last_calls(server, stopped, allowed, idle)

    # 3. What is left has no more time: calls are cancelled, and connections without calls closed.
    if calls != 0:
        what = "calls still running are cancelled"
        log.warning("drain_grace_over", after_seconds=_since(began), calls=calls, what=what)
    elif not stopped.is_set():
        log.info("drain_closing_connections", after_seconds=_since(began), what="they have no calls")
    server.stop(0)
    stopped.wait(1)
    log.info("drain_calls_ended", after_seconds=_since(began), all_finished=calls == 0)
    return calls == 0


def _last_calls(server: grpc.Server, stopped: threading.Event, allowed: float, idle: float) -> int | None:
    """Waits until no call is open, and returns how many are at the end of the allowed time; None: unknown.

    The server accepts no more calls, so none is cut where it returns 0.
    """
    began = time.monotonic()
    while not stopped.wait(_INTERVAL):
        passed = time.monotonic() - began
        calls = open_calls(server)
        if passed >= allowed or (passed >= idle and calls == 0):
            return calls
    return 0


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)

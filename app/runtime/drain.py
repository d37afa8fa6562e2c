"""The drain of a server: what happens to its calls when the process is to end."""

import time
from collections.abc import Callable

import grpc
import structlog

# The shortest grace, in seconds: an idle server needs a moment to stop, and to end its health Watches.
_MOMENT = 0.2


def drain(
    server: grpc.Server,
    *,
    delay: float,
    grace: float,
    set_not_serving: Callable[[], None],
    end_watches: Callable[[], None],
) -> bool:
    """Stops the server: every accepted call may finish, within `delay` + `grace` seconds. Logs each step.

    Returns whether all of them have; those that had not were cancelled.
    """
    log = structlog.get_logger()
    began = time.monotonic()

    # 1. Health says NOT_SERVING. New calls are served as before, while endpoints and clients catch up.
    set_not_serving()
    log.info("drain_started", delay_seconds=delay, grace_seconds=grace)
    time.sleep(delay)

    # 2. New calls are refused, health Watches end, and calls in flight may finish within the grace period.
    allowed = max(grace, _MOMENT)
    stopping = time.monotonic()
    stopped = server.stop(allowed)
    end_watches()
    log.info("drain_refusing_new_calls", after_seconds=_since(began))
    # At the end of the grace period grpc cancels the calls that are left, and has stopped then, too.
    finished = stopped.wait(allowed) and time.monotonic() - stopping < allowed

    # 3. What is left has been cancelled.
    if not finished:
        log.warning("drain_grace_over", after_seconds=_since(began), what="calls still running are cancelled")
        stopped.wait(1)
    log.info("drain_calls_ended", after_seconds=_since(began), all_finished=finished)
    return finished


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)

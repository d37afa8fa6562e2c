"""The drain of a server: what happens to its calls when the process is to end."""

import time
from collections.abc import Callable

import grpc
import structlog


def drain(
    server: grpc.Server,
    *,
    delay: float,
    grace: float,
    set_not_serving: Callable[[], None],
    end_watches: Callable[[], None],
) -> None:
    """Stops the server: every accepted call may finish, within `delay` + `grace` seconds. Logs each step."""
    log = structlog.get_logger()
    began = time.monotonic()

    # 1. Health says NOT_SERVING. New calls are served as before, while endpoints and clients catch up.
    set_not_serving()
    log.info("drain_started", delay_seconds=delay, grace_seconds=grace)
    time.sleep(delay)

    # 2. New calls are refused, health Watches end, and calls in flight may finish within the grace period.
    stopping = time.monotonic()
    stopped = server.stop(grace)
    end_watches()
    log.info("drain_refusing_new_calls", after_seconds=_since(began))
    # At the end of the grace period grpc cancels the calls that are left, and has stopped then, too.
    finished = stopped.wait(grace) and (grace == 0 or time.monotonic() - stopping < grace)

    # 3. What is left has been cancelled.
    if not finished:
        log.warning("drain_grace_over", after_seconds=_since(began), what="calls still running are cancelled")
        stopped.wait(1)
    log.info("drain_calls_ended", after_seconds=_since(began), all_finished=finished)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)

"""How a serving process ends: nothing that was accepted is lost, within a bound."""

import time
from collections.abc import Callable

import grpc
import structlog


def drain(
    server: grpc.Server,
    *,
    delay: float,
    grace: float,
    leave: Callable[[], None],
    end_watches: Callable[[], None],
) -> None:
    """Stops the server. Logs each step, and whether everything that ran has finished within the grace.

    `leave` says NOT_SERVING. For `delay` seconds calls are served as before, new ones too, while endpoints
    and clients catch up. Then new calls are refused, Watches end, and what runs may finish within `grace`
    seconds; what is left after that is cancelled.
    """
    log = structlog.get_logger()
    began = time.monotonic()
    leave()
    log.info("drain_started", delay_seconds=delay, grace_seconds=grace)
    time.sleep(delay)
    refused = time.monotonic()
    stopped = server.stop(grace)
    end_watches()
    log.info("drain_refusing_new_calls", after_seconds=_since(began))
    # grpc cancels at the end of the grace, and then has stopped as well.
    finished = stopped.wait(grace) and (grace == 0 or time.monotonic() - refused < grace)
    if not finished:
        log.warning("drain_grace_over", after_seconds=_since(began), what="calls still running are cancelled")
        stopped.wait(1)
    log.info("drain_calls_ended", after_seconds=_since(began), all_finished=finished)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)

"""Exceptions that nobody handles, and warnings, as lines in the log."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from app.core.errors import StartError
from app.telemetry.logs.rendering import safe_repr


@contextmanager
def uncaught_logged() -> Iterator[None]:
    """Logs what ends a thread, what a finalizer raises, and `warnings.warn`, while the context lasts.

    An exception that leaves the context is logged, and ends the process with status 1; a StartError is the
    caller's.
    """
    in_threads, in_finalizers = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = _log_of_thread, _log_of_finalizer
    logging.captureWarnings(True)
    try:
        yield
    except StartError:
        raise
    except Exception as error:
        structlog.get_logger().exception("uncaught_exception")
        raise SystemExit(1) from error
    finally:
        logging.captureWarnings(False)
        threading.excepthook, sys.unraisablehook = in_threads, in_finalizers


def _log_of_thread(raised: threading.ExceptHookArgs) -> None:
    if raised.exc_type is SystemExit:  # ends the thread, as intended
        return
    structlog.get_logger().error(
        "uncaught_exception",
        thread=raised.thread.name if raised.thread else None,
        exc_info=raised.exc_value or raised.exc_type(),
    )


def _log_of_finalizer(raised: "sys.UnraisableHookArgs") -> None:
    structlog.get_logger().error(
        "uncaught_exception",
        raised_in=safe_repr(raised.object),
        reason=raised.err_msg,
        exc_info=raised.exc_value or raised.exc_type(),
    )

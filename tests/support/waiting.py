"""Waiting for what has no event."""

import threading
import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], seconds: float = 5) -> Any:
    """Waits for what happens on another thread and has no event; returns what the condition returned."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        threading.Event().wait(0.005)
    return found

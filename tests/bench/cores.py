"""The CPU cores of the server and of the load."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_ALLOWED = os.sched_getaffinity(0)
SERVER_CORE, LOAD_CORE = min(_ALLOWED), max(_ALLOWED)


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Processes started in the context run on that core, with all their threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

"""How the kernel runs the server's threads."""

import os
from contextlib import suppress


def run_in_batches() -> None:
    """A thread that is woken waits for the one that runs to pause, where the kernel offers that (Linux).

    The thread that polls wakes a worker twice for each call, and holds Python's lock while it does so. A
    worker that takes its processor away at once finds the lock held and gives the processor back: two
    switches for nothing, a tenth of what a call costs. Counts for this thread and those started after.
    """
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):  # a sandbox may forbid it; the server works as well, and costs more
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

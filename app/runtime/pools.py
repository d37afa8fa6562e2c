"""The threads that calls run on."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Thread

# Health Watches open at once, each on a thread.
MAX_WATCHES = 32


# How long to wait, after the last call has ended, for handlers that nobody waits for any more, in seconds.
_PATIENCE = 1.0


@dataclass(frozen=True)
class Pools:
    """One pool for each kind of work, so that none can starve another. Threads start as they are needed."""

    workers: ThreadPoolExecutor  # unary calls
    streams: ThreadPoolExecutor  # one thread for each open stream
    watches: ThreadPoolExecutor  # health Watches, one thread each
    health: ThreadPoolExecutor  # health checks
    refusals: ThreadPoolExecutor  # calls that are refused on acceptance
    reflection: ThreadPoolExecutor

    def close(self) -> bool:
        """Ends the threads, and returns whether all of them have; one in a blocking handler cannot be ended.

        Call only after the server has stopped: a call that finds its pool closed is never answered.
        """

        def shut() -> None:
            for pool in vars(self).values():
                pool.shutdown(wait=True)

        closing = Thread(target=shut, name="close pools", daemon=True)
        closing.start()
        closing.join(_PATIENCE)
        return not closing.is_alive()


def open_pools(workers: int, streams: int) -> Pools:
    sizes = {
        "workers": workers,
        "streams": streams,
        "watches": MAX_WATCHES,
        "health": 2,
        "refusals": 2,
        "reflection": 2,
    }
    return Pools(**{name: ThreadPoolExecutor(size, thread_name_prefix=name) for name, size in sizes.items()})

"""The threads that calls run on."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Thread

# Reflection streams open at once, each on a thread; tools have one for a moment.
MAX_REFLECTIONS = 4


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


def open_pools(workers: int, streams: int, watches: int) -> Pools:
    sizes = {
        "workers": workers,
        "streams": streams,
        "watches": watches,
        "health": 2,
        "refusals": 2,
        "reflection": MAX_REFLECTIONS,
    }
    return Pools(**{name: ThreadPoolExecutor(size, thread_name_prefix=name) for name, size in sizes.items()})

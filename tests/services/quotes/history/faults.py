"""What goes wrong while clients call."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable

from tests.services.quotes.history.cluster import Cluster

# Seconds that something is stopped for: more and less than a call may take.
_STOPPED = (0.3, 2.0)
# Seconds that something is down for, after it was killed.
_DOWN = (0.0, 1.0)


class Faults:
    """Makes one fault after the other; all are over when a method returns, but for what starts again."""

    def __init__(self, cluster: Cluster, randomness: random.Random) -> None:
        self._cluster = cluster
        self._random = randomness
        self.made: Counter[str] = Counter()
        self._kinds: dict[str, Callable[[], None]] = {
            "server killed (SIGKILL), and started again": self._kill_server,
            "server stopped (SIGSTOP) for 0.3 to 2 s": self._stop_server,
            "PostgreSQL killed (SIGKILL), and started again": self._kill_database,
            "PostgreSQL restarted": self._restart_database,
            "PostgreSQL stopped (SIGSTOP) for 0.3 to 2 s": self._stop_database,
            "connections of a server to PostgreSQL cut": self._cluster.wire.cut_connections,
            "connections ended by pg_terminate_backend": self._cluster.end_connections,
        }

    def __len__(self) -> int:
        """How many kinds there are."""
        return len(self._kinds)

    def round(self, calm: float, until: Callable[[], bool]) -> None:
        """Makes each kind of fault once, in any order, with so many seconds between them."""
        for name in self._random.sample(list(self._kinds), len(self._kinds)):
            time.sleep(calm * self._random.uniform(0.5, 1.5))
            if until():
                return
            self._kinds[name]()
            self.made[name] += 1

    def _pass(self, least: float, most: float) -> None:
        time.sleep(self._random.uniform(least, most))

    def _kill_server(self) -> None:
        server = self._random.choice(self._cluster.servers)
        server.kill()
        self._pass(*_DOWN)
        server.start()

    def _stop_server(self) -> None:
        server = self._random.choice(self._cluster.servers)
        server.send(signal.SIGSTOP)
        self._pass(*_STOPPED)
        server.send(signal.SIGCONT)

    def _kill_database(self) -> None:
        self._cluster.database.kill()
        self._pass(*_DOWN)
        self._cluster.database.start()

    def _restart_database(self) -> None:
        self._cluster.database.stop()
        self._cluster.database.start()

    def _stop_database(self) -> None:
        self._cluster.database.pause()
        self._pass(*_STOPPED)
        self._cluster.database.resume()

"""The future that grpc is given for work whose result is not used."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class NullFuture(Future[Any]):
    """A future that never calls back."""

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """Ignored: grpc counts calls with it, for a limit of its own that is not used here."""


NULL_FUTURE = NullFuture()

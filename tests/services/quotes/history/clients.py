"""Clients of servers that share a database: threads of several processes, which record what they see."""

import pickle
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from multiprocessing.synchronize import Event
from pathlib import Path
from threading import Thread
from typing import Any

import grpc

from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.services.quotes.shared_store import STALE
from tests.services.quotes.history.operations import (
    Add,
    Get,
    Listing,
    Operation,
    Outcome,
    Quote,
    author_of,
    long_author_of,
    quotes_of,
)

# Seconds of each call: less than a server or PostgreSQL is stopped for at times.
_TIMEOUT = 1.0
# Seconds to wait after a call that ended with UNAVAILABLE, and for which its server is left alone then.
_PAUSE, _LEFT = 0.05, 1.0
# Parts of all calls. The others read one quote.
_ADDS, _LISTINGS, _LONG_LISTINGS = 0.04, 0.06, 0.0005
# Of the calls that add: of those that repeat what others add or have added, and of those that try again after
# an unknown outcome.
_REPEATED, _TRIED_AGAIN = 0.1, 0.5

# What certainly changes nothing, whoever says it.
_REFUSED = {
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
}
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
]


@dataclass(frozen=True)
class Shared:
    """What all processes of clients have in common."""

    batches: Any  # multiprocessing.Value: how many batches have been begun
    calls: Any  # how many calls have ended with OK
    stop: Event


def outcome_of(error: Any) -> Outcome:
    """What a failed attempt to add has done, by docs/database.md."""
    if error.code() in _REFUSED:
        return Outcome.FAILED
    answered = "grpc-retry-pushback-ms" in dict(error.trailing_metadata() or ())
    if error.code() is grpc.StatusCode.UNAVAILABLE and answered:
        return Outcome.UNKNOWN if "may have been committed or not" in error.details() else Outcome.FAILED
    return Outcome.UNKNOWN


class Client:
    """Makes one call after the other, each to any of the servers."""

    def __init__(self, stubs: Sequence[Any], shared: Shared, randomness: random.Random) -> None:
        self._stubs = stubs
        self._shared = shared
        self._random = randomness
        self._again: deque[int] = deque()  # batches whose outcome is unknown
        self._left_until: dict[Any, float] = {}  # by stub
        self.operations: list[Operation] = []

    def run(self) -> None:
        random_number = self._random.random
        while not self._shared.stop.is_set():
            for _ in range(20):
                draw = random_number()
                if self._again:
                    self._add(self._again.popleft())
                elif draw < _ADDS:
                    self._add(self._batch())
                elif draw < _ADDS + _LISTINGS:
                    self._list(author_of(self._some_batch()))
                elif draw < _ADDS + _LISTINGS + _LONG_LISTINGS:
                    self._list(long_author_of(self._some_batch()))
                else:
                    self._get(author_of(self._some_batch()))
            answered = sum(one.code == "OK" for one in self.operations[-20:])
            with self._shared.calls.get_lock():
                self._shared.calls.value += answered

    def _stub(self) -> Any:
        now = time.monotonic()
        good = [stub for stub in self._stubs if self._left_until.get(stub, 0.0) < now]
        return self._random.choice(good or self._stubs)

    def _batch(self) -> int:
        """A new one, or one that another client may just add."""
        if self._random.random() < _REPEATED:
            return max(1, self._some_batch())
        with self._shared.batches.get_lock():
            self._shared.batches.value += 1
            return int(self._shared.batches.value)

    def _some_batch(self) -> int:
        """One of the last few, most of the time; the last may not have been added yet."""
        last = int(self._shared.batches.value)
        if self._random.random() < 0.7:
            return max(0, last - int(self._random.expovariate(0.1)))
        return self._random.randint(0, last)

    def _add(self, batch: int) -> None:
        requests = [pb.AddQuotesRequest(quote=text, author=author) for text, author in quotes_of(batch)]
        stub, began = self._stub(), time.monotonic_ns()
        try:
            added = int(stub.AddQuotes(iter(requests), timeout=_TIMEOUT).added)
        except grpc.RpcError as error:
            outcome = outcome_of(error)
            self._record(Add(began, time.monotonic_ns(), _code(error), outcome, batch, 0))
            if outcome is Outcome.UNKNOWN and self._random.random() < _TRIED_AGAIN:
                self._again.append(batch)
            self._rest(error, stub)
        else:
            self._record(Add(began, time.monotonic_ns(), "OK", Outcome.OK, batch, added))

    def _get(self, author: str) -> None:
        stub, began = self._stub(), time.monotonic_ns()
        try:
            reply, call = stub.GetQuote.with_call(pb.QuoteRequest(author=author), timeout=_TIMEOUT)
        except grpc.RpcError as error:
            self._record(Get(began, time.monotonic_ns(), _code(error), False, author, None))
            self._rest(error, stub)
        else:
            ended = time.monotonic_ns()
            self._record(Get(began, ended, "OK", _stale(call), author, Quote(reply.quote, reply.author)))

    def _list(self, author: str) -> None:
        stub, began = self._stub(), time.monotonic_ns()
        call = stub.ListQuotes(pb.ListQuotesRequest(author=author), timeout=_TIMEOUT)
        try:
            quotes = tuple(Quote(reply.quote, reply.author) for reply in call)
        except grpc.RpcError as error:
            self._record(Listing(began, time.monotonic_ns(), _code(error), False, author, None))
            self._rest(error, stub)
        else:
            self._record(Listing(began, time.monotonic_ns(), "OK", _stale(call), author, quotes))

    def _record(self, operation: Operation) -> None:
        self.operations.append(operation)

    def _rest(self, error: Any, stub: Any) -> None:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            self._left_until[stub] = time.monotonic() + _LEFT
            time.sleep(_PAUSE)


def _code(error: Any) -> str:
    return str(error.code().name)


def _stale(call: Any) -> bool:
    return STALE in dict(call.trailing_metadata() or ())


def run(targets: Sequence[str], shared: Shared, threads: int, seed: int, into: Path) -> None:
    """Runs clients until they are stopped, and writes what they have recorded."""
    with ExitStack() as opened:
        channels = [opened.enter_context(grpc.insecure_channel(target, _OPTIONS)) for target in targets]
        stubs = [quote_service_pb2_grpc.QuoterStub(channel) for channel in channels]
        clients = [Client(stubs, shared, random.Random(f"{seed} {one}")) for one in range(threads)]  # noqa: S311 - not for a secret
        running = [Thread(target=client.run) for client in clients]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    with into.open("wb") as file:
        pickle.dump([tuple(client.operations) for client in clients], file, protocol=5)


def recorded(files: Iterable[Path]) -> list[Operation]:
    loads: Callable[[bytes], list[tuple[Operation, ...]]] = pickle.loads  # our own
    return list(chain.from_iterable(chain.from_iterable(loads(file.read_bytes()) for file in files)))

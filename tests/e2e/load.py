"""Steady calls to the service, from a pod beside it, each kept with what became of it: `load.py --help`.

Nothing is retried unless it is said. Prints a line when calls are answered. Ends after SIGTERM, once all
calls have: then OUTPUT has one JSON object a line for each call made, with times in seconds since the epoch.
"""

import argparse
import faulthandler
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc

from app.client.channel import channel
from app.client.tls import Tls
from app.client.token import read_token
from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc
from app.runtime.signals import Signals

ROUND_ROBIN = '{"loadBalancingConfig": [{"round_robin": {}}]}'
QUOTER = pb.DESCRIPTOR.services_by_name["Quoter"]
DEADLINE = 5
TURNS = 24  # of a conversation, half a second each: it outlasts a connection's age
LISTED = 50

Metadata = tuple[tuple[str, str | bytes], ...]


class Load:
    """Calls on a channel until `ended` is set, and what became of them."""

    def __init__(self, opened: grpc.Channel, metadata: Metadata) -> None:
        self._stub = quote_service_pb2_grpc.QuoterStub(opened)
        self._metadata = metadata
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.calls: list[dict[str, object]] = []
        self.answered = threading.Event()
        self.ended = threading.Event()

    def steadily(self, method: str, interval: float, *, after: float = 0) -> None:
        """Calls at this interval, also where a call before took longer than that; all in seconds."""
        call = {"GetQuote": self._get, "ListQuotes": self._list, "Converse": self._converse}[method]

        def go() -> None:
            due = time.monotonic() + after
            while not self.ended.wait(max(0.0, due - time.monotonic())):
                self._keep(method, call)
                due += interval

        thread = threading.Thread(target=go)
        thread.start()
        self._threads.append(thread)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _keep(self, method: str, call: Callable[[], tuple[bool, str]]) -> None:
        began = time.time()
        code, text, instance = "OK", "", ""
        try:
            whole, instance = call()
            if not whole:
                code = "INCOMPLETE"
        except grpc.RpcError as error:
            code, text = error.code().name, str(error.details())
        kept = {"method": method, "began": began, "ended": time.time(), "code": code}
        with self._lock:
            self.calls.append(kept | {"text": text, "instance": instance})
        if code == "OK":
            self.answered.set()

    # Each returns whether the whole answer came, and from which server where that is known.

    def _get(self) -> tuple[bool, str]:
        asking = (*self._metadata, ("x-instance", "?"))
        reply, call = self._stub.GetQuote.with_call(pb.QuoteRequest(), timeout=DEADLINE, metadata=asking)
        return bool(reply.quote), str(dict(call.trailing_metadata())["x-instance"])

    def _list(self) -> tuple[bool, str]:
        request = pb.ListQuotesRequest(limit=LISTED)
        replies = self._stub.ListQuotes(request, timeout=DEADLINE, metadata=self._metadata)
        return len(list(replies)) == LISTED, ""

    def _converse(self) -> tuple[bool, str]:
        def turns() -> Iterator[pb.ConverseRequest]:
            for _ in range(TURNS):
                self.ended.wait(0.5)
                yield pb.ConverseRequest()

        replies = self._stub.Converse(turns(), timeout=60, metadata=self._metadata)
        return len(list(replies)) == TURNS, ""


def opened(given: argparse.Namespace) -> tuple[grpc.Channel, Metadata]:
    """A channel as it was asked for, and what its calls need beside it."""
    if given.stock:
        options = [("grpc.service_config", ROUND_ROBIN)]
        token = (("authorization", f"Bearer {read_token(given.token_file)}"),)
        return grpc.insecure_channel(given.target, options=options), token
    tls = Tls(given.ca, given.cert, given.key, given.server_name) if given.ca else None
    found = channel(
        given.target,
        tls=tls,
        token_file=given.token_file,
        allow_plaintext_token=tls is None,
        services=[QUOTER] if given.retries else [],
    )
    return found, ()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("output", type=Path)
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--ca", type=Path)
    parser.add_argument("--cert", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--server-name")
    parser.add_argument("--stock", action="store_true", help="grpc's own channel, in place of app.client's")
    parser.add_argument("--retries", action="store_true", help="by the library's default policy")
    parser.add_argument("--unary", type=int, default=50, help="calls a second, a multiple of ten")
    parser.add_argument("--streams", type=int, default=2, help="streams a second")
    parser.add_argument("--conversations", type=int, default=2, help="at a time, each of twelve seconds")
    parser.add_argument("--busy", type=int, default=0, help="unary calls in flight at any time, in addition")
    given = parser.parse_args()

    found, metadata = opened(given)
    load = Load(found, metadata)
    signals = Signals()
    faulthandler.register(signal.SIGUSR1)  # tells where each thread is, should it not end
    with found:
        for _ in range(given.unary // 10):
            load.steadily("GetQuote", 0.1)
        for _ in range(given.busy):
            load.steadily("GetQuote", 0)
        for _ in range(given.streams):
            load.steadily("ListQuotes", 1)
        for number in range(given.conversations):
            load.steadily("Converse", 0.5, after=number / 4)
        load.answered.wait(30)
        print("calling", flush=True)  # noqa: T201 - output of a script
        signals.wait()
        load.ended.set()
        load.join()
    given.output.write_text("".join(json.dumps(call) + "\n" for call in load.calls))


if __name__ == "__main__":
    main()

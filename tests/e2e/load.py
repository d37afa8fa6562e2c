"""Steady calls to the service, from a pod beside it: `python load.py TARGET TOKEN_FILE SECONDS`.

Two clients make them: `own` is this project's, which looks up addresses again within a second; `stock` is
what everybody else's does, at most every 30 seconds. Each makes 50 unary calls and two streams a second, and
two conversations at a time that outlast a connection's age. Nothing is retried, and an answer that is cut
short counts as a failure. Prints a line when calls are answered, and one with what became of all of them
(JSON) after SIGTERM or SECONDS.
"""

import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc

from app.client.channel import channel
from app.client.token import read_token
from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc

ROUND_ROBIN = '{"loadBalancingConfig": [{"round_robin": {}}]}'
TURNS = 24  # of a conversation, half a second each
LISTED = 50


class Outcomes:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._codes: dict[str, Counter[str]] = {}
        self._failures: list[str] = []
        self.answered = threading.Event()

    def count(self, what: str, call: Callable[[], bool]) -> None:
        """`call` returns whether it got the whole answer."""
        try:
            code, text = ("OK", "") if call() else ("INCOMPLETE", "")
        except grpc.RpcError as error:
            code, text = error.code().name, str(error.details())
        with self._lock:
            self._codes.setdefault(what, Counter())[code] += 1
            if code != "OK":
                self._failures.append(f"{time.monotonic() - self._began:.3f} s: {what} {code} {text}")
        if code == "OK":
            self.answered.set()

    def summary(self) -> str:
        with self._lock:
            return json.dumps(
                {
                    "seconds": round(time.monotonic() - self._began, 1),
                    "codes": self._codes,
                    "failures": self._failures[:20],
                }
            )


def steadily(ended: threading.Event, interval: float, call: Callable[[], None]) -> threading.Thread:
    """Calls at this interval, also where a call before took longer than that."""

    def go() -> None:
        due = time.monotonic()
        while not ended.wait(max(0.0, due - time.monotonic())):
            call()
            due += interval

    thread = threading.Thread(target=go)
    thread.start()
    return thread


def start(
    client: str,
    opened: grpc.Channel,
    metadata: tuple[tuple[str, str | bytes], ...],
    outcomes: Outcomes,
    ended: threading.Event,
) -> list[threading.Thread]:
    stub = quote_service_pb2_grpc.QuoterStub(opened)

    def unary() -> bool:
        return bool(stub.GetQuote(pb.QuoteRequest(), timeout=5, metadata=metadata).quote)

    def stream() -> bool:
        request = pb.ListQuotesRequest(limit=LISTED)
        return len(list(stub.ListQuotes(request, timeout=5, metadata=metadata))) == LISTED

    def conversation() -> bool:
        def turns() -> Iterator[pb.ConverseRequest]:
            for _ in range(TURNS):
                ended.wait(0.5)
                yield pb.ConverseRequest()

        return len(list(stub.Converse(turns(), timeout=60, metadata=metadata))) == TURNS

    return [
        *(steadily(ended, 0.1, lambda: outcomes.count(f"{client} unary", unary)) for _ in range(5)),
        steadily(ended, 0.5, lambda: outcomes.count(f"{client} stream", stream)),
        *(
            steadily(ended, 0.5, lambda: outcomes.count(f"{client} conversation", conversation))
            for _ in range(2)
        ),
    ]


def main(target: str, token_file: Path, seconds: float) -> None:
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    outcomes = Outcomes()
    with (
        channel(target, token_file=token_file, allow_plaintext_token=True) as own,
        grpc.insecure_channel(target, options=[("grpc.service_config", ROUND_ROBIN)]) as stock,
    ):
        authorization = (("authorization", f"Bearer {read_token(token_file)}"),)
        threads = start("own", own, (), outcomes, ended) + start(
            "stock", stock, authorization, outcomes, ended
        )
        outcomes.answered.wait(30)
        print("calling", flush=True)  # noqa: T201 - output of a script
        ended.wait(seconds)
        ended.set()
        for thread in threads:
            thread.join()
    print(outcomes.summary(), flush=True)  # noqa: T201 - output of a script


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))

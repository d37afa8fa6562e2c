"""Adds and gets quotes at a steady rate, and records every call: `keeping.py TARGET OUTPUT`.

Each call of AddQuotes adds two quotes. No call is retried. A line is printed once a call is answered. After
SIGTERM, OUTPUT has a line of JSON for each call, as that of tests/e2e/load.py has; the text of a stream that
was added names its quotes.
"""

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from app.client.channel import channel
from app.gen import quote_service_pb2 as pb
from app.gen import quote_service_pb2_grpc

AUTHOR = "The Keeper"
DEADLINE = 15  # a call that a busy node delays is not lost
ADDS, GETS = 2, 4  # threads, each with ten calls per second

ended, answered = threading.Event(), threading.Event()
calls: list[dict[str, object]] = []


def keep(method: str, call: Callable[[int], tuple[Any, str]], number: int) -> None:
    began = time.time()
    code, text, instance = "OK", "", ""
    try:
        made, text = call(number)
        instance = str(dict(made.trailing_metadata()).get("x-instance", ""))
        answered.set()
    except grpc.RpcError as error:
        code, text = error.code().name, str(error.details())
    kept = {"method": method, "began": began, "ended": time.time(), "code": code}
    calls.append(kept | {"text": text, "instance": instance})


def main() -> None:
    target, output = sys.argv[1:]
    metadata = (("x-instance", "?"),)
    run = time.time_ns()  # quotes are unique over all runs

    def add(stub: Any, name: str) -> tuple[Any, str]:
        requests = [pb.AddQuotesRequest(quote=f"{name} {half}", author=AUTHOR) for half in "ab"]
        _, call = stub.AddQuotes.with_call(iter(requests), timeout=DEADLINE, metadata=metadata)
        return call, name

    def get(stub: Any) -> tuple[Any, str]:
        reply, call = stub.GetQuote.with_call(pb.QuoteRequest(), timeout=DEADLINE, metadata=metadata)
        return call, "" if reply.quote else "no quote"

    def steadily(method: str, call: Callable[[int], tuple[Any, str]], threads: int) -> list[threading.Thread]:
        def go(first: int) -> None:
            number, due = first, time.monotonic()
            while not ended.wait(max(0.0, due - time.monotonic())):
                keep(method, call, number)
                number += threads
                due += 0.1

        made = [threading.Thread(target=go, args=(first,)) for first in range(threads)]
        for thread in made:
            thread.start()
        return made

    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with channel(target) as opened:
        stub = quote_service_pb2_grpc.QuoterStub(opened)
        threads = [
            *steadily("AddQuotes", lambda number: add(stub, f"{run}-{number}"), ADDS),
            *steadily("GetQuote", lambda _: get(stub), GETS),
        ]
        answered.wait(30)
        print("calling", flush=True)  # noqa: T201 - output of a script
        ended.wait()
        for thread in threads:
            thread.join()
    Path(output).write_text("".join(json.dumps(call) + "\n" for call in calls))


if __name__ == "__main__":
    main()

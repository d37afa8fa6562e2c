"""Calls the server at a steady rate, and records every call: `load.py --help`.

Calls are not retried without --retries. Prints a line once a call is answered. After SIGTERM it ends when all
calls have ended: then OUTPUT has a line of JSON for each call, with times in seconds since the epoch.
"""

import argparse
import faulthandler
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc

from app.client.channel import channel
from app.client.tls import Tls
from app.client.token import read_token
from app.runtime.signals import Signals
from tests.gen import probe_pb2_grpc
from tests.gen.probe_pb2 import DESCRIPTOR, ProbeReply, ProbeRequest

ROUND_ROBIN = '{"loadBalancingConfig": [{"round_robin": {}}]}'
PROBE = DESCRIPTOR.services_by_name["Probe"]
MESSAGE = ProbeRequest(text="a message of about the usual length")
DEADLINE = 5
# Of a ServerStream. Each of its replies waits for two threads of the client to run: on a busy node all take
# up to 5 s in a row, with none lost.
STREAM_DEADLINE = 20
TURNS = 24  # messages of a BidiStream, one every half second: it outlasts the connection's age
REPLIES = 50  # of a ServerStream

Metadata = tuple[tuple[str, str | bytes], ...]


class Load:
    """Calls on a channel until `ended` is set, and their outcomes."""

    def __init__(self, opened: grpc.Channel, metadata: Metadata) -> None:
        self._stub = probe_pb2_grpc.ProbeStub(opened)
        self._metadata = metadata
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.calls: list[dict[str, object]] = []
        self.answered = threading.Event()
        self.ended = threading.Event()

    def steadily(self, method: str, interval: float, *, after: float = 0) -> None:
        """Calls every `interval` seconds, without waiting for earlier calls that are late."""
        call = {"Unary": self._unary, "ServerStream": self._server_stream, "BidiStream": self._bidi_stream}[
            method
        ]

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

    # Each returns whether the reply is complete, and the server's name if the reply has it.

    def _unary(self) -> tuple[bool, str]:
        metadata = (*self._metadata, ("x-instance", "?"))
        reply, call = self._stub.Unary.with_call(MESSAGE, timeout=DEADLINE, metadata=metadata)
        return reply.text == MESSAGE.text, str(dict(call.trailing_metadata())["x-instance"])

    def _server_stream(self) -> tuple[bool, str]:
        request = ProbeRequest(text=MESSAGE.text, count=REPLIES)
        return self._complete(self._stub.ServerStream, request, REPLIES, STREAM_DEADLINE), ""

    def _bidi_stream(self) -> tuple[bool, str]:
        def turns() -> Iterator[ProbeRequest]:
            for _ in range(TURNS):
                self.ended.wait(0.5)
                yield MESSAGE

        return self._complete(self._stub.BidiStream, turns(), TURNS, 60), ""

    def _complete(self, method: Any, request: Any, count: int, timeout: float) -> bool:
        replies: list[ProbeReply] = list(method(request, timeout=timeout, metadata=self._metadata))
        return [reply.text for reply in replies] == [MESSAGE.text] * count


def opened(given: argparse.Namespace) -> tuple[grpc.Channel, Metadata]:
    """The channel that the options describe, and the metadata that its calls need."""
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
        services=[PROBE] if given.retries else [],
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
    parser.add_argument(
        "--stock", action="store_true", help="use grpc's own channel in place of app.client's"
    )
    parser.add_argument("--retries", action="store_true", help="retry by the default policy of app.client")
    parser.add_argument("--unary", type=int, default=50, help="unary calls per second, a multiple of ten")
    parser.add_argument("--streams", type=int, default=2, help="server streams per second")
    parser.add_argument(
        "--conversations", type=int, default=2, help="bidirectional streams at a time, of 12 seconds each"
    )
    parser.add_argument(
        "--busy", type=int, default=0, help="additional unary calls, so many in flight at any time"
    )
    given = parser.parse_args()

    found, metadata = opened(given)
    load = Load(found, metadata)
    signals = Signals()
    faulthandler.register(signal.SIGUSR1)  # prints the stacks of all threads, should it not end
    with found:
        for _ in range(given.unary // 10):
            load.steadily("Unary", 0.1)
        for _ in range(given.busy):
            load.steadily("Unary", 0)
        for _ in range(given.streams):
            load.steadily("ServerStream", 1)
        for number in range(given.conversations):
            load.steadily("BidiStream", 0.5, after=number / 4)
        load.answered.wait(30)
        print("calling", flush=True)  # noqa: T201 - output of a script
        signals.wait()
        load.ended.set()
        load.join()
    given.output.write_text("".join(json.dumps(call) + "\n" for call in load.calls))


if __name__ == "__main__":
    main()

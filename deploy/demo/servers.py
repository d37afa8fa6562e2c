"""The servers of the demo: processes on free ports of this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from typing import Any

import grpc

from app.core.errors import StartError
from app.tools.channel_command import code_of
from deploy.checkout import ROOT
from deploy.demo.settings import MAX_QUEUE_TIME, WORKERS
from deploy.faults.gen.faults.v1 import faults_pb2 as pb
from deploy.faults.gen.faults.v1 import faults_pb2_grpc

# The program with a service that switches faults.
FAULTY = "deploy.faults"
# How long a server may take to end, in seconds.
_PATIENCE = 5
# Before a call that was refused is made again, in seconds.
_PAUSE = 0.05


class Server:
    """A server with faults, and its addresses. Can be used once it has been waited for."""

    def __init__(self, program: str, drain_delay: float) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("APP_", "OTEL_"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", program, "serve"],
            cwd=ROOT,
            env=kept
            | {
                "APP_LISTEN": "127.0.0.1:0",
                "APP_METRICS_LISTEN": "127.0.0.1:0",
                "APP_WORKERS": str(WORKERS),
                "APP_MAX_QUEUE_TIME": str(MAX_QUEUE_TIME),
                "APP_DRAIN_DELAY": str(drain_delay),
                "APP_DRAIN_GRACE": "2",
                "APP_LOG_FORMAT": "json",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,  # Ctrl-C is for the demo, which ends its servers in order
        )
        self.target = self.metrics = ""

    def wait(self) -> None:
        """Waits until it serves. Raises StartError with what it printed instead."""
        assert self._process.stdout is not None  # noqa: S101 - as asked for above
        printed = []
        for line in self._process.stdout:
            printed.append(line)
            if line.startswith("{") and (found := json.loads(line))["event"] == "serving":
                self.target = found["addresses"][0]
                self.metrics = found["metrics"][0].split("/")[2]
                Thread(target=self._read, daemon=True).start()
                return
        raise StartError("".join(printed))

    def set(self, faults: pb.Faults) -> None:
        """Sets the faults. Tries again while the server has more calls than it can take."""
        request, end = pb.SetFaultsRequest(faults=faults), time.monotonic() + _PATIENCE
        with grpc.insecure_channel(self.target) as channel:
            stub: Any = faults_pb2_grpc.FaultsServiceStub(channel)
            while True:
                try:
                    stub.SetFaults(request, timeout=_PATIENCE)
                except grpc.RpcError as error:
                    if code_of(error) is not grpc.StatusCode.RESOURCE_EXHAUSTED or time.monotonic() > end:
                        raise
                    time.sleep(_PAUSE)
                else:
                    return

    def drain(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Makes it end, without the delay of a drain."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def wait_for_end(self) -> None:
        """Kills it if it takes too long."""
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        """Keeps it from waiting for a reader of its log."""
        assert self._process.stdout is not None  # noqa: S101 - as above
        for _ in self._process.stdout:
            pass


@contextmanager
def servers(count: int, drain_delay: float, program: str = FAULTY) -> Iterator[Sequence[Server]]:
    """Starts that many, and ends them on exit. Raises StartError."""
    started: list[Server] = []
    try:
        for _ in range(count):
            started.append(Server(program, drain_delay))  # noqa: PERF401 - those before are ended if one fails
        for server in started:
            server.wait()
        yield started
    finally:
        for server in started:
            server.stop()
        for server in started:
            server.wait_for_end()

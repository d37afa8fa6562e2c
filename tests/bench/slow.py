"""This program with a servicer that takes a given time, and counts its calls."""

import json
import os
import threading
import time
from contextlib import nullcontext
from dataclasses import replace

import grpc

from app import server, wiring
from app.core.call import Call
from app.interceptors.concern import Concern
from app.runtime.signals import Signals
from app.settings import load
from tests.gen.probe_pb2 import ProbeReply, ProbeRequest
from tests.support.servers.echo import ECHO, Echo

# The variable with the seconds that each call takes.
TAKES = "CALL_TAKES"
# A request with this text is answered with the counts, as JSON.
COUNTS = "counts"


class Count:
    """The number of calls now, the greatest so far, and the total."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = self.total = 0

    def enter(self) -> None:
        with self._lock:
            self.now += 1
            self.total += 1
            self.most = max(self.most, self.now)

    def leave(self) -> None:
        with self._lock:
            self.now -= 1


class AdmissionCounter(Concern):
    """Counts the calls that every gate has admitted: it is the last concern."""

    def __init__(self, count: Count) -> None:
        self._count = count

    def admit(self, call: Call) -> None:
        del call
        self._count.enter()

    def end(self, call: Call) -> None:
        del call
        self._count.leave()


class SlowEcho(Echo):
    def __init__(self, seconds: float, running: Count, admitted: Count) -> None:
        self._seconds = seconds
        self._running = running
        self._admitted = admitted

    def Unary(self, request: ProbeRequest, context: grpc.ServicerContext) -> ProbeReply:
        if request.text == COUNTS:
            counts = {"admitted": self._admitted, "running": self._running}
            text = {name: {"most": one.most, "total": one.total} for name, one in counts.items()}
            return ProbeReply(text=json.dumps(text))
        self._running.enter()
        try:
            if self._seconds:
                time.sleep(self._seconds)
            return super().Unary(request, context)
        finally:
            self._running.leave()


def slow() -> None:
    """Serves as `app serve` does."""
    running, admitted = Count(), Count()
    echo = SlowEcho(float(os.environ[TAKES]), running, admitted)
    chain = wiring.concerns
    wiring.concerns = lambda *parts: [*chain(*parts), AdmissionCounter(admitted)]
    services = [replace(ECHO, open=lambda _settings: nullcontext(echo))]
    server.run(load(services=services), Signals(), services)

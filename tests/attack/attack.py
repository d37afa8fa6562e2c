"""An attack on a server with default settings, and what an honest client sees of it."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.attack.half_calls import Ending, half_calls
from tests.attack.honest import Honest, Seen
from tests.attack.usage import Usage, peak_of
from tests.support.clients.status import outcome
from tests.support.servers.process import server_process

UNARY, CLIENT_STREAM = "/probe.Probe/Unary", "/probe.Probe/ClientStream"
BIDI_STREAM = "/probe.Probe/BidiStream"
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"


@dataclass(frozen=True)
class Result:
    """What an attack did. Methods are paths."""

    quiet: dict[str, Seen]
    attacked: dict[str, Seen]
    watch: grpc.StatusCode  # what became of a Watch that was begun under attack
    half: dict[str, Ending]
    before: Usage
    peak: Usage
    after: Usage

    def __str__(self) -> str:
        rows = [f"{path}: quiet {self.quiet[path]}; attacked {seen}" for path, seen in self.attacked.items()]
        rows += [f"half calls of {path}: {ending}" for path, ending in self.half.items()]
        rows += [f"a Watch: {self.watch.name}", f"before {self.before}", f"peak {self.peak}"]
        return "\n".join([*rows, f"after {self.after}"])


def attack_with_half_calls(calls: dict[str, int], *, quiet: float, hold: float) -> Result:
    """Begins so many half calls of each path, and holds them for so many seconds."""
    with (
        server_process(APP_DRAIN_DELAY="0") as server,
        Honest(server.target, {UNARY: b"", CHECK: b""}).calling() as honest,
    ):
        pid = server.process.pid
        time.sleep(1)  # the first calls are slower
        calm = honest.phase(quiet)
        before = Usage.of(pid)
        with peak_of(pid) as peak, ExitStack() as parts:
            honest.begin()
            half = {
                path: parts.enter_context(half_calls(server.target, path, number))
                for path, number in calls.items()
            }
            watch = watched(server.target)
            attacked = honest.phase(hold)
            ending = {path: each.ending() for path, each in half.items()}
            return Result(calm, attacked, watch, ending, before, peak.usage, Usage.of(pid))


def watched(target: str) -> grpc.StatusCode:
    """What a client that watches the server's health sees."""
    with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=5)
        return outcome(lambda: next(watch))

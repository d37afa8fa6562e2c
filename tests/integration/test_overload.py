"""What callers in a process of their own see of a server that has more to do than it can.

`make overload` measures the same with more callers, and with workers that are busy instead of blocked.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.bench.process import TOKEN, server
from tests.bench.slow import TAKES
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.servers.process import pause, server_process

pytestmark = [pytest.mark.slow, pytest.mark.alone]

CROWD = Path(__file__).parents[1] / "support" / "clients" / "constant_rate.py"
WORKERS, MOST = 2, 3
# Five times what two workers carry where a call takes 20 ms, had they not been blocked.
RATE, SECONDS = 500, 2


def p99(taken: list[float]) -> float:
    return sorted(taken)[round(0.99 * (len(taken) - 1))]


def test_with_every_worker_blocked_the_rest_is_refused_promptly_and_health_answers() -> None:
    sizes = {"APP_WORKERS": str(WORKERS), "APP_MAX_CALLS": str(MOST), TAKES: "3600"}
    with server("slow", variables=sizes) as at:
        command = [sys.executable, str(CROWD), at.target, str(RATE), str(SECONDS), TOKEN]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    seen: dict[str, Any] = json.loads(done.stdout)
    refused = [(taken, pushback) for code, taken, pushback in seen["calls"] if code == "RESOURCE_EXHAUSTED"]
    assert len(refused) == RATE * SECONDS - MOST
    assert {code for code, *_ in seen["calls"]} == {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}
    assert all(int(pushback) > 0 for _, pushback in refused)
    assert p99([taken for taken, _ in refused]) < 50
    assert {code for code, *_ in seen["checks"]} == {"OK"}
    assert p99([taken for _, taken, _ in seen["checks"]]) < 50


def test_calls_that_came_while_the_process_stood_still_are_all_accepted_or_refused_in_order() -> None:
    """As a container does that is out of its share of the processor. grpc's own limit drops some of these."""
    with server_process(APP_MAX_CALLS="20") as standing, ExitStack() as open_channels:
        own = [("grpc.use_local_subchannel_pool", 1)]  # a connection each, with fewer calls than its limit
        methods = []
        for _ in range(9):
            channel = open_channels.enter_context(grpc.insecure_channel(standing.target, own))
            grpc.channel_ready_future(channel).result(timeout=5)
            methods.append(probe_pb2_grpc.ProbeStub(channel).Unary)
        pause(standing.process)
        calls = [method.future(pb.ProbeRequest(), timeout=30) for method in methods for _ in range(300)]
        time.sleep(0.5)  # until they are all with the server's kernel
        os.kill(standing.process.pid, signal.SIGCONT)
        assert {call.code() for call in calls} == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}

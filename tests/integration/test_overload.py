"""What callers in a process of their own see of a server that has more to do than it can.

`make overload` measures the same with more callers, and with workers that are busy instead of blocked.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.process import TOKEN, server
from tests.bench.slow import TAKES

CROWD = Path(__file__).with_name("crowd.py")
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

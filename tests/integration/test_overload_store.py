"""What callers see of a server whose database has more to do than it can.

`make overload-store` measures the same with more callers, and with the server's default limits, too.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.load import Result
from tests.bench.overload import GOODPUT, PROMPT, REJECTED, Seen, wrong
from tests.bench.overload_store import stored_server
from tests.bench.process import TOKEN, Server
from tests.bench.stored import TAKES
from tests.support.servers.postgres import NEEDS_POSTGRES

pytestmark = [NEEDS_POSTGRES, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(120)]

CALLERS = Path(__file__).parents[1] / "support" / "clients" / "constant_rate.py"
# More workers than may wait for the database: it is the database that limits calls.
SIZES = {"APP_WORKERS": "150", "APP_DATABASE_POOL_SIZE": "2"}
CAPACITY = 2 / TAKES
SECONDS = 2


def offered(at: Server, share: float) -> dict[str, Any]:
    """Calls at this part of what the database can carry."""
    command = [sys.executable, str(CALLERS), at.target, str(share * CAPACITY), str(SECONDS), TOKEN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def taken(seen: dict[str, Any], code: str, what: str = "calls") -> list[float]:
    """Milliseconds of the calls that ended so, in order."""
    return sorted(milliseconds for ended, milliseconds, _ in seen[what] if ended == code)


def p99(milliseconds: list[float]) -> float:
    return milliseconds[round(0.99 * (len(milliseconds) - 1))]


def test_at_five_times_what_the_database_carries_goodput_stays_and_the_rest_is_refused_promptly() -> None:
    with stored_server(SIZES) as at:
        peak = max(len(taken(offered(at, share), "OK")) for share in (1, 1.5))
        seen = offered(at, 5)
    answered, refused = taken(seen, "OK"), taken(seen, "RESOURCE_EXHAUSTED")
    assert len(answered) + len(refused) == len(seen["calls"]) == 5 * CAPACITY * SECONDS
    assert len(answered) >= GOODPUT * peak
    assert p99(refused) < PROMPT
    assert {pushback for code, _, pushback in seen["calls"] if code != "OK"} == {"100"}
    assert p99(taken(seen, "OK", "checks")) < PROMPT


def test_slow_refusals_are_wrong_where_they_are_to_be_prompt_and_slow_health_checks_always() -> None:
    def result(code: str, kind: str) -> Result:
        return Result(1.0, 1, 0, int(code == REJECTED), {code: 1}, {kind: {"p50": 1.0, "p99": PROMPT + 1.0}})

    seen = Seen(result(REJECTED, "rejected"), result("OK", "ok"), cpu=0.1)
    assert wrong(seen, prompt=False) == ["health checks take 51.0 ms (p99); the limit is 50"]
    assert len(wrong(seen)) == 2

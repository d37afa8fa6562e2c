"""Callers in a process of their own: `python constant_rate.py TARGET CALLS_A_SECOND SECONDS TOKEN`.

Calls come at their times, whether the ones before are answered or not, and a health check with every tenth.
Prints, as JSON, the code, the milliseconds and the pushback of each.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import grpc


def main(target: str, rate: float, seconds: float, token: str) -> None:
    seen: dict[str, list[Any]] = {"calls": [], "checks": []}
    with grpc.insecure_channel(target) as channel:
        unary: Any = channel.unary_unary("/probe.Probe/Unary")
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        check(b"", wait_for_ready=True)
        made: list[Any] = []

        def call(method: Any, into: list[Any], **how: Any) -> None:
            future = method.future(b"", timeout=seconds, **how)
            made.append(future)
            future.add_done_callback(noted(into, time.perf_counter()))

        start = time.perf_counter()
        for number in range(round(rate * seconds)):
            time.sleep(max(0.0, start + number / rate - time.perf_counter()))
            call(unary, seen["calls"], metadata=(("authorization", f"Bearer {token}"),))
            if number % 10 == 0:
                call(check, seen["checks"])
        for future in made:
            future.exception()
        while sum(map(len, seen.values())) < len(made):
            time.sleep(0.01)  # the callbacks run after those that wait have been woken
    sys.stdout.write(json.dumps(seen))


def noted(into: list[Any], began: float) -> Callable[[Any], None]:
    def note(done: Any) -> None:
        taken = (time.perf_counter() - began) * 1000
        pushback = dict(done.trailing_metadata() or ()).get("grpc-retry-pushback-ms")
        into.append((done.code().name, taken, pushback))

    return note


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4])

"""Calls of which only the headers are sent, by a process of its own.

It reads all replies, in Python, which would hold up an honest client of the same process.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.attack.attacker import Attacker
from tests.support.servers.process import ROOT, environment

# As many as a connection may have: APP_MAX_CONNECTION_CALLS.
A_CONNECTION = 1000


@dataclass(frozen=True)
class Ending:
    """What became of half calls."""

    codes: Counter[str]  # those with which calls ended
    longest: float  # seconds that a call which has ended was open
    left: int  # how many are open


class HalfCalls:
    """Half calls, held until the context ends."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._line("begun")

    def ending(self) -> Ending:
        """What has become of them so far."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        read = json.loads(self._line("{"))
        return Ending(Counter(read["codes"]), read["longest"], read["left"])

    def _line(self, beginning: str) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith(beginning), f"the attacker has ended: {self._process.wait()}"
        return line


@contextmanager
def half_calls(target: str, path: str, calls: int) -> Iterator[HalfCalls]:
    """Holds that many, over as few connections as may be."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.attack.half_calls", target, path, str(calls)],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield HalfCalls(process)
    finally:
        process.communicate()


def main(target: str, path: str, calls: int) -> None:
    attackers = []
    for begun in range(0, calls, A_CONNECTION):
        attackers.append(Attacker(target))
        attackers[-1].begin(path, min(A_CONNECTION, calls - begun))
    print("begun", flush=True)
    for _ in sys.stdin:
        found = {
            "codes": sum((one.ended for one in attackers), Counter()),
            "longest": max(one.longest for one in attackers),
            "left": sum(len(one.open) for one in attackers),
        }
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

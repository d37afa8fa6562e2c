"""The load generator: a Go program, so that it costs less than the servers that it measures."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.cores import LOAD_CORE, on_core

SOURCE = Path(__file__).with_name("load")
BINARY = SOURCE / "bin" / "load"


@dataclass(frozen=True)
class Result:
    """The outcomes of one run. Latencies are in milliseconds, by `ok`, `rejected` and `failed`."""

    seconds: float
    calls: int
    messages: int
    pushback: int
    codes: Mapping[str, int]
    latency_ms: Mapping[str, Mapping[str, float]]


class Load:
    """A running generator, after its warm-up calls."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._expect("ready")

    def run(self) -> Result:
        """Makes the calls of one run, and returns after the last has ended."""
        self.begin()
        return self.result()

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("run\n")
        self._process.stdin.flush()

    def result(self) -> Result:
        return Result(**json.loads(self._expect("{")))

    def _expect(self, beginning: str) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith(beginning), f"the load ended with exit status {self._process.wait()}"
        return line


@contextmanager
def load(target: str, **flags: Any) -> Iterator[Load]:
    """`flags` are those of load/main.go, with underscores, and messages as bytes."""
    given = [f"-{name.replace('_', '-')}={_flag(value)}" for name, value in flags.items()]
    with on_core(LOAD_CORE):
        process = subprocess.Popen(
            [build(), f"-target={target}", *given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    try:
        yield Load(process)
    finally:
        process.communicate()


def _flag(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def build() -> Path:
    """Compiles the generator if its sources are newer, with the environment's Go."""
    made = BINARY.stat().st_mtime if BINARY.exists() else 0
    if any(path.stat().st_mtime > made for path in SOURCE.glob("*.*")):
        subprocess.run(
            [Path(sys.executable).with_name("go"), "build", "-o", BINARY, "."],
            cwd=SOURCE,
            env=os.environ | {"GOTOOLCHAIN": "local"},
            check=True,
        )
    return BINARY

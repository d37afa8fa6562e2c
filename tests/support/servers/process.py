"""The program as its users run it: a process, its output and its exit code."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.core.name import variable
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without any setting of ours, and with these."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("APP_", "OTEL_", variable(""), "COLUMNS", "FORCE_COLOR"))
    }
    return kept | {"PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', '')}"} | variables


def with_probe(**variables: str) -> dict[str, str]:
    """The same, with a command that has the probe as one more of its services."""
    given = environment(**variables)
    return given | {"PATH": f"{ROOT / 'tests/support/bin'}:{given['PATH']}"}


SERVE = ("-m", "tests.support.servers.program", "serve")


@contextmanager
def started(
    command: Sequence[str] = SERVE, stdout: int = subprocess.PIPE, **variables: str
) -> Iterator["subprocess.Popen[str]"]:
    """Starts the server as a process, on ports that the system chooses; does not outlive the context."""
    given = {"APP_LISTEN": "127.0.0.1:0", "APP_METRICS_LISTEN": "127.0.0.1:0", "APP_DRAIN_DELAY": "0.2"}
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(**(given | variables)),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def pause(process: "subprocess.Popen[str]") -> None:
    """Stops the process with SIGSTOP, and returns once it has stopped: its threads run on for a moment."""
    process.send_signal(signal.SIGSTOP)
    tasks = Path(f"/proc/{process.pid}/task")

    def stopped() -> bool:
        states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks.iterdir()]
        return set(states) == {"T"}

    until(stopped)


class ServerProcess:
    """A started server that is serving, and its log."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.output: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.serving = self.wait_for("serving")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            self._lines.put(line)

    def wait_for(self, event: str, seconds: float = 20) -> dict[str, Any]:
        """The next log line of that event."""
        end = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None or not self._lines.empty(), self.process.communicate()[1]
            try:
                line = self._lines.get(timeout=0.1)
            except queue.Empty:
                assert time.monotonic() < end, f"{event} did not come: {self.output}"
                continue
            if line.startswith('{"timestamp"') and (found := json.loads(line))["event"] == event:
                return dict(found)

    @property
    def target(self) -> str:
        return str(self.serving["addresses"][0])

    @property
    def metrics(self) -> str:
        """The address of its metrics port."""
        [url] = self.serving["metrics"]
        return str(url).removeprefix("http://").removesuffix("/metrics")

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20) -> int:
        """Sends the signal, and returns the exit code."""
        self.process.send_signal(number)
        return self.exit_code(seconds)

    def exit_code(self, seconds: float = 20) -> int:
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output if line.startswith('{"timestamp"')]

    def events(self) -> list[str]:
        return [line["event"] for line in self.logged()]


@contextmanager
def server_process(command: Sequence[str] = SERVE, **variables: str) -> Iterator[ServerProcess]:
    with started(command, subprocess.PIPE, **variables) as process:
        yield ServerProcess(process)


def run(*arguments: str, module: str = "app", **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

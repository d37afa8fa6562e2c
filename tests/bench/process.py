"""A measured server: a process on a core of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.cores import SERVER_CORE, on_core
from tests.support.servers.echo import PYTHONPATH
from tests.support.servers.process import ROOT, environment
from tests.support.servers.usual_stack import token

NONE: Mapping[str, str] = {}
SERVERS = Path(__file__).with_name("servers.py")

# The caller's name. Its token is a JSON Web Token because the usual stack verifies one.
CALLER, KEY = "bench", "the key of the benchmark, 32 bytes"
TOKEN = token(KEY, CALLER)


class Server:
    """A server that answers calls at `target`, and its use of resources."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log
        self.pid = process.pid
        began = time.monotonic()
        serving = self._serving()
        self.started_in = time.monotonic() - began
        self.target = str(serving["addresses"][0])
        # From reading the settings to SERVING, by this program's log.
        self.settled_in = float(serving.get("started_in_seconds", "nan"))

    def _serving(self) -> Mapping[str, Any]:
        """The log line `serving`."""
        while True:
            for line in self._log.read_text().splitlines():
                if line.startswith("{") and (read := json.loads(line)).get("event") == "serving":
                    return dict(read)
            assert self._process.poll() is None, f"the server ended: {self._log.read_text()}"
            time.sleep(0.002)

    def cpu(self) -> float:
        """Seconds of CPU used by all threads of the process, with a resolution of nanoseconds."""
        return time.clock_gettime((~self.pid << 3) | 2)  # the process's CPU clock, as in clock_getcpuclockid

    def memory(self) -> float:
        """Resident memory in MiB."""
        return self._status("VmRSS") / 1024

    def threads(self) -> int:
        return self._status("Threads")

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    def forget(self) -> None:
        """Truncates the log, which is open for appending."""
        os.truncate(self._log, 0)


def given_to(name: str, checkout: Path, tokens: Path) -> dict[str, str]:
    """The variables of a server, unless it is given others."""
    return {
        "PYTHONPATH": f"{checkout}:{PYTHONPATH if name == 'ours' else ROOT}",
        "APP_LISTEN": "127.0.0.1:0",
        "APP_METRICS_LISTEN": "127.0.0.1:0",
        "APP_AUTH_MODE": "tokens",
        "APP_AUTH_TOKENS_FILE": str(tokens),
        "APP_MAX_CALLS": "1000",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }


@contextmanager
def server(
    name: str, checkout: Path = ROOT, variables: Mapping[str, str] = NONE, core: int = SERVER_CORE
) -> Iterator[Server]:
    """Runs the server of that name (see servers.py; `ours` is this program) during the context."""
    with tempfile.TemporaryDirectory() as folder:
        log, tokens = Path(folder, "log"), Path(folder, "tokens")
        tokens.write_text(f"{CALLER}:{TOKEN}\n")
        command = ["-m", "app", "serve"] if name == "ours" else [str(SERVERS), name]
        with log.open("a") as out, on_core(core):
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=checkout,
                env=environment(**{**given_to(name, checkout, tokens), **variables}),
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
            )
        try:
            yield Server(process, log)
        finally:
            process.kill()
            process.wait()

"""The servers that are attacked: processes of their own."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import grpc
import yaml

from tests.support.servers.process import ROOT, SERVE, environment

# Callers by name, where a server needs tokens.
TOKENS = {"honest": "a-token-of-the-honest-client", "attacker": "a-token-of-the-attacker"}

_GOLDEN = ROOT / "tests/chart/golden/default-values.yaml"
_BARE = ROOT / "tests/bench/servers.py"


class Output:
    """Reads what a process writes, counts it, and keeps events of the log other than `call`."""

    def __init__(self, written: IO[bytes], *, grows: bool = False) -> None:
        """A file that `grows` is read again and again from where it ended."""
        self._written = written
        self._grows = grows
        self.lines = 0
        self.events: list[dict[str, Any]] = []
        self.reading = threading.Event()
        self.reading.set()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def event(self, name: str) -> dict[str, Any] | None:
        return next((line for line in self.events if line["event"] == name), None)

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _read(self) -> None:
        rest = b""
        while self.reading.wait() and ((read := self._some()) or self._grows):
            *lines, rest = (rest + read).split(b"\n")
            self.lines += len(lines)
            for line in lines:
                if line.startswith(b"{") and b'"event":"call"' not in line:
                    self.events.append(json.loads(line))

    def _some(self) -> bytes:
        try:
            read = os.read(self._written.fileno(), 65536)
        except (OSError, ValueError):  # closed
            self._grows = False
            return b""
        if not read and self._grows:
            time.sleep(0.05)
        return read


@dataclass(frozen=True)
class Prepared:
    """What a server is started with, for one attack."""

    variables: Mapping[str, str] = field(default_factory=dict)
    credentials: grpc.ChannelCredentials | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)  # by the names of callers
    descriptors: int | None = None  # how many it may have
    to_file: bool = False  # whether the log is a file, `log` of the folder, instead of a pipe


@dataclass(frozen=True)
class Victim:
    """A server that serves."""

    process: "subprocess.Popen[bytes]"
    output: Output
    errors: Output
    folder: Path  # for its files
    target: str
    metrics: str = ""  # HOST:PORT; a bare server has none
    tokens: Mapping[str, str] = field(default_factory=dict)
    credentials: grpc.ChannelCredentials | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    def channel(self) -> Any:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        if self.credentials is None:
            return grpc.insecure_channel(self.target, options)
        return grpc.secure_channel(self.target, self.credentials, options)

    def metadata(self, caller: str) -> tuple[tuple[str, str], ...]:
        token = self.tokens.get(caller)
        return (("authorization", f"Bearer {token}"),) if token else ()


@dataclass(frozen=True)
class Subject:
    """A server to attack. `variables` are given the folder in which its files may be."""

    name: str
    command: tuple[str, ...]
    variables: Callable[[Path], Mapping[str, str]] = lambda _folder: {}
    tokens: bool = False

    @contextmanager
    def started(self, folder: Path, prepared: Prepared) -> Iterator[Victim]:
        """Starts it with its files in the folder, and returns once it serves."""
        with ExitStack() as parts:
            log = parts.enter_context((folder / "log").open("ab")) if prepared.to_file else subprocess.PIPE
            process = parts.enter_context(self._process(folder, prepared, log))
            assert process.stderr is not None
            written = process.stdout or parts.enter_context((folder / "log").open("rb"))
            output = Output(written, grows=prepared.to_file)
            errors = Output(process.stderr)
            until = time.monotonic() + 60
            while (serving := output.event("serving")) is None:
                assert process.poll() is None, f"{self.name} has ended: {output.events}"
                assert time.monotonic() < until, f"{self.name} does not serve: {output.events}"
                time.sleep(0.01)
            [metrics] = serving.get("metrics", [""])
            yield Victim(
                process,
                output,
                errors,
                folder,
                serving["addresses"][0],
                metrics.removeprefix("http://").removesuffix("/metrics"),
                TOKENS if self.tokens else prepared.tokens,
                prepared.credentials,
            )

    @contextmanager
    def _process(
        self, folder: Path, prepared: Prepared, log: IO[bytes] | int
    ) -> Iterator["subprocess.Popen[bytes]"]:
        limit = f"ulimit -n {prepared.descriptors}" if prepared.descriptors else ":"
        given = {"APP_LISTEN": "127.0.0.1:0", "APP_METRICS_LISTEN": "127.0.0.1:0", "APP_DRAIN_DELAY": "0"}
        process = subprocess.Popen(
            ["bash", "-c", f'{limit} && exec "$0" "$@"', sys.executable, *self.command],
            cwd=ROOT,
            env=environment(
                PYTHONPATH=str(ROOT), **{**self.variables(folder), **given, **prepared.variables}
            ),
            stdout=log,
            stderr=subprocess.PIPE,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def chart_variables(folder: Path) -> Mapping[str, str]:
    """What the chart sets with its default values. Files are in the folder."""
    documents = yaml.safe_load_all(_GOLDEN.read_text())
    [deployment] = [one for one in documents if one["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    tokens = folder / "tokens"
    tokens.write_text("".join(f"{name}:{token}\n" for name, token in TOKENS.items()))
    given = {
        each["name"]: each["value"]
        for each in container["env"]
        if each["name"].startswith("APP_") and "value" in each
    }
    return given | {"APP_AUTH_TOKENS_FILE": str(tokens)}


OURS = Subject("ours", SERVE)
CHART = Subject("ours, chart's values", SERVE, chart_variables, tokens=True)
BARE = Subject("bare", (str(_BARE), "bare-with-health"))

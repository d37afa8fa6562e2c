"""Clients in a pod that call the server at a steady rate while a test changes something."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from app.core.code import CODE_LABELS
from tests.e2e.cluster import RELEASE, ROOT, Namespace, run, serving_echo

LOAD = Path(__file__).with_name("load.py")
PROTO = ROOT / "tests" / "protos" / "probe.proto"
GHZ = ROOT / ".venv" / "bin" / "ghz"
PYTHON = "/app/.venv/bin/python"
TURNS = 24
HEADLESS = f"dns:///{RELEASE}-headless:50051"
# gRPC's names of the codes, by Go's.
_CODES = {label: code.name for code, label in CODE_LABELS.items()}


@dataclass(frozen=True)
class Call:
    """The outcome of a call. Times are seconds since the epoch, by the cluster's clock.

    Calls in Go have only an end: `began` equals `ended`.
    """

    client: str
    method: str
    began: float
    ended: float
    code: str
    text: str = ""
    instance: str = ""


@dataclass(frozen=True)
class Client:
    """A program in the pod that makes calls and records each."""

    name: str
    command: tuple[str, ...]
    rate: Mapping[str, float]  # the least calls per second, by method
    announces: bool = False  # prints a line once its calls are answered
    ends: ClassVar[str] = "^"  # a pattern of grep -E: the lines for the end of a call

    def parsed(self, text: str) -> list[Call]:
        return [Call(self.name, **json.loads(line)) for line in text.splitlines()]


@dataclass(frozen=True)
class Ghz(Client):
    """A stock client in Go.

    Its calls are read from its debug log. Its report counts attempts, by grpc-go's statistics, and counts a
    call as OK that the server ends before its message is sent (`retryLocked` in stream.go). One client sends
    at most a hundred messages per second, because the log drops lines above that rate.
    """

    # A reply, the end of a stream, or a call that could not be started.
    ends: ClassVar[str] = r'"Received response"|"Receive message".*"error":"|"Invoke [A-Z]'

    def parsed(self, text: str) -> list[Call]:
        return [self._call(json.loads(line)) for line in text.splitlines()]

    def _call(self, line: Mapping[str, Any]) -> Call:
        [method] = self.rate
        ended = datetime.fromisoformat(line["time"]).timestamp()
        text = "" if line["error"] in (None, "EOF") else line["error"]
        found = re.search(r"code = (\w+)", text)
        failure = _CODES[found[1]] if found else "UNKNOWN"
        return Call(self.name, method, ended, ended, failure if text else "OK", text)


def own(
    target: str,
    *options: str,
    name: str = "own",
    unary: int = 50,
    streams: int = 2,
    conversations: int = 2,
) -> Client:
    """This project's client: unary calls and streams per second, and bidirectional streams at a time."""
    least = {"Unary": unary * 0.9, "ServerStream": streams * 0.8, "BidiStream": conversations * 0.04}
    given = {"--unary": unary, "--streams": streams, "--conversations": conversations}
    rates = (part for option, number in given.items() for part in (option, str(number)))
    command = (PYTHON, "/clients/load.py", target, "/clients/calls", *rates, *options)
    return Client(name, command, least, announces=True)


def stock(target: str, token_file: str = "/token/token") -> Client:  # noqa: S107 - a path
    """A channel of grpc itself in Python, which resolves addresses at most every 30 seconds."""
    return own(target, "--stock", "--token-file", token_file, name="Python, round_robin")


def ghz(target: str, token: str, *, balancing: str, unary: int = 50) -> tuple[Client, ...]:
    """A stock client in Go for each of three arities, which resolves addresses at most every 30 seconds."""

    def client(method: str, rate: float, *options: str, data: object) -> Ghz:
        command = (
            *("/clients/ghz", "--insecure", "--proto", "/clients/probe.proto"),
            *("--call", f"probe.Probe/{method}", "--data", json.dumps(data)),
            *("--metadata", json.dumps({"authorization": f"Bearer {token}"})),
            *("--connections", "1", "--lb-strategy", balancing),
            *("--duration", "30m", "--duration-stop", "wait"),
            *("--output", "/dev/null", "--debug", "/clients/calls"),
            *options,
            target,
        )
        return Ghz(f"Go, {balancing}", command, {method: rate})

    message = {"text": "a message of about the usual length"}
    steady = ("--timeout", "5s", "--concurrency", "10")
    # Two at a time. The rate limits calls that fail immediately.
    turns = ("--timeout", "60s", "--concurrency", "2", "--rps", "1", "--stream-interval", "500ms")
    return (
        client("Unary", unary * 0.9, "--rps", str(unary), *steady, data=message),
        client("ServerStream", 1.6, "--rps", "2", *steady, data=message | {"count": 20}),
        client("BidiStream", 0.08, *turns, data=[message] * TURNS),
    )


class Pod:
    """A pod for clients in the namespace. `secrets` maps directories to the names of the Secrets they show.

    It is deleted with the namespace, or at the end of its context.
    """

    def __init__(self, namespace: Namespace, secrets: Mapping[str, str], name: str = "clients") -> None:
        self._namespace = namespace
        self.name = name
        namespace.kubectl("apply", "--filename", "-", stdin=json.dumps(self._manifest(secrets)))
        namespace.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
        for file in (LOAD, PROTO, GHZ):
            self.put(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._namespace.kubectl("delete", f"pod/{self.name}")

    def _manifest(self, secrets: Mapping[str, str]) -> dict[str, Any]:
        echo = serving_echo()
        volumes: list[dict[str, Any]] = [{"name": "clients", "emptyDir": {}}, *echo["extraVolumes"]]
        mounts: list[dict[str, Any]] = [
            {"name": "clients", "mountPath": "/clients"},
            *echo["extraVolumeMounts"],
        ]
        for number, (path, secret) in enumerate(secrets.items()):
            volumes.append({"name": f"secret-{number}", "secret": {"secretName": secret}})
            mounts.append({"name": f"secret-{number}", "mountPath": path, "readOnly": True})
        container = {
            "name": "clients",
            "image": self._namespace.cluster.image,
            "imagePullPolicy": "IfNotPresent",
            # It ends at once on SIGTERM, which the first process of a pod otherwise ignores.
            "command": [PYTHON, "-c", "import signal; signal.signal(signal.SIGTERM, exit); signal.pause()"],
            "workingDir": "/clients",
            "env": echo["extraEnv"],
            "volumeMounts": mounts,
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        spec = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "runAsGroup": 10001,
                "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": volumes,
        }
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.name}, "spec": spec}

    def put(self, file: Path) -> None:
        """Copies a file into /clients."""
        script = f"cat > /clients/{file.name} && chmod +x /clients/{file.name}"
        with file.open("rb") as content:
            subprocess.run(
                self._exec("sh", "-c", script, stdin=True),
                env=self._namespace.cluster.env,
                stdin=content,
                timeout=120,
                check=True,
            )

    def _exec(self, *command: str, stdin: bool = False) -> list[str]:
        options = ["--stdin"] if stdin else []
        return ["kubectl", "--namespace", self._namespace.name, "exec", *options, self.name, "--", *command]

    def run(self, *command: str, seconds: float = 60) -> str:
        """Runs a command in the pod that must succeed, and returns its output."""
        return self._namespace.kubectl("exec", self.name, "--", *command, seconds=seconds)

    def attempt(self, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a command in the pod to its end, whatever the result."""
        given = self._exec(*command, stdin=stdin is not None)
        return run(*given, env=self._namespace.cluster.env, stdin=stdin)

    def now(self) -> float:
        """The cluster's clock, in seconds since the epoch."""
        return float(self.run("date", "+%s.%N"))

    @contextmanager
    def calling(self, *clients: Client) -> Iterator[list[Call]]:
        """Runs the clients during the context. Afterwards the list has the outcome of every call."""
        made: list[Call] = []
        began = self.now()
        with ExitStack() as stack:
            running = [stack.enter_context(self._running(client, str(n))) for n, client in enumerate(clients)]
            stack.callback(self._end, clients)  # signals all of them before it waits for any
            for client, process in zip(clients, running, strict=True):
                if client.announces:
                    assert process.stdout is not None
                    assert process.stdout.readline() == "calling\n", f"{client.name}: no call was answered"
            yield made
            seconds = self.now() - began
        for number, client in enumerate(clients):
            found = client.parsed(self.run("grep", "-E", client.ends, f"/clients/{number}/calls"))
            self._check(client, found, seconds)
            made += found

    @contextmanager
    def _running(self, client: Client, place: str) -> Iterator["subprocess.Popen[str]"]:
        """Runs a client; at the end of the context, waits for it and fails if its exit status is not 0."""
        home = f"/clients/{place}"
        command = [part.replace("/clients/calls", f"{home}/calls") for part in client.command]
        script = f'rm -rf {home} && mkdir {home} && echo $$ > {home}/pid && exec "$@"'
        with subprocess.Popen(
            self._exec("sh", "-c", script, "sh", *command),
            env=self._namespace.cluster.env,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            yield process
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:  # this project's client prints its stacks; then it is killed
                show, end = f"kill -USR1 $(cat {home}/pid)", f"kill -KILL $(cat {home}/pid)"
                self.run("sh", "-c", f"{show}; sleep 1; {end}; true")
                pytest.fail(f"{client.name} did not end")
            assert process.returncode == 0, f"{client.name} ended with {process.returncode}"

    def _end(self, clients: Sequence[Client]) -> None:
        """Signals all clients to stop calling and to end after their calls in flight."""
        signals = ["TERM" if client.announces else "INT" for client in clients]
        kills = [f"kill -{signal} $(cat /clients/{number}/pid)" for number, signal in enumerate(signals)]
        self.run("sh", "-c", "; ".join([*kills, "true"]))

    def _check(self, client: Client, calls: Sequence[Call], seconds: float) -> None:
        """Fails if a client made too few calls: a call that is not made cannot be lost."""
        counts = Counter(call.method for call in calls)
        for method, rate in client.rate.items():
            # A client takes a few seconds to start and to end.
            assert counts[method] >= rate * (seconds - 10), f"{client.name} made {counts[method]} of {method}"


def failed(calls: Sequence[Call]) -> list[Call]:
    return [call for call in calls if call.code != "OK"]


def summary(calls: Sequence[Call]) -> str:
    """Such as `0 of 5,440 calls failed (own 0 of 2,720, ...)`, with the status codes of failures."""

    def of(some: Sequence[Call]) -> str:
        codes = Counter(call.code for call in failed(some))
        listed = "".join(f", {code} {times}" for code, times in codes.most_common())
        return f"{len(failed(some)):,} of {len(some):,}{listed}"

    clients = dict.fromkeys(call.client for call in calls)
    parts = [f"{client}: {of([call for call in calls if call.client == client])}" for client in clients]
    return f"{len(failed(calls)):,} of {len(calls):,} calls failed ({'; '.join(parts)})"

"""Clients that call the service from a pod beside it, at a steady rate, while a test does something to it."""

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
from tests.e2e.cluster import ROOT, Namespace, run

LOAD = Path(__file__).with_name("load.py")
PROTO = ROOT / "protos" / "quote_service.proto"
GHZ = ROOT / ".venv" / "bin" / "ghz"
PYTHON = "/app/.venv/bin/python"
TURNS = 24
HEADLESS = "dns:///quoter-headless:50051"
# gRPC's names of the codes, by Go's.
_CODES = {label: code.name for code, label in CODE_LABELS.items()}


@dataclass(frozen=True)
class Call:
    """What became of a call, with times in seconds since the epoch by the cluster's clock.

    Of a call in Go, only the end is known.
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
    """A program of the pod that makes calls, and writes them down."""

    name: str
    command: tuple[str, ...]
    rate: Mapping[str, float]  # at least so many calls a second, by method
    speaks: bool = False  # prints a line once its calls are answered
    ends: ClassVar[str] = "^"  # the lines that tell of a call's end, as a pattern of grep -E

    def parsed(self, text: str) -> list[Call]:
        return [Call(self.name, **json.loads(line)) for line in text.splitlines()]


@dataclass(frozen=True)
class Ghz(Client):
    """A stock client in Go.

    Its calls are those of its debug log. Its report has those of grpc-go's statistics, which count each
    attempt, and tell OK of a call that the server ends before its message is sent (`retryLocked` in its
    stream.go). No more than a hundred messages a second come from one of them: of more, the log leaves
    out some.
    """

    # A reply, the end of a stream, or a call that could not be begun.
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
    """This project's client; how many calls it makes a second, or of conversations at a time."""
    least = {"GetQuote": unary * 0.9, "ListQuotes": streams * 0.8, "Converse": conversations * 0.04}
    given = {"--unary": unary, "--streams": streams, "--conversations": conversations}
    rates = (part for option, number in given.items() for part in (option, str(number)))
    command = (PYTHON, "/clients/load.py", target, "/clients/calls", *rates, *options)
    return Client(name, command, least, speaks=True)


def stock(target: str, token_file: str = "/token/token") -> Client:  # noqa: S107 - a path
    """The channel of grpc itself in Python, which looks addresses up at most every 30 seconds."""
    return own(target, "--stock", "--token-file", token_file, name="Python, round_robin")


def ghz(target: str, token: str, *, balancing: str, unary: int = 50) -> tuple[Client, ...]:
    """A stock client in Go for each of three arities; it looks addresses up at most every 30 seconds."""

    def client(method: str, rate: float, *options: str, data: object = {}) -> Ghz:
        command = (
            *("/clients/ghz", "--insecure", "--proto", "/clients/quote_service.proto"),
            *("--call", f"quotes.Quoter/{method}", "--data", json.dumps(data)),
            *("--metadata", json.dumps({"authorization": f"Bearer {token}"})),
            *("--connections", "1", "--lb-strategy", balancing),
            *("--duration", "30m", "--duration-stop", "wait"),
            *("--output", "/dev/null", "--debug", "/clients/calls"),
            *options,
            target,
        )
        return Ghz(f"Go, {balancing}", command, {method: rate})

    steady = ("--timeout", "5s", "--concurrency", "10")
    # Two at a time; the rate is for when they fail at once.
    turns = ("--timeout", "60s", "--concurrency", "2", "--rps", "1", "--stream-interval", "500ms")
    return (
        client("GetQuote", unary * 0.9, "--rps", str(unary), *steady),
        client("ListQuotes", 1.6, "--rps", "2", *steady, data={"limit": 20}),
        client("Converse", 0.08, *turns, data=[{}] * TURNS),
    )


class Pod:
    """A pod in the namespace in which clients run, with directories of Secrets: path → the Secret's name.

    It goes with the namespace, or when it is left.
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
        volumes: list[dict[str, Any]] = [{"name": "clients", "emptyDir": {}}]
        mounts: list[dict[str, Any]] = [{"name": "clients", "mountPath": "/clients"}]
        for number, (path, secret) in enumerate(secrets.items()):
            volumes.append({"name": f"secret-{number}", "secret": {"secretName": secret}})
            mounts.append({"name": f"secret-{number}", "mountPath": path, "readOnly": True})
        container = {
            "name": "clients",
            "image": self._namespace.cluster.image,
            "imagePullPolicy": "IfNotPresent",
            # It ends with its pod, and has no processes of an exec left that nobody waits for.
            "command": [PYTHON, "-c", "import signal; signal.signal(signal.SIGTERM, exit); signal.pause()"],
            "workingDir": "/clients",
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
        """A file, into /clients."""
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
        """What a command in the pod prints. It must succeed."""
        return self._namespace.kubectl("exec", self.name, "--", *command, seconds=seconds)

    def attempt(self, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """What becomes of a command in the pod."""
        given = self._exec(*command, stdin=stdin is not None)
        return run(*given, env=self._namespace.cluster.env, stdin=stdin)

    def now(self) -> float:
        """The cluster's clock, in seconds since the epoch."""
        return float(self.run("date", "+%s.%N"))

    @contextmanager
    def calling(self, *clients: Client) -> Iterator[list[Call]]:
        """Has the clients call until it is left; the list then has what became of every call they made."""
        made: list[Call] = []
        began = self.now()
        with ExitStack() as stack:
            running = [stack.enter_context(self._running(client, str(n))) for n, client in enumerate(clients)]
            stack.callback(self._end, clients)  # before any is waited for: some take their time
            for client, process in zip(clients, running, strict=True):
                if client.speaks:
                    assert process.stdout is not None
                    assert process.stdout.readline() == "calling\n", f"{client.name} is not answered"
            yield made
            seconds = self.now() - began
        for number, client in enumerate(clients):
            found = client.parsed(self.run("grep", "-E", client.ends, f"/clients/{number}/calls"))
            self._check(client, found, seconds)
            made += found

    @contextmanager
    def _running(self, client: Client, place: str) -> Iterator["subprocess.Popen[str]"]:
        """Returns once it has ended, and fails where it did not end well."""
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
            except subprocess.TimeoutExpired:  # ours says where it is, and then it is ended
                ask, end = f"kill -USR1 $(cat {home}/pid)", f"kill -KILL $(cat {home}/pid)"
                self.run("sh", "-c", f"{ask}; sleep 1; {end}; true")
                pytest.fail(f"{client.name} did not end")
            assert process.returncode == 0, f"{client.name} ended with {process.returncode}"

    def _end(self, clients: Sequence[Client]) -> None:
        """Asks all to end once their calls have."""
        signals = ["TERM" if client.speaks else "INT" for client in clients]
        kills = [f"kill -{signal} $(cat /clients/{number}/pid)" for number, signal in enumerate(signals)]
        self.run("sh", "-c", "; ".join([*kills, "true"]))

    def _check(self, client: Client, calls: Sequence[Call], seconds: float) -> None:
        """Fails where a client did not make its calls: what is not made is not lost."""
        counts = Counter(call.method for call in calls)
        for method, rate in client.rate.items():
            # It takes a few seconds to start and to end.
            assert counts[method] >= rate * (seconds - 10), f"{client.name} made {counts[method]} of {method}"


def failed(calls: Sequence[Call]) -> list[Call]:
    return [call for call in calls if call.code != "OK"]


def summary(calls: Sequence[Call]) -> str:
    """Such as `0 of 5,440 calls failed (own 0 of 2,720, ...)`, with the codes where some did."""

    def of(some: Sequence[Call]) -> str:
        codes = Counter(call.code for call in failed(some))
        listed = "".join(f", {code} {times}" for code, times in codes.most_common())
        return f"{len(failed(some)):,} of {len(some):,}{listed}"

    clients = dict.fromkeys(call.client for call in calls)
    parts = [f"{client}: {of([call for call in calls if call.client == client])}" for client in clients]
    return f"{len(failed(calls)):,} of {len(calls):,} calls failed ({'; '.join(parts)})"

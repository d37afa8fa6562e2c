"""The command `doctor` as people and scripts see it, and its advice, typed."""

import json
import os
import re
import shlex
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from app.core.name import NAME, variable
from app.tools.doctor.steps import STEPS
from tests.support.clients.command_line import cli
from tests.support.servers.process import environment

WIDTH = 80
_COMMAND = re.compile(r" {4}\S")


@dataclass
class DoctorResult:
    """`text` is what a person reads, and `found` what a script does."""

    exit_code: int
    text: str
    found: dict[str, Any]

    @property
    def cause(self) -> str | None:
        return None if self.found["cause"] is None else str(self.found["cause"])

    @property
    def prose(self) -> str:
        """The text in one line, however it was wrapped."""
        return " ".join(self.text.split())

    @property
    def commands(self) -> list[str]:
        """What it says to type, as a person would copy it."""
        return [line.strip() for line in self.text.splitlines() if _COMMAND.match(line)]

    def step(self, name: str) -> dict[str, Any]:
        [found] = [step for step in self.found["steps"] if step["name"] == name]
        return dict(found)


def doctor(*arguments: str, **variables: str) -> DoctorResult:
    """Runs it twice, for a person and for a script; fails where the two disagree, or a line is too long."""
    done = run("doctor", *arguments, **variables)
    scripted = run("doctor", *arguments, "--json", **variables)
    assert done.exit_code == scripted.exit_code, done.output
    found = json.loads(scripted.stdout)
    text = done.stdout
    assert [step["name"] for step in found["steps"]] == list(STEPS)
    body = [line for line in text.splitlines() if not _COMMAND.match(line)]
    assert all(len(line) <= WIDTH for line in body), text
    assert "\x1b" not in text
    examined = DoctorResult(done.exit_code, text, found)
    assert examined.commands == [remedy["type"] for remedy in found["remedies"]]
    assert (examined.cause is None) == (done.exit_code == 0) == found["ok"]
    return examined


def run(*arguments: str, **variables: str) -> Any:
    clean: dict[str, str | None] = {
        name: None for name in os.environ if name.lower().endswith("_proxy") or name.startswith(variable(""))
    }
    done = CliRunner().invoke(
        cli, arguments, env=clean | {"COLUMNS": str(WIDTH), **variables}, prog_name=NAME
    )
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done


def typed(command: str, **variables: str) -> DoctorResult:
    """Types a command of the doctor's, such as `VARIABLE=VALUE NAME doctor TARGET`, in this process."""
    words = shlex.split(command)
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    assert words[:2] == [NAME, "doctor"]
    return doctor(*words[2:], **variables)


def in_shell(command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Types any other command."""
    return subprocess.run(
        ["bash", "-c", command],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@contextmanager
def listener(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    """A TCP port; each connection to it is served on a thread, and closed when that returns."""
    opened: list[socket.socket] = []

    def one(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            serve(connection)

    def accept(accepting: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = accepting.accept()
                opened.append(connection)
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as accepting:
        thread = threading.Thread(target=accept, args=(accepting,))
        thread.start()
        yield accepting.getsockname()[1]
        accepting.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for connection in opened:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def says(words: bytes) -> Callable[[socket.socket], None]:
    """Serves those words, whatever it is asked."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(words)

    return serve

"""`make demo`: each fault shows in the figures, and no server is left behind."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import FieldViolation, UsageError
from app.core.service import Service
from app.tools.top.figures import Figures, MethodFigures, MethodName, ServerFigures, State, Usage
from deploy.demo.acts import Act, Seen, acts
from deploy.demo.calls import choose
from tests.gen.probe_pb2 import DESCRIPTOR, ProbeRequest
from tests.support.clients.command_line import Terminal
from tests.support.servers.probe import PROBE
from tests.support.servers.process import ROOT, environment

DEMO = (sys.executable, "-m", "tests.support.servers.demo", "--seconds", "1")


def servers_of(demo: int) -> list[int]:
    """The processes that the demo has started."""
    found = Path(f"/proc/{demo}/task/{demo}/children").read_text().split()
    return [int(process) for process in found]


def ended(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_each_fault_shows_in_the_figures() -> None:
    done = subprocess.run(DEMO, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert re.findall(r"^\d of \d: (.*)$", done.stdout, re.MULTILINE) == [act.title for act in acts()]
    assert re.findall(r"^✓ (.*?): ", done.stdout, re.MULTILINE) == [act.title for act in acts()]
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", ["ctrl-c", "SIGHUP"])
def test_however_it_ends_no_server_is_left(way: str) -> None:
    terminal = Terminal(command=(*DEMO[:-1], "60"))
    terminal.expect("1 of ", seconds=60)  # three programs are started
    servers = servers_of(terminal.process.pid)
    assert len(servers) == 2
    if way == "ctrl-c":
        terminal.type("\x03")
    else:
        terminal.process.send_signal(signal.SIGHUP)
    assert terminal.end() == 130
    assert all(map(ended, servers))
    assert terminal.is_as_before


@pytest.mark.parametrize("text", ["0", "x", "nan"])
def test_an_invalid_time_is_refused(text: str) -> None:
    done = subprocess.run(
        [*DEMO[:-1], text], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"'{text}': expected seconds" in done.stderr


def calm() -> Figures:
    """Two servers on which nothing is wrong."""
    name = MethodName("acme.Shop", "Get", "unary")
    method = MethodFigures({"OK": 20.0}, {}, {0.005: 20.0, 0.01: 20.0, float("inf"): 20.0}, used=True)
    servers = (
        ServerFigures(
            label=label,
            state=State.READY,
            rated=True,
            methods={name: method},
            limits={"calls": Usage(1, 1000)},
            memory=7e7,
        )
        for label in ("a:1", "b:1")
    )
    return Figures(tuple(servers))


def test_without_faults_only_the_first_act_is_seen() -> None:
    seen = {act.title: act.effect(Seen([calm()] * 3, calm(), 0)) for act in acts()}
    assert [title for title, effect in seen.items() if effect] == ["nothing is wrong"]


@pytest.mark.parametrize("act", acts()[1:], ids=lambda act: act.title)
def test_each_act_but_the_last_has_a_fault_and_the_command_for_it(act: Act) -> None:
    assert act.drains != bool(act.command)
    assert act.drains or act.one.ByteSize()


def probe(rule: Any) -> Service[Any]:
    return Service(
        descriptor=DESCRIPTOR.services_by_name["Probe"],
        add_to_server=PROBE.add_to_server,
        open=lambda _settings: nullcontext(),
        rules={"Unary": rule},
    )


def test_the_request_is_one_that_the_service_accepts() -> None:
    def text_required(request: ProbeRequest) -> Iterator[FieldViolation]:
        if not request.text:
            yield FieldViolation("text", "must not be empty")

    method, request = choose([probe(text_required)])
    assert (method.name, request) == ("Unary", ProbeRequest(text="1", count=1, payload=b"1"))
    assert choose([PROBE])[1] == ProbeRequest()


def test_without_a_method_to_call_it_is_said_how_to_get_one() -> None:
    def nothing(_request: ProbeRequest) -> Iterator[FieldViolation]:
        yield FieldViolation("text", "is never right")

    for services in ([], [probe(nothing)]):
        with pytest.raises(UsageError, match="make service NAME="):
            choose(services)

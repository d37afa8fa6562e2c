"""The command `load`: its output for people and for scripts."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from typing import Any

import grpc
import pytest
from typer.testing import Result

from app.core.name import NAME
from tests.support.clients.command_line import run
from tests.support.servers.probe import Probe, probe_service
from tests.support.servers.probe_server import probe_server
from tests.support.servers.process import with_probe
from tests.support.servers.server import Server, running
from tests.support.waiting import until


def load(target: str, *arguments: str) -> Result:
    return run("load", *arguments, "--target", target)


def figures(target: str, *arguments: str) -> dict[str, Any]:
    """What `--json` prints, and the exit code."""
    done = load(target, *arguments, "--json")
    assert done.stderr == ""
    return {**json.loads(done.stdout), "exit_code": done.exit_code}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


def test_the_json_has_all_calls_of_a_steady_rate(server: Server) -> None:
    before = server.total("grpc_server_handled_total", grpc_method="Unary")
    found = figures(server.target, "--rps", "100", "--for", "1s")
    assert found["exit_code"] == 0
    assert found["method"] == "probe.Probe/Unary"
    assert (found["sent"], found["codes"], found["unfinished"]) == (100, {"OK": 100}, 0)
    assert found["rps"] == pytest.approx(100, rel=0.02)
    assert server.total("grpc_server_handled_total", grpc_method="Unary") - before == 100
    latency = found["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"]
    assert found["backends"] == {server.handle.instance: {"calls": 100, "share": 1.0}}


def test_several_servers_have_even_shares() -> None:
    with ExitStack() as started:
        servers = [started.enter_context(running()) for _ in range(3)]
        found = figures(f"ipv4:{','.join(one.target for one in servers)}", "--rps", "150", "--for", "2s")
        assert found["codes"] == {"OK": 300}
        shares = {name: one["share"] for name, one in found["backends"].items()}
        assert shares.keys() == {one.handle.instance for one in servers}
        assert all(share == pytest.approx(1 / 3, abs=0.03) for share in shares.values())


def test_failures_are_counted_by_code_with_their_messages() -> None:
    numbers = count()

    def fail(_request: object, context: grpc.ServicerContext) -> None:
        if next(numbers) % 2:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "out of order")

    with probe_server() as at:
        at.probe.on_call = fail
        found = figures(at.server.target, "Probe/Unary", "--rps", "100", "--for", "500ms")
        assert found["exit_code"] == 1
        assert found["codes"] == {"OK": 25, "FailedPrecondition": 25}
        assert found["messages"] == {"FailedPrecondition": "out of order"}
        assert found["backends"][at.server.handle.instance]["calls"] == 50
        done = load(at.server.target, "Probe/Unary", "--rps", "100", "--for", "500ms")
        assert done.exit_code == 1
        assert "FailedPrecondition: out of order" in done.stdout


def test_a_slow_server_does_not_slow_down_the_load() -> None:
    probe = Probe()
    probe.on_call = lambda _request, context: context.wait(0.3)
    with running([probe_service(probe)], workers=1, max_queue_time=60) as server:
        found = figures(server.target, "Probe/Unary", "--rps", "50", "--for", "1s", "--in-flight", "5")
    assert found["exit_code"] == 1
    assert found["sent"] + found["not_sent"]["too_many_in_flight"] == 50
    assert found["not_sent"]["too_many_in_flight"] > 30
    assert found["latency_ms"]["max"] > 900


@pytest.mark.parametrize(
    ("method", "request_json"),
    [
        ("Probe/Unary", '{"count": 1}'),
        ("Probe/ServerStream", '{"count": 3}'),
        ("Probe/ClientStream", '[{"text": "a"}]'),
        ("Probe/BidiStream", "[{}, {}]"),
    ],
)
def test_calls_of_every_arity_are_read_to_the_end(server: Server, method: str, request_json: str) -> None:
    found = figures(server.target, method, request_json, "--rps", "50", "--for", "400ms")
    assert (found["exit_code"], found["codes"]) == (0, {"OK": 20})
    assert list(found["backends"]) == [server.handle.instance]


def test_a_server_without_an_instance_id_is_unknown() -> None:
    stock = grpc.server(ThreadPoolExecutor(2))
    handler: Any = grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")
    stock.add_registered_method_handlers("probe.Probe", {"Unary": handler})
    port = stock.add_insecure_port("127.0.0.1:0")
    stock.start()
    try:
        found = figures(f"127.0.0.1:{port}", "--rps", "50", "--for", "200ms")
        assert (found["codes"], list(found["backends"])) == ({"OK": 10}, ["unknown"])
    finally:
        stock.stop(None).wait()


def test_without_a_terminal_a_line_per_second_and_the_final_table_are_printed(server: Server) -> None:
    done = load(server.target, "--rps", "40", "--for", "2200ms")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("probe.Probe/Unary, 2.2 s"))
    assert start >= 1
    for line in lines[:start]:
        assert re.fullmatch(r"\d+ s: \d+ per second; \d+ OK; p50 \S+ ms p95 \S+ ms p99 \S+ ms", line)
    for text in ("calls per second", "latency p99", f"backend {server.handle.instance}", "100.0 %"):
        assert text in done.stdout
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--for", "soon"], 2, "--for: invalid value 'soon': expected a duration"),
        (["Nope/Nope"], 2, "unknown method 'Nope/Nope'; expected one of probe.Probe/Unary"),
        (["Probe/Unary", "{"], 2, "invalid JSON for probe.ProbeRequest"),
        (["Probe/Unary", "[{}, {}]"], 2, "invalid JSON for probe.ProbeRequest"),
    ],
)
def test_invalid_arguments_are_reported_before_any_call(
    server: Server, arguments: list[str], exit_code: int, message: str
) -> None:
    done = load(server.target, *arguments)
    assert (done.exit_code, done.stdout) == (exit_code, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_a_server_no_load_is_made() -> None:
    done = load("127.0.0.1:9", "--for", "1h")
    assert (done.exit_code, done.stdout) == (78, "")
    assert "no server answers at 127.0.0.1:9" in done.stderr


@pytest.mark.parametrize("method", ["Probe/Unary", "Probe/ServerStream"])
def test_ctrl_c_prints_the_figures_so_far(method: str) -> None:
    with probe_server() as at:
        at.probe.on_call = lambda _request, context: context.wait(60)
        with subprocess.Popen(
            [
                NAME,
                "load",
                method,
                "--for",
                "1h",
                "--json",
                "--target",
                at.server.target,
            ],
            env=with_probe(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                until(lambda: at.server.total("grpc_server_in_flight", grpc_service="probe.Probe") >= 3, 20)
                process.send_signal(signal.SIGINT)
                output, errors = process.communicate(timeout=10)
            finally:
                process.kill()
    found = json.loads(output)
    assert (process.returncode, errors) == (130, "")
    assert found["interrupted"] is True
    assert found["unfinished"] == found["sent"] >= 3

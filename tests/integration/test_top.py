"""The command `top`, beside real servers."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.core.name import NAME, variable
from app.runtime.server_settings import ServerSettings
from app.tools.top.addresses import DEFAULT_PORT, parse_targets
from app.tools.top.fetch import MAX_BYTES, TIMEOUT
from app.tools.top.figures import Figures, State
from app.tools.top.names import ALWAYS_SHOWN, HANDLED, READ
from app.tools.top.watch import Watch
from tests.gen.probe_pb2 import ProbeRequest
from tests.support.clients.command_line import Terminal, run
from tests.support.servers.probe import Probe
from tests.support.servers.probe_server import ProbeServer, probe_server
from tests.support.servers.process import server_process, with_probe
from tests.support.servers.server import Server, running
from tests.support.servers.web import Web, send, web
from tests.support.waiting import until


def metrics(server: Server) -> str:
    return str(server.handle.metrics[0])


def calls(at: ProbeServer, count: int, text: str = "a") -> None:
    for _ in range(count):
        future = at.stub.Unary.future(ProbeRequest(text=text))
        future.exception()


def read_twice(watch: Watch, between: Any) -> Figures:
    """Two readings, with calls between them."""

    async def read() -> Figures:
        await watch.read()
        await asyncio.to_thread(between)
        return await watch.read()

    return asyncio.run(read())


def test_every_metric_and_label_that_is_read_is_exported() -> None:
    with running(reflection=True) as server:
        families = text_string_to_metric_families(server.get("/metrics")[1])
        samples = [sample for family in families for sample in family.samples]
    for name, labels in READ.items():
        found = [sample for sample in samples if sample.name == name]
        assert found, name
        assert all(sample.labels.keys() >= set(labels) for sample in found), name
    kinds = {sample.labels["kind"] for sample in samples if sample.name == "grpc_server_concurrency"}
    assert kinds >= set(ALWAYS_SHOWN)
    assert any(sample.name == HANDLED and sample.labels["grpc_code"] == "OK" for sample in samples)


def test_the_default_port_is_the_servers() -> None:
    assert {address.port for address in ServerSettings().metrics_listen} == {DEFAULT_PORT}


def test_rates_are_those_of_the_calls_that_were_made() -> None:
    with probe_server() as at:
        spent = []

        def act() -> None:
            began = time.monotonic()
            calls(at, 30)
            calls(at, 10, "wrong")
            until(lambda: at.server.total("grpc_server_in_flight", grpc_service="probe.Probe") == 0)
            spent.append(time.monotonic() - began)

        began = time.monotonic()
        found = read_twice(Watch(parse_targets([metrics(at.server)])), act)
        longest = time.monotonic() - began
    [server] = found.servers
    [method] = [method for name, method in found.methods.items() if name.name == "Unary"]
    assert (server.state, found.share(server)) == (State.READY, 1)
    assert 40 / longest <= method.rate <= 40 / spent[0]
    assert method.codes["InvalidArgument"] == pytest.approx(method.rate / 4)
    assert method.errors == {"InvalidArgument": method.codes["InvalidArgument"]}
    assert method.refusals == {"validation": method.codes["InvalidArgument"]}
    times = [method.latency(percent) or 0 for percent in (50, 95, 99)]
    assert 0 < times[0] <= times[1] <= times[2]


def test_servers_have_their_shares_of_the_calls() -> None:
    with probe_server() as one, probe_server() as other:
        watch = Watch(parse_targets([metrics(one.server), metrics(other.server)]))

        def act() -> None:
            calls(one, 450)
            calls(other, 150)

        found = read_twice(watch, act)
    shares = {server.label: found.share(server) for server in found.servers}
    assert shares == {
        metrics(one.server): pytest.approx(0.75, abs=0.08),
        metrics(other.server): pytest.approx(0.25, abs=0.08),
    }


def test_calls_in_flight_and_those_that_wait_are_shown() -> None:
    probe, go_on = Probe(), threading.Event()
    probe.on_call = lambda _request, _context: go_on.wait(20)
    with probe_server(probe, workers=1, max_queue_time=60) as at:
        waiting = [at.stub.Unary.future(ProbeRequest()) for _ in range(3)]
        until(lambda: at.server.total("grpc_server_queued") == 2)
        [server] = read_twice(Watch(parse_targets([metrics(at.server)])), lambda: None).servers
        go_on.set()
        for call in waiting:
            call.result()
    assert (server.limits["calls"].running, server.queued, server.workers) == (3, 2, 1)
    [method] = [method for name, method in server.methods.items() if name.name == "Unary"]
    assert method.in_flight == 3


@pytest.mark.slow
def test_a_server_drains_is_gone_and_comes_back() -> None:
    with server_process(APP_DRAIN_DELAY="1") as process:
        [address] = [url.split("/")[2] for url in process.serving["metrics"]]
        watch = Watch(parse_targets([address]))

        async def state() -> State:
            return (await watch.read()).servers[0].state

        async def follow() -> None:
            assert await state() is State.READY
            process.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait_for, "drain_started")
            assert await state() is State.DRAINING
            await asyncio.to_thread(process.exit_code)
            found = (await watch.read()).servers[0]
            assert (found.state, found.problem, found.rate) == (State.GONE, "Connection refused", 0)
            with running(metrics_listen=address):
                assert await state() is State.READY

        asyncio.run(follow())


def test_the_servers_of_a_name_are_found_while_it_runs() -> None:
    """One server appears, and another one leaves the name before it is gone, as a pod does that drains."""
    addresses = ["127.0.0.1"]
    with ExitStack() as opened:
        leaving = opened.enter_context(ExitStack())
        one = leaving.enter_context(running())
        port = one.handle.metrics[0].port
        other = opened.enter_context(running(metrics_listen=f"127.0.0.2:{port}"))
        watch = Watch(parse_targets([f"shop-headless:{port}"]), lambda _name: list(addresses))

        async def states() -> dict[str, State]:
            return {server.label: server.state for server in (await watch.read()).servers}

        assert asyncio.run(states()) == {metrics(one): State.READY}
        addresses.append("127.0.0.2")
        assert asyncio.run(states()) == {metrics(one): State.READY, metrics(other): State.READY}
        addresses.remove("127.0.0.1")
        assert asyncio.run(states()) == {metrics(one): State.READY, metrics(other): State.READY}
        leaving.close()
        assert asyncio.run(states()) == {metrics(one): State.GONE, metrics(other): State.READY}


def test_a_name_that_was_resolved_keeps_its_servers_while_the_name_server_fails() -> None:
    answers: list[list[str]] = [["127.0.0.1"]]

    def look_up(_name: str) -> list[str]:
        if not answers:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return answers.pop()

    with running() as server:
        watch = Watch(parse_targets([f"shop-headless:{server.handle.metrics[0].port}"]), look_up)
        for _ in range(2):
            [found] = asyncio.run(watch.read()).servers
            assert (found.label, found.state) == (metrics(server), State.READY)


@pytest.mark.slow
def test_three_hundred_servers_are_scraped_side_by_side() -> None:
    """Half of them accept a connection and never answer: together they take no longer than one of them."""
    labels = 'grpc_type="",grpc_service="",grpc_method="",grpc_code=""'
    body = f"grpc_server_ready 1\n{HANDLED}{{{labels}}} 1\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\n\r\n{body}".encode())
        writer.close()

    async def read(ports: list[int]) -> tuple[Counter[State], float]:
        async with AsyncExitStack() as opened:
            for _ in range(150):
                server = await opened.enter_async_context(await asyncio.start_server(answer, "127.0.0.1", 0))
                ports.append(server.sockets[0].getsockname()[1])
            began = time.monotonic()
            found = await Watch(parse_targets(f"127.0.0.1:{port}" for port in ports)).read()
            spent = time.monotonic() - began
            return Counter(one.state for one in found.servers), spent

    with ExitStack() as opened:
        silent = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(150)]
        states, spent = asyncio.run(read([one.getsockname()[1] for one in silent]))
    assert states == {State.READY: 150, State.NO_ANSWER: 150}
    assert spent < 2 * TIMEOUT


def address_of(server: Web) -> str:
    return f"127.0.0.1:{server.url.split(':')[2].split('/')[0]}"


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], object]) -> Iterator[str]:
    """The address of a web server that answers so."""
    with web() as server:
        server.answer = answer
        yield address_of(server)


def drip(request: BaseHTTPRequestHandler) -> None:
    """Sends a header now and then, without an end."""
    while True:
        request.wfile.write(b"X: y\r\n")
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda request: send(request, b"", 404), "/metrics answers with the HTTP status 404"),
        (lambda request: send(request, b"x" * (MAX_BYTES + 1)), "/metrics is larger than 4 MB"),
        (lambda request: send(request, b"up 1"), f"there is no metric {HANDLED}"),
        (lambda request: request.wfile.write(b"\0\0\4\0\0"), "the answer is not HTTP"),
        (lambda _request: None, "the answer is not HTTP"),
        (drip, "no answer within 2 s"),
    ],
)
def test_what_does_not_answer_as_a_server_does_is_named(
    answer: Callable[[BaseHTTPRequestHandler], object], problem: str
) -> None:
    with answering(answer) as address:
        began = time.monotonic()
        done = run("top", address)
        assert time.monotonic() - began < 4
    assert (done.exit_code, done.stdout) == (78, "")
    assert f"{address}: {problem}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["127.0.0.1:9"], 78, "127.0.0.1:9: Connection refused"),
        (["no-such-name.invalid"], 78, "no-such-name.invalid:9464: "),
        (["https://localhost"], 2, "invalid address 'https://localhost': expected HOST:PORT"),
        (["--interval", "0"], 2, "--interval"),
    ],
)
def test_what_cannot_be_read_ends_the_command(arguments: list[str], exit_code: int, message: str) -> None:
    done = run("top", *arguments)
    assert (done.exit_code, done.stdout) == (exit_code, "")
    assert message in done.stderr


def test_one_reading_in_json_is_one_line_for_scripts() -> None:
    with probe_server() as at:
        calls(at, 1)
        done = run("top", "--once", "--json", "--interval", "0.5", metrics(at.server))
    assert (done.exit_code, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    [server] = found["servers"]
    assert (server["address"], server["state"], server["share"]) == (metrics(at.server), "ready", None)
    assert server["limits"]["calls"] == {"in_use": 0, "limit": 1000}
    [method] = found["methods"]
    assert (method["service"], method["method"], method["rate"]) == ("probe.Probe", "Unary", 0)
    assert method["latency_ms"] == {"p50": None, "p95": None, "p99": None}


def test_the_addresses_may_stand_in_the_environment() -> None:
    with running() as one, running() as other:
        addresses = f"{metrics(one)} {metrics(other)}"
        done = run("top", "--once", "--json", "--interval", "0.5", **{variable("--metrics"): addresses})
    assert [server["address"] for server in json.loads(done.stdout)["servers"]] == addresses.split()


def test_one_reading_fails_if_a_server_does_not_answer() -> None:
    with running() as server:
        done = run("top", "--once", "--interval", "0.5", metrics(server), "127.0.0.1:9")
    assert done.exit_code == 1
    assert "127.0.0.1:9: Connection refused" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_one_reading_ends_although_the_server_does_not_answer_any_more() -> None:
    with web() as server, running() as real:
        answers = [real.get("/metrics")[1].encode()]
        server.answer = lambda request: send(request, answers.pop()) if answers else send(request, b"", 500)
        done = run("top", "--once", "--json", "--interval", "0.5", address_of(server))
    assert done.exit_code == 1
    assert json.loads(done.stdout)["servers"][0]["state"] == "gone"


@pytest.mark.slow
def test_in_a_pipe_each_interval_is_a_line_until_ctrl_c() -> None:
    with (
        running() as server,
        subprocess.Popen(
            [NAME, "top", "--json", "--interval", "0.5", metrics(server)],
            env=with_probe(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            lines = [json.loads(process.stdout.readline()) for _ in range(2)]
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert [line["servers"][0]["state"] for line in lines] == ["ready", "ready"]
    assert (process.returncode, errors) == (130, "")
    assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.parametrize(("key", "exit_code"), [("q", 0), ("\x03", 130)])
def test_a_key_ends_it_and_the_terminal_is_as_before(key: str, exit_code: int) -> None:
    with running() as server:
        terminal = Terminal("top", "--interval", "0.5", metrics(server), "127.0.0.1:9")
        terminal.expect("calls/s,")
        terminal.type(key)
        assert terminal.end() == exit_code
    assert terminal.is_as_before
    assert "\x1b[?1049h" in terminal.text
    assert "\x1b[?25h\x1b[?1049l" in terminal.text  # the cursor, and what was on the screen
    assert terminal.text.count("\x1b[2J") == 0  # it draws over what is there, which does not flicker
    assert "\x1b[31m127.0.0.1:9" in terminal.text


@pytest.mark.slow
def test_without_colours_nothing_is_coloured() -> None:
    with running() as server:
        terminal = Terminal("top", "--interval", "0.5", metrics(server), "127.0.0.1:9", NO_COLOR="1")
        terminal.expect("calls/s,")
        terminal.type("q")
        assert terminal.end() == 0
    assert not re.search(r"\x1b\[[\d;]*3[0-7]m", terminal.text)

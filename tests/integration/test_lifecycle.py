"""Start and stop of the real process."""

import json
import os
import queue
import re
import signal
import socket
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hyperframe.frame import SettingsFrame

from app.core.errors import StartError
from app.core.name import NAME
from app.server import CUT
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.clients.status import outcome
from tests.support.network import http2
from tests.support.servers.collector import collecting, collecting_over_http
from tests.support.servers.probe_server import probe_server
from tests.support.servers.process import ServerProcess, run, server_process, started
from tests.support.servers.server import DRAIN_STEPS, TOKEN, running
from tests.support.waiting import until


def stub_for(channel: grpc.Channel) -> Any:
    return probe_pb2_grpc.ProbeStub(channel)


@pytest.mark.alone
def test_the_server_is_serving_within_a_second_of_its_settings() -> None:
    with server_process() as server:
        assert server.serving["started_in_seconds"] < 1
        assert server.end() == 0


def test_sigterm_drains_step_by_step_loses_no_call_and_exits_with_0() -> None:
    codes: list[grpc.StatusCode] = []
    with server_process(APP_DRAIN_DELAY="1") as server, grpc.insecure_channel(server.target) as channel:
        stub = stub_for(channel)
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                codes.append(outcome(lambda: stub.Unary(pb.ProbeRequest(), timeout=5)))

        caller = threading.Thread(target=load)
        caller.start()
        until(lambda: len(codes) > 20)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("drain_started")
        at_the_start = len(codes)
        time.sleep(0.5)  # within the delay
        stop.set()
        caller.join(5)
        assert len(codes) > at_the_start + 20, "new calls are served during the delay"
        assert server.exit_code() == 0
        assert set(codes) == {grpc.StatusCode.OK}
        steps = [event for event in server.events() if event != "call"]
        assert steps == ["serving", *DRAIN_STEPS]
        assert server.events().count("call") == len(codes), "no log line is lost"


def test_ctrl_c_skips_the_delay() -> None:
    with server_process(APP_DRAIN_DELAY="30") as server:
        began = time.monotonic()
        assert server.end(signal.SIGINT) == 0
        assert time.monotonic() - began < 5


def test_a_second_signal_ends_it_at_once() -> None:
    with server_process(APP_DRAIN_DELAY="30") as server:
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("drain_started")
        began = time.monotonic()
        assert server.end(signal.SIGTERM) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 1
        assert server.process.stderr is not None
        assert server.process.stderr.read() == "second signal: exiting at once\n"


def test_a_call_in_flight_finishes_within_the_grace_period_with_log_line_and_span() -> None:
    with probe_server(drain_grace=10) as at:
        running = threading.Event()

        def slow(_request: Any, _context: Any) -> None:
            running.set()
            until(lambda: at.server.lines("drain_refusing_new_calls"))
            pages.append(at.server.get("/readyz")[0])
            started.append(at.server.total("grpc_server_started_total"))

        pages: list[int] = []
        started: list[float] = []
        at.probe.on_call = slow
        call = at.stub.Unary.future(pb.ProbeRequest())
        assert running.wait(5)
    assert call.result(timeout=5).text == "reply"
    assert pages == [503], "the metrics port outlives the calls"
    assert started == [1]
    assert at.server.calls()[0]["code"] == "OK"
    assert len(at.server.spans) == 1
    [drained] = at.server.lines("drain_calls_ended")
    assert drained["all_finished"] is True


def test_the_grace_limits_the_drain() -> None:
    with probe_server(drain_grace=0.3) as at:
        running = threading.Event()
        release = threading.Event()

        def stuck(_request: Any, _context: Any) -> None:
            running.set()
            release.wait(30)

        at.probe.on_call = stuck
        call = at.stub.Unary.future(pb.ProbeRequest())
        assert running.wait(5)
        began = time.monotonic()
    assert time.monotonic() - began < 4
    assert outcome(lambda: call.result(timeout=5)) in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}
    assert at.server.lines("drain_grace_over")
    assert at.server.handle.clean is False
    release.set()


def open_streams(server: ServerProcess) -> str:
    with urllib.request.urlopen(server.serving["metrics"][0]) as page:  # noqa: S310 - loopback
        lines = page.read().decode().splitlines()
    [line] = [one for one in lines if one.startswith("grpc_server_started_total{") and "BidiStream" in one]
    return str(line.split()[-1])


@pytest.mark.parametrize("grace", ["0", "0.3"])
def test_a_drain_that_cancels_a_call_exits_with_3(grace: str) -> None:
    variables = {"APP_DRAIN_DELAY": "0", "APP_DRAIN_GRACE": grace}
    with server_process(**variables) as server, grpc.insecure_channel(server.target) as channel:
        requests: queue.SimpleQueue[pb.ProbeRequest] = queue.SimpleQueue()
        replies = stub_for(channel).BidiStream(iter(requests.get, None), timeout=60)
        until(lambda: open_streams(server) == "1.0")
        assert server.end() == CUT == 3
        assert "drain_grace_over" in server.events()
        with pytest.raises(grpc.RpcError):
            next(replies)


def test_a_grace_of_0_is_clean_for_a_server_that_has_only_health_watches() -> None:
    variables = {"APP_DRAIN_DELAY": "0", "APP_DRAIN_GRACE": "0"}
    with server_process(**variables) as server, grpc.insecure_channel(server.target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watched = stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        next(watched)
        assert server.end() == 0
        assert [status.status for status in watched][-1:] == [health_pb2.HealthCheckResponse.NOT_SERVING]


def test_connections_that_are_merely_open_hold_the_drain_for_five_seconds_at_most() -> None:
    with server_process(APP_DRAIN_DELAY="0.5") as server:
        host, _, port = server.target.rpartition(":")
        with socket.create_connection((host, int(port))), http2.connected(server.target) as connection:
            connection.wait_for(SettingsFrame)
            began = time.monotonic()
            assert server.end() == 0
            assert time.monotonic() - began < 0.5 + 6
            assert server.events()[-4:] == DRAIN_STEPS[-4:]
            lines = [json.loads(line) for line in server.output]
            [ended] = [line for line in lines if line["event"] == "drain_calls_ended"]
            assert ended["all_finished"] is True
            [refusing] = [line for line in lines if line["event"] == "drain_refusing_new_calls"]
            assert refusing["calls"] == 0
            assert "drain_closing_connections" in server.events()


STUCK = """
import time
import structlog
from app.runtime.signals import Signals
from app.server import run
from tests.support.servers.probe import Probe, probe_service
from tests.support.servers.server import settings

def never(_request, _context):
    structlog.get_logger().info("stuck")
    time.sleep(60)

probe = Probe()
probe.on_call = never
service = probe_service(probe)
run(settings([service], drain_grace=0.3, log_format="json"), Signals(), [service])
"""


def test_a_handler_that_never_returns_does_not_hold_the_exit() -> None:
    with server_process(("-c", STUCK)) as server, grpc.insecure_channel(server.target) as channel:
        call = stub_for(channel).Unary.future(pb.ProbeRequest())
        server.wait_for("stuck")
        began = time.monotonic()
        assert server.end() == CUT
        assert time.monotonic() - began < 5
        assert server.events()[-4:] == DRAIN_STEPS[-4:]
        assert call.done()


def test_all_configuration_errors_are_reported_together_with_exit_status_2_and_no_traceback(
    tmp_path: Path,
) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("no certificate\n")
    done = run(
        "serve",
        APP_LISTEN="0.0.0.0:50051",
        APP_WORKERS="ten",
        APP_TLS_CLIENT_CA_FILE=str(ca),
        APP_METRICS_LISTEN="nowhere:1",
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == f"{NAME}: cannot start: 4 configuration errors"
    for text in (
        "invalid value 'ten' for APP_WORKERS: expected an integer from 1 to 1000",
        f"APP_TLS_CLIENT_CA_FILE: {ca}: ",
        "APP_AUTH_MODE: required, because 0.0.0.0:50051 is reachable from other machines",
        "APP_METRICS_LISTEN: 'nowhere' in 'nowhere:1' is not an IP address",
    ):
        assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_variable_of_the_platforms_is_a_warning_in_the_log_without_its_value() -> None:
    with server_process(APP_ENV="s3cret", APP_LOG_LEVEL="INFO") as server:
        assert server.end() == 0
        [line] = [one for one in map(json.loads, server.output) if one["event"] == "unknown_variables"]
        assert (line["level"], line["variables"]) == ("warning", ["APP_ENV"])
        assert "s3cret" not in "".join(server.output)


def test_a_port_in_use_is_an_error_with_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("serve", APP_LISTEN=address, APP_METRICS_LISTEN="127.0.0.1:0")
    assert done.returncode == 2
    assert f"APP_LISTEN: {address} cannot be bound: another process listens there" in done.stderr
    assert "Traceback" not in done.stderr


def refusal(**changes: Any) -> str:
    """What the server says when it does not start with these settings."""
    with pytest.raises(StartError) as caught, running(**changes):
        pass
    return str(caught.value)


def test_a_port_that_a_server_of_ours_has_is_in_use_too() -> None:
    with running() as server:
        assert refusal(listen=server.target).startswith(f"APP_LISTEN: {server.target} cannot be bound")
        taken = str(server.handle.metrics[0])
        assert refusal(metrics_listen=taken) == f"APP_METRICS_LISTEN: {taken}: Address already in use"


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_localhost_is_both_families_and_both_must_bind() -> None:
    with running(listen="localhost:0", metrics_listen="localhost:0") as server:
        ipv4, ipv6 = (str(address) for address in server.handle.addresses)
        assert ipv6 == f"[::1]:{ipv4.removeprefix('127.0.0.1:')}"
        for target in (ipv4, ipv6):
            with grpc.insecure_channel(target) as channel:
                assert stub_for(channel).Unary(pb.ProbeRequest(), timeout=5).text
        assert [address.host for address in server.handle.metrics] == ["127.0.0.1", "::1"]
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        assert f"APP_LISTEN: [::1]:{port} cannot be bound" in refusal(listen=f"localhost:{port}")


def test_a_unix_socket_serves_and_is_not_taken_over(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/socket"
    with running(listen=address) as server:
        with grpc.insecure_channel(server.target) as channel:
            assert stub_for(channel).Unary(pb.ProbeRequest(), timeout=5).text
        assert refusal(listen=address) == (
            f"APP_LISTEN: {address} cannot be bound: another process listens there"
        )
    assert "there is no directory /nowhere" in refusal(listen="unix:/nowhere/socket")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_during_the_start_is_kept(number: signal.Signals) -> None:
    with started(("-m", "app", "serve"), APP_DRAIN_DELAY="0") as process:
        # Its modules take about a second to load; the handlers are there before.
        until(lambda: handles_signals(process.pid))
        assert "pydantic_core" not in Path(f"/proc/{process.pid}/maps").read_text()
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors == ""
    assert f'"signal":"{number.name}"' in output


def handles_signals(pid: int) -> bool:
    """Whether a process handles SIGTERM, by the mask in its status (proc(5)); ours come in one go."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


def test_calls_and_drain_go_on_when_the_reader_of_the_log_leaves() -> None:
    read, write = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as free:
        target = f"127.0.0.1:{free.getsockname()[1]}"
    with started(stdout=write, APP_LISTEN=target, APP_DRAIN_DELAY="0") as process:
        os.close(write)
        assert os.read(read, 1000)
        os.close(read)
        with grpc.insecure_channel(target) as channel:
            for _ in range(3):
                assert stub_for(channel).Unary(pb.ProbeRequest(), timeout=5).text
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_a_changed_tokens_file_counts_without_a_restart_and_a_broken_one_does_not(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"ann:{TOKEN}\n")
    variables = {"APP_AUTH_MODE": "tokens", "APP_AUTH_TOKENS_FILE": str(tokens)}
    with server_process(**variables) as server, grpc.insecure_channel(server.target) as channel:
        stub = stub_for(channel)

        def called_with(token: str) -> grpc.StatusCode:
            metadata = (("authorization", f"Bearer {token}"),)
            return outcome(lambda: stub.Unary(pb.ProbeRequest(), metadata=metadata, timeout=5))

        assert called_with(TOKEN) is grpc.StatusCode.OK
        tokens.write_text("broken\n")
        refused = server.wait_for("reload_failed")
        assert refused["problem"].startswith("line 1: ")
        assert called_with(TOKEN) is grpc.StatusCode.OK
        tokens.write_text("ann:another-token-of-ann\n")
        server.wait_for("file_reloaded")
        assert called_with("another-token-of-ann") is grpc.StatusCode.OK
        assert called_with(TOKEN) is grpc.StatusCode.UNAUTHENTICATED
        assert TOKEN not in "".join(server.output)


def test_the_console_exporter_prints_every_span() -> None:
    with server_process(OTEL_TRACES_EXPORTER="console", OTEL_SERVICE_NAME="named") as server:
        with grpc.insecure_channel(server.target) as channel:
            stub_for(channel).Unary(pb.ProbeRequest(), timeout=5)
        assert server.end() == 0
        output = "".join(server.output)
        assert '"name": "/probe.Probe/Unary"' in output
        assert '"service.name": "named"' in output
        [line] = re.findall(r'"trace_id":"([0-9a-f]{32})"', output)
        assert f'"trace_id": "0x{line}"' in output


def test_variables_that_cannot_be_used_are_warnings_and_do_not_keep_the_server_from_starting() -> None:
    wrong = {
        "OTEL_TRACES_EXPORTER": "jaeger,console",
        "OTEL_PROPAGATORS": "xray,tracecontext",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "abc",  # the SDK reads it when it is imported, and raises
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "99999",
        "OTEL_TRACES_SAMPLER": "jaeger_remote",
        "OTEL_PYTHON_ID_GENERATOR": "xray",
    }
    with server_process(**wrong) as server:
        with grpc.insecure_channel(server.target) as channel:
            stub_for(channel).Unary(pb.ProbeRequest(), timeout=5)
        assert server.end() == 0
    lines = [json.loads(line) for line in server.output if line.startswith('{"timestamp"')]
    ignored = {line["variable"]: line for line in lines if line["event"] == "otel_variable_ignored"}
    assert ignored.keys() == wrong.keys()
    assert {line["level"] for line in ignored.values()} == {"warning"}
    assert ignored["OTEL_TRACES_EXPORTER"]["value"] == "jaeger"
    assert ignored["OTEL_PROPAGATORS"]["used"] == "tracecontext"
    assert '"name": "/probe.Probe/Unary"' in "".join(server.output)


@pytest.mark.parametrize(
    ("collect", "protocol"), [(collecting, "grpc"), (collecting_over_http, "http/protobuf")]
)
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_spans_go_to_the_collector_that_is_named_and_the_last_one_too(
    collect: Any, protocol: str, compression: str
) -> None:
    with (
        collect() as (collector, endpoint),
        server_process(
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_EXPORTER_OTLP_HEADERS="x-tenant=a%20b",
            OTEL_EXPORTER_OTLP_COMPRESSION=compression,
        ) as server,
    ):
        with grpc.insecure_channel(server.target) as channel:
            for _ in range(5):
                stub_for(channel).Unary(pb.ProbeRequest(), timeout=5)
        assert server.end() == 0
        lines = [json.loads(line) for line in server.output]
    traced = [line["trace_id"] for line in lines if line["event"] == "call"]
    found = [(span.service, span.name, span.trace_id) for span in collector.spans]
    assert found == [(NAME, "/probe.Probe/Unary", trace_id) for trace_id in traced]
    assert len(traced) == 5
    assert {one["x-tenant"] for one in collector.headers} == {"a b"}


def test_a_dead_collector_neither_fails_calls_nor_holds_the_exit() -> None:
    with server_process(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as server:
        with grpc.insecure_channel(server.target) as channel:
            for _ in range(100):
                stub_for(channel).Unary(pb.ProbeRequest(), timeout=1)
        began = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - began < 6

"""What the process says: one form, on standard output, at a bounded rate; and the log never blocks it."""

import json
import os
import re
import signal
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import Popen
from typing import Any

import grpc
import pytest
import trustme
from hpack import Encoder, NeverIndexedHeaderTuple
from hyperframe.frame import HeadersFrame, SettingsFrame

from tests.attack.attacker import Attacker
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.certificates import issued
from tests.support.clients.status import outcome
from tests.support.network.http2 import PREFACE, Frames
from tests.support.servers.probe import CALLS, METHODS, SERVER_STREAMS
from tests.support.servers.probe_server import probe_server
from tests.support.servers.process import server_process, started
from tests.support.waiting import until

PROGRAM = """
import ctypes, gc, logging, os, sys, threading, time, warnings
import structlog
from app.runtime.signals import Signals
from app.server import run
from tests.support.servers.probe import Probe, probe_service, read_all
from tests.support.servers.server import settings

def log_all():
    structlog.contextvars.bind_contextvars(order=1)
    logging.getLogger("mine").info("by logging", extra={"item": 2})
    logging.getLogger("mine").warning("took %d ms", "3ms")
    structlog.get_logger().info("by structlog", stack_info=True)

def print_all():
    print("printed")
    print("printed, too", file=sys.stderr)
    os.write(2, b"written by C code\\n")

def fail_all():
    warnings.warn("outdated", DeprecationWarning)
    thread = threading.Thread(target=lambda: 1 // 0, name="mine")
    thread.start()
    thread.join()
    class Unclean:
        def __del__(self):
            raise LookupError("unclean")
    Unclean()

WHAT = {each.__name__: each for each in (log_all, print_all, fail_all)}
WHAT["segfault"] = lambda: ctypes.string_at(0)
WHAT["abort"] = os.abort

def act(request, context):
    read_all(request, context)
    WHAT[dict(context.invocation_metadata())["what"]]()

probe = Probe()
probe.on_call = act
probe.between = lambda _context: logging.getLogger("mine").info("between replies")
service = probe_service(probe)
sys.exit(run(settings([service], log_format="json"), Signals(), [service]))
"""


def acted(what: str, method: str = "Unary") -> tuple[list[dict[str, Any]], str, int]:
    """The lines of a server whose handler does that, what is on its standard error, and its exit code."""
    with server_process(("-W", "always", "-c", PROGRAM)) as server:
        with grpc.insecure_channel(server.target) as channel:
            code = outcome(
                lambda: CALLS[method](probe_pb2_grpc.ProbeStub(channel), metadata=(("what", what),))
            )
        if code is grpc.StatusCode.OK:
            server.process.send_signal(signal.SIGTERM)
        status = server.exit_code()
        assert server.process.stderr is not None
        return [json.loads(line) for line in server.output], server.process.stderr.read(), status


@pytest.mark.parametrize("method", METHODS)
def test_lines_of_any_logger_within_a_call_have_its_ids_and_what_is_bound(method: str) -> None:
    lines, standard_error, status = acted("log_all", method)
    [call] = [line for line in lines if line["event"] == "call"]
    assert (call["method"], call["code"]) == (method, "OK")
    assert call["request_id"]
    assert call["trace_id"]
    within = [line for line in lines if line.get("order") == 1]
    expected = ["by logging", "log_render_failed", "by structlog"]
    if method in SERVER_STREAMS:
        expected.append("between replies")
    assert [line["event"] for line in within] == expected
    for line in within:
        assert (line["request_id"], line["trace_id"]) == (call["request_id"], call["trace_id"])
    assert (within[0]["logger"], within[0]["item"]) == ("mine", 2)
    assert "log_all" in within[2]["stack"]
    assert (standard_error, status) == ("", 0)


def test_every_line_of_the_process_has_the_fields_of_cloud_logging_if_they_are_set() -> None:
    fields = 'log_format="json", log_fields="gcp", log_gcp_project="my-project"'
    program = PROGRAM.replace('log_format="json"', fields)
    with started(("-W", "always", "-c", program)) as process:
        assert process.stdout is not None
        lines: list[dict[str, Any]] = []
        while not lines or lines[-1]["message"] != "serving":
            lines.append(json.loads(process.stdout.readline()))
        with grpc.insecure_channel(lines[-1]["addresses"][0]) as channel:
            for what in ("log_all", "print_all", "fail_all"):
                CALLS["Unary"](probe_pb2_grpc.ProbeStub(channel), metadata=(("what", what),))
        process.terminate()
        lines += [json.loads(line) for line in process.stdout]
    assert {tuple(line)[:3] for line in lines} == {("severity", "time", "message")}
    assert not any({"level", "timestamp", "event", "trace_id"} & line.keys() for line in lines)
    found = {line["message"]: line for line in lines}
    assert {
        "call",
        "by logging",
        "by structlog",
        "log_render_failed",
        "printed",
        "printed, too",
    } <= found.keys()
    assert {"written by C code", "uncaught_exception", "stopped"} <= found.keys()
    for within in ("call", "by logging", "by structlog"):
        trace = found[within]["logging.googleapis.com/trace"]
        assert re.fullmatch("projects/my-project/traces/[0-9a-f]{32}", trace)


def test_what_is_printed_or_written_by_c_code_is_a_line() -> None:
    lines, standard_error, status = acted("print_all")
    found = {line["event"]: line["logger"] for line in lines if "logger" in line}
    assert found == {"printed": "stdout", "printed, too": "stderr", "written by C code": "stderr"}
    assert (standard_error, status) == ("", 0)


def test_warnings_and_exceptions_that_nobody_handles_are_lines() -> None:
    lines, standard_error, status = acted("fail_all")
    [warning] = [line for line in lines if line.get("logger") == "py.warnings"]
    assert "DeprecationWarning: outdated" in warning["event"]
    in_thread, in_finalizer = (line for line in lines if line["event"] == "uncaught_exception")
    assert in_thread["thread"] == "mine"
    assert "ZeroDivisionError" in in_thread["exception"]
    assert "LookupError: unclean" in in_finalizer["exception"]
    assert (standard_error, status) == ("", 0)


@pytest.mark.parametrize(("what", "name"), [("segfault", "Segmentation fault"), ("abort", "Aborted")])
def test_the_traceback_of_a_crash_is_on_standard_error(what: str, name: str) -> None:
    _, standard_error, status = acted(what)
    assert status < 0
    assert standard_error.startswith(f"Fatal Python error: {name}")
    assert "in act" in standard_error


def test_an_exception_that_ends_the_process_is_a_line_and_status_1() -> None:
    program = PROGRAM.replace(
        "probe_service(probe)\n", "probe_service(probe)\nclass Bug(Signals):\n wait = 1\n"
    )
    with server_process(("-c", program.replace("Signals(),", "Bug(),"))) as server:
        assert server.exit_code() == 1
        assert "uncaught_exception" in server.events()
        assert server.process.stderr is not None
        assert "Traceback" not in server.process.stderr.read()


def test_a_plaintext_client_of_a_tls_port_is_a_line(tmp_path: Path) -> None:
    pair = issued(trustme.CA(), "localhost")
    certificate, key = tmp_path / "certificate", tmp_path / "key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    with server_process(APP_TLS_CERT_FILE=str(certificate), APP_TLS_KEY_FILE=str(key)) as server:
        Attacker(server.target).close()
        until(lambda: any("Handshake failed" in line for line in server.output))
        [line] = [json.loads(line) for line in server.output if "Handshake failed" in line]
        assert line["logger"] == "grpc.core"
        assert server.end() == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""


def send_calls_with_malformed_timeouts(target: str, calls: int) -> None:
    """Begins the calls, and waits for the reply of each."""
    fields: list[Any] = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/probe.Probe/Unary"),
        (":authority", "attack"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        NeverIndexedHeaderTuple("grpc-timeout", "malformed"),  # what is indexed is parsed once
    ]
    encoder, frames, ended = Encoder(), Frames(), 0
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(PREFACE + SettingsFrame().serialize())
        for number in range(calls):
            head = HeadersFrame(2 * number + 1, encoder.encode(fields), flags=["END_HEADERS", "END_STREAM"])
            connection.sendall(head.serialize())
        while ended < calls:
            received = frames.split(connection.recv(65536))
            ended += sum("END_STREAM" in frame.flags for frame in received)


def test_messages_of_grpcs_core_are_limited_and_the_rest_is_counted() -> None:
    with server_process(APP_LOG_MAX_STDERR="1") as server:
        send_calls_with_malformed_timeouts(server.target, 500)
        server.wait_for("log_lines_dropped")
        assert server.end() == 0
        lines = [json.loads(line) for line in server.output]
        of_grpc = [line["event"] for line in lines if line.get("logger") == "grpc.core"]
        dropped = sum(line["rate_limit"] for line in lines if line["event"] == "log_lines_dropped")
        assert 10 <= len(of_grpc) <= 20, "a burst of ten, and then one each second"
        assert len(of_grpc) + dropped == 500
        assert set(of_grpc) == {"Error parsing 'grpc-timeout' metadata: invalid value"}
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""


def test_the_lines_that_were_dropped_are_a_metric() -> None:
    with probe_server() as at:
        assert dict.fromkeys(("queue_full", "rate_limit", "write_failed"), 0.0) == {
            labels["reason"]: value for labels, value in at.server.samples("log_lines_dropped_total")
        }


def address(process: Popen[str]) -> str:
    """The address in the line `serving`. What follows is not read."""
    assert process.stdout is not None
    line = os.read(process.stdout.fileno(), 4096)
    return str(json.loads(line)["addresses"][0])


def test_a_reader_that_has_stopped_holds_neither_calls_nor_the_exit() -> None:
    with started(APP_LOG_MAX_WAITING="1000", APP_DRAIN_GRACE="1") as process:
        target = address(process)
        with grpc.insecure_channel(target) as channel, ThreadPoolExecutor(8) as callers:
            call = probe_pb2_grpc.ProbeStub(channel).Unary
            codes = Counter(
                callers.map(lambda _: outcome(lambda: call(pb.ProbeRequest(), timeout=5)), range(3000))
            )
        assert codes == {grpc.StatusCode.OK: 3000}
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert time.monotonic() - began < 0.2 + 1 + 2  # delay, grace, and two seconds

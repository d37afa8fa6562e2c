"""The status page over HTTP: where it is on, what it says beside the metrics, and who may read it."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from app.core.address import Address
from app.core.errors import StatusError
from app.core.method import Arity, Method
from app.core.shown_setting import ShownSetting
from app.interceptors.hooks import Hooks
from app.interceptors.last_errors import LastErrors
from app.runtime.metrics_port import metrics_port
from app.runtime.status_page import Details, State, StatusPage
from deploy.prometheus.codes import NO_FAULT
from tests.gen.probe_pb2 import ProbeRequest
from tests.gen.probe_pb2_grpc import ProbeStub
from tests.support.servers.probe import CALLS, METHODS, Probe, probe_service
from tests.support.servers.server import TOKEN, Server, running
from tests.support.waiting import until

PAGE = Path(__file__).parents[2] / "app" / "runtime" / "status_page.html"


Answered = tuple[int, dict[str, str], bytes]


def answer(server: Server, path: str, method: str = "GET", host: str = "localhost") -> Answered:
    """Status, headers and body of what the metrics port of the server answers."""
    return answer_at(server.handle.metrics[0], path, method, host)


def answer_at(at: Address, path: str, method: str = "GET", host: str = "localhost") -> Answered:
    connection = HTTPConnection(str(at), timeout=10)
    try:
        connection.request(method, path, headers={"Host": host})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def status(server: Server) -> dict[str, Any]:
    code, _, body = answer(server, "/status")
    assert code == 200
    found: dict[str, Any] = json.loads(body)
    return found


@contextmanager
def port(page: StatusPage) -> Iterator[Address]:
    """A metrics port with that page."""
    listening = metrics_port(
        [Address("127.0.0.1", 0)], CollectorRegistry(), ready=bool, max_connections=8, timeout=5, page=page
    )
    with listening as [at]:
        yield at


@contextmanager
def failing(**changes: Any) -> Iterator[tuple[Server, Any, Probe]]:
    """A server, a stub of its probe, and the probe."""
    probe = Probe()
    with (
        running([probe_service(probe)], **changes) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        yield server, ProbeStub(channel), probe


def fail_with(probe: Probe, error: Exception) -> None:
    def act(_request: object, _context: object) -> None:
        raise error

    probe.on_call = act


def test_the_page_is_at_the_root_of_the_metrics_port(server: Server) -> None:
    code, found, body = answer(server, "/")
    assert (code, body) == (200, PAGE.read_bytes())
    assert found["Content-Type"] == "text/html; charset=utf-8"
    head = answer(server, "/", "HEAD")
    assert (head[0], head[2], head[1]["Content-Length"]) == (200, b"", str(len(body)))


@pytest.mark.parametrize("path", ["/", "/status"])
def test_nothing_of_the_page_is_kept_framed_or_read_by_other_sites(server: Server, path: str) -> None:
    found = answer(server, path)[1]
    assert found["Cache-Control"] == "no-store"
    assert found["X-Content-Type-Options"] == "nosniff"
    assert found["Cross-Origin-Resource-Policy"] == "same-origin"
    assert found["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in found
    assert "default-src 'none'" in found["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in found["Content-Security-Policy"]


def test_the_policy_permits_the_script_and_the_style_of_the_page_and_nothing_else(server: Server) -> None:
    policy = answer(server, "/")[1]["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for tag in ("script", "style"):
        [content] = re.findall(f"<{tag}>(.*?)</{tag}>", PAGE.read_text(), re.DOTALL)
        [permitted] = re.findall(r"^'sha256-(.*)'$", rules[f"{tag}-src"])
        assert b64decode(permitted) == sha256(content.encode()).digest()
    assert rules["connect-src"] == "'self'"
    assert "unsafe" not in policy


def test_the_page_asks_nobody_else_and_sets_no_markup() -> None:
    text = PAGE.read_text()
    assert set(re.findall(r"https?://[^\s\"')]+", text)) == {"http://www.w3.org/2000/svg"}
    assert re.findall(r"\bsrc=|\bon\w+=|innerHTML|insertAdjacent|document\.write|\beval\b", text) == []


def test_the_codes_that_are_no_fault_are_those_of_the_rules() -> None:
    [listed] = re.findall(r"const NO_FAULT = (\[.*?\]);", PAGE.read_text(), re.DOTALL)
    assert json.loads(listed) == list(NO_FAULT)


def test_the_status_has_the_instance_and_the_state(server: Server) -> None:
    found = status(server)
    assert found["instance"] == server.handle.instance
    assert found["state"] == "ready"


def test_the_state_is_asked_for_each_time() -> None:
    states = [State("not ready", ["acme.inventory.v1.InventoryService"]), State("draining")]
    with port(StatusPage(lambda: states.pop(0), None)) as at:
        found = [json.loads(answer_at(at, "/status")[2]) for _ in range(2)]
    assert [one["state"] for one in found] == ["not ready", "draining"]
    assert [one["not_ready"] for one in found] == [["acme.inventory.v1.InventoryService"], []]


def test_a_service_that_is_not_ready_is_named() -> None:
    said: list[Any] = []
    service = replace(probe_service(Probe()), readiness=lambda _servicer, set_ready: said.append(set_ready))
    with running([service]) as server:
        said[0](False)
        assert (status(server)["state"], status(server)["not_ready"]) == ("not ready", ["probe.Probe"])
        said[0](True)
        assert (status(server)["state"], status(server)["not_ready"]) == ("ready", [])


@pytest.mark.parametrize("path", ["/", "/status"])
def test_where_the_page_is_off_the_port_answers_as_without_it(path: str) -> None:
    with running(status_page="none") as server:
        code, _, body = answer(server, path)
        assert (code, body) == (404, b"this port serves /metrics, /healthz and /readyz\n")


def test_other_paths_are_answered_with_those_that_exist(server: Server) -> None:
    text = b"this port serves /, /status, /metrics, /healthz and /readyz\n"
    assert answer(server, "/favicon.ico")[::2] == (404, text)


@pytest.mark.parametrize("path", ["/", "/status"])
def test_the_page_cannot_be_posted_to(server: Server, path: str) -> None:
    assert answer(server, path, "POST")[0] == 405


@pytest.mark.parametrize("host", ["localhost:9464", "LOCALHOST", "127.0.0.1:9464", "[::1]:9464", "10.1.2.3"])
@pytest.mark.parametrize("path", ["/", "/status"])
def test_the_host_may_be_localhost_or_an_ip_address(server: Server, path: str, host: str) -> None:
    assert answer(server, path, host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9464", "localhost.evil.example", "127.0.0.1.evil.example", "a]b"]
)
@pytest.mark.parametrize("path", ["/", "/status"])
def test_the_name_of_another_site_is_refused(server: Server, path: str, host: str) -> None:
    code, found, body = answer(server, path, host=host)
    assert code == 421
    assert b"expected a request for localhost or an IP address" in body
    assert found["Content-Type"] == "text/plain; charset=utf-8"


def test_beyond_loopback_the_page_refuses_names_too_but_metrics_may_have_any() -> None:
    with running(metrics_listen="0.0.0.0:0", status_page="full") as server:
        at = Address("127.0.0.1", server.handle.metrics[0].port)
        assert answer_at(at, "/status", host="pod.example:9464")[0] == 421
        assert answer_at(at, "/metrics", host="pod.example:9464")[0] == 200


def test_a_call_that_fails_is_among_the_last_errors_with_its_ids() -> None:
    with failing() as (server, stub, probe):
        fail_with(probe, StatusError("no such thing", code=grpc.StatusCode.NOT_FOUND))
        with pytest.raises(grpc.RpcError):
            stub.Unary(ProbeRequest(text="a"), metadata=(("x-request-id", "order-7"),))
        [error] = until(lambda: status(server)["errors"])
        [line] = server.calls()
        assert error["trace_id"] == line["trace_id"] != ""
        assert error["duration"] >= 0
        assert error["peer"] == line["peer"]
        assert {name: error[name] for name in ("service", "method", "code", "message", "refusal")} == {
            "service": "probe.Probe",
            "method": "Unary",
            "code": "NotFound",
            "message": "no such thing",
            "refusal": "",
        }
        assert error["request_id"] == "order-7"


@pytest.mark.parametrize("method", METHODS)
def test_failed_calls_of_each_arity_are_among_them_once(method: str) -> None:
    with failing() as (server, stub, probe):
        fail_with(probe, StatusError("no", code=grpc.StatusCode.ABORTED))
        with pytest.raises(grpc.RpcError):
            CALLS[method](stub)
        until(server.calls)
        assert [error["method"] for error in status(server)["errors"]] == [method]


def test_a_call_that_ends_with_ok_runs_no_code_of_it() -> None:
    concern = LastErrors().for_method(Method("acme.inventory.v1.InventoryService", "GetItem", Arity.UNARY))
    assert concern is not None
    hooks = Hooks.of([concern])
    assert hooks.ending.end_with_error
    others = (hooks.accept, hooks.admit, hooks.start, hooks.receive_bytes, hooks.receive, hooks.send_bytes)
    assert not any((*others, hooks.send, hooks.fail, hooks.ending.end, hooks.ending.close))


def test_calls_that_end_with_ok_and_health_checks_are_not_among_them() -> None:
    with failing() as (server, stub, _):
        stub.Unary(ProbeRequest(text="a"))
        make: Any = health_pb2_grpc.HealthStub
        with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError):
            make(channel).Check(health_pb2.HealthCheckRequest(service="none"), timeout=5)
        assert until(lambda: len(server.calls()) == 2)
        assert status(server)["errors"] == []


def test_a_refused_call_has_the_reason_of_its_gate() -> None:
    with failing() as (server, stub, _):
        with pytest.raises(grpc.RpcError):
            stub.Unary(ProbeRequest(text="wrong"))
        [error] = until(lambda: status(server)["errors"])
        assert (error["code"], error["refusal"]) == ("InvalidArgument", "validation")
        assert "anything but wrong" in error["message"]


def test_the_text_of_an_unexpected_exception_is_not_shown() -> None:
    with failing() as (server, stub, probe):
        fail_with(probe, RuntimeError("s3cret"))
        with pytest.raises(grpc.RpcError):
            stub.Unary(ProbeRequest(text="a"))
        [error] = until(lambda: status(server)["errors"])
        assert error["code"] == "Internal"
        assert re.fullmatch(r"internal error \(error id \w+\)", error["message"])


def test_a_call_whose_client_leaves_is_among_the_last_errors() -> None:
    with failing() as (server, stub, probe):
        probe.on_call = lambda _request, context: until(lambda: not context.is_active())
        call = stub.Unary.future(ProbeRequest(text="a"))
        until(lambda: server.total("grpc_server_in_flight", grpc_method="Unary") == 1)
        call.cancel()
        [error] = until(lambda: status(server)["errors"])
        assert error["code"] == "Canceled"


def test_the_newest_five_of_each_method_and_code_are_kept() -> None:
    with failing() as (server, stub, probe):
        fail_with(probe, StatusError("rare", code=grpc.StatusCode.DATA_LOSS))
        with pytest.raises(grpc.RpcError):
            stub.Unary(ProbeRequest(text="a"))
        for number in range(8):
            fail_with(probe, StatusError(f"often {number}", code=grpc.StatusCode.ABORTED))
            with pytest.raises(grpc.RpcError):
                stub.Unary(ProbeRequest(text="a"))
        until(lambda: len(server.calls()) == 9)
        found = [error["message"] for error in status(server)["errors"]]
        assert found == ["often 7", "often 6", "often 5", "often 4", "often 3", "rare"]


def test_texts_of_an_error_are_cut() -> None:
    with failing() as (server, stub, probe):
        fail_with(probe, StatusError("x" * 5000, code=grpc.StatusCode.ABORTED))
        with pytest.raises(grpc.RpcError):
            stub.Unary(ProbeRequest(text="a"))
        [error] = until(lambda: status(server)["errors"])
        assert len(error["message"]) == 300


def test_a_request_id_that_is_not_safe_and_the_name_of_an_unknown_method_are_not_shown() -> None:
    with failing() as (server, _, _), grpc.insecure_channel(server.target) as channel:
        call: Any = channel.unary_unary("/<script>/x")
        with pytest.raises(grpc.RpcError):
            call(b"", metadata=(("x-request-id", "<script>"),), timeout=5)
        [error] = until(lambda: status(server)["errors"])
        assert (error["service"], error["method"], error["code"]) == ("unknown", "unknown", "Unimplemented")
        assert re.fullmatch(r"[0-9a-f]{32}", error["request_id"])


def test_without_details_there_are_neither_settings_nor_errors_and_no_error_is_kept() -> None:
    with failing(status_page="no-details") as (server, stub, _):
        with pytest.raises(grpc.RpcError):
            stub.Unary(ProbeRequest(text="wrong"))
        until(server.calls)
        found = status(server)
        assert (found["settings"], found["errors"]) == (None, None)
        assert found["instance"] == server.handle.instance


def test_settings_are_shown_without_the_tokens(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"ann:{TOKEN}\n")
    rule = "probe.Probe name:ann"
    with failing(auth_mode="tokens", auth_tokens_file=tokens, auth_require=rule) as (server, _, _):
        text = answer(server, "/status")[2].decode()
        found = {one["variable"]: one for some in json.loads(text)["settings"].values() for one in some}
    assert TOKEN not in text
    assert found["APP_AUTH_TOKENS_FILE"]["value"] == str(tokens)
    assert found["APP_AUTH_REQUIRE"] == {"variable": "APP_AUTH_REQUIRE", "value": None, "default": False}
    assert found["APP_WORKERS"] == {"variable": "APP_WORKERS", "value": "32", "default": True}


def test_the_status_is_small_with_a_hundred_errors() -> None:
    error = {
        "time": 1.0,
        "message": "m" * 300,
        "principal": "p" * 300,
        "request_id": "r" * 128,
        "trace_id": "t" * 32,
    }
    settings = {"Server": [ShownSetting("APP_WORKERS", "1", default=True)]}
    page = StatusPage(lambda: State("ready"), Details(settings, lambda most: [error] * most))
    with port(page) as at:
        body = answer_at(at, "/status")[2]
    assert len(json.loads(body)["errors"]) == 100
    assert len(body) < 100_000

"""What spans say, by the older and the newer semantic conventions of OpenTelemetry."""

import grpc
import pytest
from opentelemetry.semconv._incubating.attributes import rpc_attributes
from opentelemetry.semconv.attributes import (
    client_attributes,
    error_attributes,
    network_attributes,
    server_attributes,
    user_agent_attributes,
)
from opentelemetry.trace import StatusCode

from app.core.method import UNKNOWN, Arity, Method
from app.telemetry.conventions import CLIENT_ERRORS, SERVER_ERRORS, Conventions

METHOD = Method("probe.Probe", "Unary", Arity.UNARY)

OLDER = Conventions(older=True, newer=False)
NEWER = Conventions(older=False, newer=True)
BOTH = Conventions(older=True, newer=True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, OLDER),
        ("", OLDER),
        ("rpc", NEWER),
        ("rpc/dup", BOTH),
        ("http,rpc", NEWER),
        (" http/dup , rpc ", NEWER),
        ("rpc,rpc/dup", BOTH),
        ("rpc/dup,rpc", BOTH),
        ("http", OLDER),
        ("RPC", OLDER),
        ("rpc/both", OLDER),
        ("rpc;http", OLDER),
    ],
)
def test_the_opt_in_is_a_list_in_which_dup_wins_and_unknown_entries_are_ignored(
    value: str | None, expected: Conventions
) -> None:
    environment = {} if value is None else {"OTEL_SEMCONV_STABILITY_OPT_IN": value}
    assert Conventions.from_environment(environment) == expected


def test_a_method_is_described_before_its_call() -> None:
    older = {"rpc.system": "grpc", "rpc.service": "probe.Probe", "rpc.method": "Unary"}
    newer = {"rpc.system.name": "grpc", "rpc.method": "probe.Probe/Unary"}
    assert OLDER.of_method(METHOD) == older
    assert NEWER.of_method(METHOD) == newer
    assert BOTH.of_method(METHOD) == older | newer
    names = [one.span_name(METHOD) for one in (OLDER, NEWER, BOTH)]
    assert names == ["/probe.Probe/Unary", "probe.Probe/Unary", "probe.Probe/Unary"]


def test_a_method_that_is_not_served_has_the_name_that_each_convention_gives_it() -> None:
    assert OLDER.span_name(UNKNOWN) == "/unknown/unknown"
    assert OLDER.of_method(UNKNOWN)["rpc.method"] == "unknown"
    assert NEWER.span_name(UNKNOWN) == "grpc"
    assert NEWER.of_method(UNKNOWN)["rpc.method"] == "_OTHER"


@pytest.mark.parametrize(
    ("errors", "unset"),
    [
        (
            SERVER_ERRORS,
            {
                *("OK", "CANCELLED", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED"),
                *("RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNAUTHENTICATED"),
            },
        ),
        (CLIENT_ERRORS, {"OK"}),
    ],
    ids=["server", "client"],
)
def test_a_code_is_an_error_on_the_side_whose_fault_it_may_be(
    errors: frozenset[grpc.StatusCode], unset: set[str]
) -> None:
    older, newer, both = (one.outcomes(errors) for one in (OLDER, NEWER, BOTH))
    for code in grpc.StatusCode:
        assert older[code].attributes == {"rpc.grpc.status_code": code.value[0]}
        is_error = code.name not in unset
        error = {"error.type": code.name} if is_error else {}
        assert newer[code].attributes == {"rpc.response.status_code": code.name} | error
        assert both[code].attributes == older[code].attributes | newer[code].attributes
        for outcome in (older[code], newer[code], both[code]):
            assert (outcome.status is not None) is is_error
            if outcome.status is not None:
                assert outcome.status.status_code is StatusCode.ERROR
                assert outcome.status.description == code.name


@pytest.mark.parametrize(
    ("peer", "older", "newer"),
    [
        (
            "ipv4:127.0.0.1:4711",
            {"net.peer.ip": "127.0.0.1", "net.peer.port": "4711", "net.peer.name": "localhost"},
            {"address": "127.0.0.1", "port": 4711, "transport": "tcp"},
        ),
        (
            "ipv6:%5B::1%5D:4711",
            {"net.peer.ip": "[::1]", "net.peer.port": "4711", "net.peer.name": "localhost"},
            {"address": "::1", "port": 4711, "transport": "tcp"},
        ),
        (
            "ipv4:10.2.1.1:57284",
            {"net.peer.ip": "10.2.1.1", "net.peer.port": "57284"},
            {"address": "10.2.1.1", "port": 57284, "transport": "tcp"},
        ),
        ("unix:", {}, {"transport": "unix"}),
        ("", {}, {}),
    ],
)
def test_a_servers_span_says_who_calls(peer: str, older: dict[str, str], newer: dict[str, str | int]) -> None:
    expected = {
        f"{prefix}.{name}": value
        for name, value in newer.items()
        for prefix in (["network"] if name == "transport" else ["client", "network.peer"])
    }
    assert OLDER.of_client(peer, None) == older
    assert NEWER.of_client(peer, None) == expected
    assert BOTH.of_client(peer, "grpc-go/1.80") == older | expected | {
        "rpc.user_agent": "grpc-go/1.80",
        "user_agent.original": "grpc-go/1.80",
    }


def test_a_clients_span_says_whom_it_calls_by_the_newer_conventions() -> None:
    assert OLDER.of_server("server", 50051) == {}
    assert NEWER.of_server("server", 50051) == {"server.address": "server", "server.port": 50051}
    assert BOTH.of_server("/run/server", None) == {"server.address": "/run/server"}


def test_the_newer_names_are_those_of_opentelemetrys_own_list() -> None:
    known = {
        value
        for module in (
            rpc_attributes,
            client_attributes,
            error_attributes,
            network_attributes,
            server_attributes,
            user_agent_attributes,
        )
        for name, value in vars(module).items()
        if name.isupper()
    }
    said = (
        NEWER.of_method(METHOD)
        | NEWER.of_server("server", 50051)
        | NEWER.of_client("ipv4:127.0.0.1:4711", "grpc-go/1.80")
        | NEWER.outcomes(SERVER_ERRORS)[grpc.StatusCode.INTERNAL].attributes
    )
    assert set(said) <= known
    assert len(said) == 12

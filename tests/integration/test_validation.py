"""Rules for request messages belong to a method, also where methods and services share a message."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool

from app.core.errors import FieldViolation
from app.core.service import Rule, Service
from tests.gen import probe_pb2, probe_pb2_grpc
from tests.gen.probe_pb2 import ProbeReply, ProbeRequest
from tests.support.clients.status import outcome
from tests.support.servers.probe import CLIENT_STREAMS, METHODS, PROBE, SERVER_STREAMS, Probe
from tests.support.servers.server import Server, running

TWIN = "probe.Twin"
WITHOUT_RULE = f"{TWIN}/BidiStream"
PATHS = [f"{service}/{method}" for service in (PROBE.name, TWIN) for method in METHODS]


class Renamed:
    """Registers the probe's handlers as those of the twin."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """Those have the probe's name."""

    def add_registered_method_handlers(self, _service: str, handlers: Mapping[str, Any]) -> None:
        generic = grpc.method_handlers_generic_handler(TWIN, dict(handlers))
        self._server.add_generic_rpc_handlers((generic,))
        self._server.add_registered_method_handlers(TWIN, handlers)


def add_twin(servicer: Any, server: grpc.Server) -> None:
    renamed: Any = Renamed(server)
    probe_pb2_grpc.add_ProbeServicer_to_server(servicer, renamed)


def refuses(path: str) -> Rule:
    def rule(request: ProbeRequest) -> Iterator[FieldViolation]:
        if request.text == path:
            yield FieldViolation("text", f"anything but {path}")

    return rule


def with_rules(service: Service[Any]) -> Service[Any]:
    paths = {method: f"{service.name}/{method}" for method in METHODS}
    rules = {method: refuses(path) for method, path in paths.items() if path != WITHOUT_RULE}
    return replace(service, rules=rules)


def twin() -> Service[Any]:
    """A service with the probe's methods, and so with its messages."""
    of_probe = descriptor_pb2.FileDescriptorProto()
    probe_pb2.DESCRIPTOR.CopyToProto(of_probe)
    of_twin = descriptor_pb2.FileDescriptorProto(
        name="twin.proto", package="probe", syntax="proto3", dependency=[of_probe.name]
    )
    of_twin.service.add().CopyFrom(of_probe.service[0])
    of_twin.service[0].name = "Twin"
    pool = DescriptorPool()
    for file in (of_probe, of_twin):
        pool.Add(file)
    return Service(
        descriptor=pool.FindServiceByName(TWIN),
        add_to_server=add_twin,
        open=lambda _settings: nullcontext(Probe()),
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running((with_rules(PROBE), with_rules(twin()))) as started:
        yield started


def caller(channel: grpc.Channel, path: str) -> Callable[[str], object]:
    """Returns what calls the method with that text, to the end."""
    method = path.rpartition("/")[2]
    request_streaming, response_streaming = method in CLIENT_STREAMS, method in SERVER_STREAMS
    open_method = getattr(
        channel,
        f"{'stream' if request_streaming else 'unary'}_{'stream' if response_streaming else 'unary'}",
    )
    call = open_method(f"/{path}", ProbeRequest.SerializeToString, ProbeReply.FromString)

    def made(text: str) -> object:
        request = ProbeRequest(text=text)
        reply = call(iter([request]) if request_streaming else request, timeout=5)
        return list(reply) if response_streaming else reply

    return made


@pytest.mark.parametrize("path", PATHS)
def test_a_method_applies_its_own_rule_and_no_other_of_the_same_message(server: Server, path: str) -> None:
    with grpc.insecure_channel(server.target) as channel:
        call = caller(channel, path)
        codes = {text: outcome(partial(call, text)) for text in PATHS}
    expected = dict.fromkeys(PATHS, grpc.StatusCode.OK)
    if path != WITHOUT_RULE:
        expected[path] = grpc.StatusCode.INVALID_ARGUMENT
    assert codes == expected

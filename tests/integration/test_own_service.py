"""A service of one's own, by the README's three steps."""

from pathlib import Path

import pytest

from tests.support.fork import forked, python

PROTO = """syntax = "proto3";
package acme.yours.v1;
service YoursService { rpc Echo(EchoRequest) returns (EchoResponse) {} }
message EchoRequest { string text = 1; }
message EchoResponse { string text = 1; }
"""

MODULE = '''"""Yours: says what it heard."""

from contextlib import nullcontext

import grpc

from app.core.service import Service
from app.gen import yours_pb2, yours_pb2_grpc


class Yours(yours_pb2_grpc.YoursServiceServicer):
    def Echo(self, request: yours_pb2.EchoRequest, context: grpc.ServicerContext) -> yours_pb2.EchoResponse:
        del context
        return yours_pb2.EchoResponse(text=request.text)


YOURS = Service(
    descriptor=yours_pb2.DESCRIPTOR.services_by_name["YoursService"],
    add_to_server=yours_pb2_grpc.add_YoursServiceServicer_to_server,
    open=lambda _settings: nullcontext(Yours()),
)
'''

# Serves it, calls it through the command line, and prints what was counted.
PROGRAM = """
from typer.testing import CliRunner
from tests.support.server import running
from app.cli import cli

with running() as server:
    call = ["call", "YoursService/Echo", '{"text": "hello"}']
    for arguments in (call, ["health", "acme.yours.v1.YoursService"]):
        print(CliRunner().invoke(cli, [*arguments, "--target", server.target]).output, end="")
    print(server.handled()[("acme.yours.v1.YoursService", "Echo", "OK")])
"""


@pytest.mark.timeout(90)
def test_a_proto_a_module_and_a_line_make_a_service_with_everything_around_it(tmp_path: Path) -> None:
    fork = forked(tmp_path)
    (fork / "protos" / "yours.proto").write_text(PROTO)
    (fork / "app" / "services" / "yours.py").write_text(MODULE)
    table = fork / "app" / "services" / "__init__.py"
    table.write_text(
        table.read_text()
        .replace("\n\nSERVICES", "\nfrom app.services.yours import YOURS\n\nSERVICES")
        .replace("CALCULATOR)", "CALCULATOR, YOURS)")
    )
    python(fork, "protos/generate.py")
    assert python(fork, "-c", PROGRAM) == '{"text": "hello"}\nSERVING\n1.0\n'

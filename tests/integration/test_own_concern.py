"""A concern of one's own, as CONTRIBUTING.md shows it: one file, and one line in the chain."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import Page
from tests.support.checkout import Checkout

# Prints what clients see, then what span, metric and log line agree on.
PROGRAM = """
import pathlib
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.gen import probe_pb2, probe_pb2_grpc
from tests.support.servers.probe_server import seen
from tests.support.servers.server import TOKEN, running
from tests.support.clients.status import outcome

tokens = pathlib.Path("tokens")
tokens.write_text(f"ann:{TOKEN}")
acme, other, ann = ("x-tenant", "acme"), ("x-tenant", "other"), ("authorization", f"Bearer {TOKEN}")

with running(auth_mode="tokens", auth_tokens_file=tokens) as server:
    channel = grpc.insecure_channel(server.target)
    unary, request = probe_pb2_grpc.ProbeStub(channel).Unary, probe_pb2.ProbeRequest()
    for metadata in [(acme,), (acme, ann), (other, ann), (ann,)]:
        print(outcome(lambda: unary(request, metadata=metadata)).name)
    print([code for _, code in seen(server)])
    check, request = health_pb2_grpc.HealthStub(channel).Check, health_pb2.HealthCheckRequest()
    print(outcome(lambda: check(request, metadata=(acme,))).name)
    channel.close()
"""


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_file_and_a_line_make_a_concern_that_every_call_passes(tmp_path: Path) -> None:
    page = Page("CONTRIBUTING.md")
    text = page.section("## Add a concern")
    [name] = re.findall(r"`(app/interceptors/\w+\.py)`", text)
    module, line = (
        block.text for block in page.blocks if block.language in ("python", "text") and block.text in text
    )
    [below] = re.findall(r"above `(\w+)`", text)
    [concern] = re.findall(r"^class (\w+)\(Concern\)", module, flags=re.MULTILINE)

    copy = Checkout(tmp_path)
    copy.write(name, module)
    before, found, after = copy.text("app/wiring.py").partition(f"        {below}(")
    assert found
    imported = f"from {name.removesuffix('.py').replace('/', '.')} import {concern}\n"
    start = before.index("from app.interceptors.tracing")
    copy.write("app/wiring.py", before[:start] + imported + before[start:] + f"        {line}{found}{after}")

    assert copy.python("-c", PROGRAM).splitlines() == [
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
        "OK",
        "OK",
        "['OK', 'OK', 'PermissionDenied', 'Unauthenticated']",
        "OK",
    ]

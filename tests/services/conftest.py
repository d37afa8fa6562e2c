from collections.abc import Iterator

import grpc
import pytest

from tests.support.servers.program import SHIPPED
from tests.support.servers.server import Server, running


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with every service of this program, for one test."""
    with running(SHIPPED) as started:
        yield started


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.target) as opened:
        yield opened

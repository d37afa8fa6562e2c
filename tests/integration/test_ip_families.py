"""A server on `[::]`, as the image and the chart set it, serves both IP families."""

import socket
import urllib.request

import grpc
import pytest

from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.servers.server import running


def without_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return True
    return False


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", "ipv4"), ("[::1]", "ipv6")])
def test_a_server_on_all_addresses_serves_both_ip_families(host: str, family: str) -> None:
    if family == "ipv6" and without_ipv6():
        pytest.skip("this machine has no IPv6")
    with running(listen="[::]:0", metrics_listen="[::]:0", auth_mode="none") as server:
        with grpc.insecure_channel(f"{host}:{server.handle.addresses[0].port}") as channel:
            probe_pb2_grpc.ProbeStub(channel).Unary(pb.ProbeRequest(), timeout=5)
        url = f"http://{host}:{server.handle.metrics[0].port}/readyz"
        with urllib.request.urlopen(url, timeout=5) as ready:
            assert ready.status == 200
        [line] = server.calls()[-1:]
        # Clients of IPv4 have an IPv4 address, not one of IPv6 that contains it.
        assert line["peer"].startswith(f"{family}:")

"""What a pod may use of memory is enough for as many of the longest requests as there are workers."""

import pytest

from tests.e2e.calling import PYTHON, Pod
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.conftest import Measured

AT_ONCE = 32  # limits.workers
REQUESTS = f"""
import sys, time
from concurrent.futures import ThreadPoolExecutor
import grpc
from app.gen import quote_service_pb2 as pb, quote_service_pb2_grpc

LONG = pb.QuoteRequest(author="x" * ((4 << 20) - 100))
options = [("grpc.use_local_subchannel_pool", 1)]  # a connection each
channels = [grpc.insecure_channel(sys.argv[1], options=options) for _ in range(8)]
metadata = (("authorization", "Bearer " + open("/token/token").read()),)
until = time.time() + 5

def call(number):
    codes, stub = set(), quote_service_pb2_grpc.QuoterStub(channels[number % 8])
    while time.time() < until:
        try:
            stub.GetQuote(LONG, timeout=30, metadata=metadata)
        except grpc.RpcError as error:
            codes.add(error.code().name)
    return codes

with ThreadPoolExecutor({AT_ONCE}) as pool:
    print(*sorted(set().union(*pool.map(call, range({AT_ONCE})))))
"""


@pytest.mark.timeout(120, func_only=True)
def test_as_many_long_requests_as_there_are_workers_do_not_end_a_pod(
    namespace: Namespace, measured: Measured
) -> None:
    namespace.install(RELEASE, "--set", "replicaCount=1")
    clients = Pod(namespace, {"/token": "quoter-token"})
    [server] = namespace.pods(RELEASE)
    codes = clients.run(PYTHON, "-c", REQUESTS, f"{server['status']['podIP']}:50051")
    assert codes.split() == ["INVALID_ARGUMENT"]  # each was read, and then found to be no name of an author
    said = namespace.kubectl("exec", server["metadata"]["name"], "--", "grep", "VmHWM", "/proc/1/status")
    measured(f"memory: {AT_ONCE} requests of 4 MiB at once took a pod to {int(said.split()[1]) >> 10} MiB")
    assert namespace.restarts(RELEASE) == {server["metadata"]["name"]: 0}

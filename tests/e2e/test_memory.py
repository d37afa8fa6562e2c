"""The memory limit of a pod allows one request of the greatest size for each worker at the same time."""

import pytest

from tests.e2e.calling import PYTHON, Pod
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.plugin import Measured

AT_ONCE = 32  # server.workers
REQUESTS = f"""
import sys, time
from concurrent.futures import ThreadPoolExecutor
import grpc
from tests.gen import probe_pb2_grpc
from tests.gen.probe_pb2 import ProbeRequest

LONG = ProbeRequest(text="invalid", payload=bytes((4 << 20) - 100))
options = [("grpc.use_local_subchannel_pool", 1)]  # a connection each
channels = [grpc.insecure_channel(sys.argv[1], options=options) for _ in range(8)]
metadata = (("authorization", "Bearer " + open("/token/token").read()),)
until = time.time() + 5

def call(number):
    codes, stub = set(), probe_pb2_grpc.ProbeStub(channels[number % 8])
    while time.time() < until:
        try:
            stub.Unary(LONG, timeout=30, metadata=metadata)
        except grpc.RpcError as error:
            codes.add(error.code().name)
    return codes

with ThreadPoolExecutor({AT_ONCE}) as pool:
    print(*sorted(set().union(*pool.map(call, range({AT_ONCE})))))
"""


@pytest.mark.timeout(120, func_only=True)
def test_a_request_of_the_greatest_size_for_each_worker_does_not_end_a_pod(
    namespace: Namespace, measured: Measured
) -> None:
    namespace.install(RELEASE, "--set", "replicaCount=1")
    clients = Pod(namespace, {"/token": f"{RELEASE}-token"})
    [server] = namespace.pods(RELEASE)
    codes = clients.run(PYTHON, "-c", REQUESTS, f"{server['status']['podIP']}:50051")
    assert codes.split() == ["INVALID_ARGUMENT"]  # the handler rejects each after it was read
    status = namespace.kubectl("exec", server["metadata"]["name"], "--", "grep", "VmHWM", "/proc/1/status")
    measured(f"memory: {AT_ONCE} requests of 4 MiB at once took a pod to {int(status.split()[1]) >> 10} MiB")
    assert namespace.restarts(RELEASE) == {server["metadata"]["name"]: 0}

"""A server process that dies without a drain."""

import json
from collections import Counter

import pytest

from tests.e2e.calling import HEADLESS, Pod, failed, own, summary
from tests.e2e.cluster import RELEASE, Namespace, patched, run
from tests.e2e.plugin import Measured

pytestmark = pytest.mark.timeout(180, func_only=True)

TARGET = (HEADLESS, "--token-file", "/token/token")
BUSY = 8  # unary calls in flight at any time, half of them at each of two pods
# The first process of a pod cannot be killed from within, so a signal makes it exit as if it had been killed.
MORTAL = "import os, signal; signal.signal(signal.SIGUSR1, lambda *_: os._exit(137))"
KILL = """
import os, re, signal, urllib.request
text = urllib.request.urlopen("http://localhost:9464/metrics").read().decode()
series = r'^grpc_server_in_flight{grpc_method="BidiStream".*} (.*)'
print(sum(float(value) for value in re.findall(series, text, re.M)), flush=True)
os.kill(1, signal.SIGUSR1)
"""


@pytest.fixture(scope="module")
def pod(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Pod:
    values = tmp_path_factory.mktemp("values") / "mortal.json"
    values.write_text(json.dumps(patched("mortal")))
    namespace.kubectl("create", "configmap", "mortal", f"--from-literal=patch.py={MORTAL}")
    namespace.install(RELEASE, "--values", str(values))
    return Pod(namespace, {"/token": f"{RELEASE}-token"})


def kill(namespace: Namespace, victim: str) -> int:
    """Ends a pod's process. Returns the number of its bidirectional streams once the pod is ready again."""
    before = namespace.restarts(RELEASE)[victim]
    command = ("kubectl", "--namespace", namespace.name, "exec", victim, "--", "python3", "-c", KILL)
    done = run(*command, env=namespace.cluster.env)  # it may end with the pod
    restarted = f"--for=jsonpath={{.status.containerStatuses[0].restartCount}}={before + 1}"
    namespace.kubectl("wait", f"pod/{victim}", restarted, "--timeout=60s")
    namespace.kubectl("wait", f"pod/{victim}", "--for=condition=Ready", "--timeout=60s")
    return int(float(done.stdout))


def test_without_retries_only_the_calls_in_flight_at_the_dead_pod_are_lost(
    namespace: Namespace, pod: Pod, measured: Measured
) -> None:
    victim = min(namespace.pod_names(RELEASE))
    with pod.calling(own(*TARGET, "--busy", str(BUSY), unary=0, conversations=8)) as calls:
        pod.run("sleep", "3")  # until it has connections to both pods, and streams on both
        conversations = kill(namespace, victim)
    lost = failed(calls)
    died = min(call.ended for call in lost)
    in_flight = [call for call in calls if call.began <= died <= call.ended and call.instance in {"", victim}]
    counts = Counter(call.method for call in lost)
    measured(
        f"a sudden death, no retries: {summary(calls)}; {len(in_flight)} were in flight,"
        f" {conversations} of them bidirectional streams"
    )
    assert 0 < len(lost) <= len(in_flight)
    assert counts["BidiStream"] <= conversations
    assert counts["Unary"] <= BUSY
    assert {call.code for call in lost} == {"UNAVAILABLE"}


def test_with_the_librarys_retries_no_call_is_lost(
    namespace: Namespace, pod: Pod, measured: Measured
) -> None:
    calls = []
    for victim in namespace.pod_names(RELEASE):
        with pod.calling(own(*TARGET, "--busy", str(BUSY), "--retries", conversations=0)) as made:
            pod.run("sleep", "3")
            kill(namespace, victim)
        calls += made
    measured(f"two sudden deaths, with retries: {summary(calls)}")
    assert not failed(calls), failed(calls)[:20]

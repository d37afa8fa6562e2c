"""The autoscaler adds pods under load and removes them afterwards, and helm never changes their number."""

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

import pytest

from tests.e2e.calling import HEADLESS, Client, Pod, failed, ghz, own, summary
from tests.e2e.cluster import RELEASE, Cluster, Namespace, run
from tests.e2e.plugin import Measured
from tests.support.chart import fullname
from tests.support.waiting import until

FEWEST, MOST = 2, 4
# The target is 40m of CPU per pod, 4 % of a core, so that a modest load scales the release.
AUTOSCALING = (
    *("--set", f"autoscaling.enabled=true,autoscaling.minReplicas={FEWEST},autoscaling.maxReplicas={MOST}"),
    *("--set", "autoscaling.targetCPUUtilizationPercentage=80,resources.requests.cpu=50m"),
    *("--set", "autoscaling.scaleDownStabilizationSeconds=15"),
)


class Replicas:
    """Every value of a Deployment's replicas since the watch began."""

    def __init__(self, namespace: Namespace, deployment: str, watch: "subprocess.Popen[str]") -> None:
        self._namespace = namespace
        self._deployment = deployment
        self._watch = watch
        self._seen: list[tuple[int, int]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._watch.stdout is not None
        for line in self._watch.stdout:
            generation, number = line.split()
            self._seen.append((int(generation), int(number)))

    def seen(self) -> list[int]:
        """The values so far, without repetitions."""
        now = self._namespace.get("deployment", self._deployment)["metadata"]["generation"]
        until(lambda: self._seen and self._seen[-1][0] >= now, seconds=10)
        return [number for number, _ in groupby(number for _, number in list(self._seen))]


@contextmanager
def watching(namespace: Namespace, deployment: str) -> Iterator[Replicas]:
    columns = "jsonpath={.metadata.generation} {.spec.replicas}{'\\n'}"
    command = ("kubectl", "--namespace", namespace.name, "get", "deployment", deployment, "--watch")
    with subprocess.Popen(
        [*command, "--output", columns], env=namespace.cluster.env, stdout=subprocess.PIPE, text=True
    ) as watch:
        try:
            yield Replicas(namespace, deployment, watch)
        finally:
            watch.terminate()


@pytest.fixture(scope="module")
def measuring(cluster: Cluster) -> None:
    """Skips if the cluster has no metrics API."""
    if run("kubectl", "top", "nodes", env=cluster.env).returncode:
        pytest.skip("the cluster has no metrics API (metrics-server), which autoscaling requires")


def settled(namespace: Namespace, deployment: str, number: int, seconds: int) -> None:
    """Returns once the Deployment has this number of replicas, and all are ready."""
    for field in ("spec.replicas", "status.readyReplicas"):
        condition = f"--for=jsonpath={{.{field}}}={number}"
        namespace.kubectl(
            "wait", f"deployment/{deployment}", condition, f"--timeout={seconds}s", seconds=seconds + 10
        )


def some(token: str) -> list[Client]:
    target = (HEADLESS, "--token-file", "/token/token")
    return [own(*target, unary=10, streams=1), *ghz(HEADLESS, token, balancing="round_robin", unary=10)[:1]]


def many() -> Client:
    target = (HEADLESS, "--token-file", "/token/token")
    return own(*target, unary=300, streams=0, conversations=0, name="own, many")


HANDLED = """
import re, urllib.request
text = urllib.request.urlopen("http://localhost:9464/metrics").read().decode()
series = r'^grpc_server_handled_total{.*grpc_service="probe.Probe".*} (.*)'
print(sum(float(value) for value in re.findall(series, text, re.M)))
"""


def handled(namespace: Namespace, pod: str) -> float:
    """The number of the probe's calls that a pod has handled."""
    return float(namespace.kubectl("exec", pod, "--", "python3", "-c", HANDLED))


@pytest.mark.timeout(600, func_only=True)
@pytest.mark.usefixtures("measuring")
def test_scaling_out_and_in_with_the_load_loses_no_call(namespace: Namespace, measured: Measured) -> None:
    namespace.install(RELEASE, *AUTOSCALING)
    settled(namespace, RELEASE, FEWEST, 60)
    token, secrets = namespace.token(), {"/token": f"{RELEASE}-token"}
    steady, more = Pod(namespace, secrets), Pod(namespace, secrets, "more")

    with watching(namespace, RELEASE) as replicas, steady.calling(*some(token)) as calls:
        first = namespace.pod_names(RELEASE)
        with more.calling(many()) as load:
            began = time.monotonic()
            settled(namespace, RELEASE, MOST, 240)
            out = time.monotonic() - began
            new = namespace.pod_names(RELEASE) - first
            until(lambda: all(handled(namespace, name) for name in new), seconds=30)
            found = time.monotonic() - began - out

            # Neither an upgrade nor a rollback changes the number, which helm does not know.
            namespace.upgrade(RELEASE, "--reuse-values", "--set-string", "service.annotations.update=1")
            namespace.helm("rollback", RELEASE, "1", "--wait")
            old = namespace.pod_names(RELEASE)
            namespace.upgrade(RELEASE, "--reuse-values", "--set-string", "podAnnotations.update=1")
            assert replicas.seen()[-1] == MOST
            rolled = namespace.pod_names(RELEASE)

        began = time.monotonic()
        settled(namespace, RELEASE, FEWEST, 240)
        in_again = time.monotonic() - began
        namespace.gone(old | (rolled - namespace.pod_names(RELEASE)))
        gone = time.monotonic() - began

        numbers = replicas.seen()
    peak = numbers.index(MOST)
    seconds = max(call.ended for call in load) - min(call.began for call in load)
    counts = Counter(call.instance for call in [*calls, *load] if call.instance)
    measured(
        f"autoscaling {FEWEST} to {MOST} in {out:.0f} s under {len(load) / seconds:.0f} calls/s,"
        f" the first at each new pod {found:.0f} s later; back to {FEWEST} in {in_again:.0f} s, the last"
        f" pod deleted {gone:.0f} s after the load: {summary([*load, *calls])}"
    )
    assert numbers[: peak + 1] == sorted(numbers[: peak + 1])
    assert numbers[peak:] == sorted(numbers[peak:], reverse=True)
    assert min(numbers) == FEWEST
    assert counts.keys() == first | new | rolled
    assert not failed([*load, *calls]), failed([*load, *calls])[:20]


@pytest.mark.timeout(180, func_only=True)
def test_enabling_autoscaling_keeps_the_pods_of_an_existing_release(namespace: Namespace) -> None:
    namespace.install("fixed", "--set", "replicaCount=3")
    pods = namespace.pod_names("fixed")
    with watching(namespace, fullname("fixed")) as replicas:
        namespace.upgrade("fixed", "--set", "autoscaling.enabled=true")
        namespace.upgrade("fixed", "--reuse-values", "--set-string", "service.annotations.update=1")
        namespace.helm("rollback", "fixed", "--wait")
        assert namespace.get("hpa", fullname("fixed"))["spec"]["minReplicas"] < 3
        assert replicas.seen() == [3]
    assert namespace.pod_names("fixed") == pods

"""A release whose pods do not get ready: the cause is visible, and no call fails.

The commands are those of the chart's README.
"""

import json
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.core.name import NAME
from tests.e2e.calling import HEADLESS, Client, Pod, failed, ghz, own, summary
from tests.e2e.cluster import RELEASE, ROOT, Namespace, notes, patched, ready, run, serving_echo
from tests.e2e.plugin import Measured
from tests.support.chart import CHART
from tests.support.waiting import until

# The timeout of helm in seconds, in place of the README's two minutes: a good pod is ready within a few.
PATIENCE = 15
# Simulates a bug by which a server never becomes ready.
NEVER_READY = """
from app.runtime.health import Health
be = Health.set_ready
Health.set_ready = lambda health, *, ready: be(health, ready=False)
"""


@dataclass(frozen=True)
class Broken:
    """A release that does not get ready: its values, and what kubectl shows of its pod."""

    name: str
    values: Mapping[str, Any]
    state: str
    reason: str


INVALID = Broken(
    "a value that the server rejects",
    {"services": ["acme.Nope"]},
    "CrashLoopBackOff|Error",
    "APP_SERVICES.*'acme.Nope'",
)
UNREADABLE = Broken(
    "a file that the server rejects",
    {"auth": {"existingSecret": "unreadable"}},
    "CrashLoopBackOff|Error",
    f"APP_AUTH_TOKENS_FILE.*/run/secrets/{NAME}/tokens: line 2",
)
UNREADY = Broken(
    "a server that is never ready",
    patched("never-ready"),
    "Running",
    'Readiness probe failed: .*"NOT_SERVING"',
)
IMAGE = Broken(
    "an image that does not exist",
    {"image": {"tag": "no-such-tag"}},
    "ErrImagePull|ImagePullBackOff",
    'Failed to pull image ".*:no-such-tag"',
)
SECRET = Broken(
    "a Secret that does not exist",
    {"auth": {"existingSecret": "no-such-secret"}},
    "ContainerCreating",
    'secret "no-such-secret" not found',
)


class Operator:
    """Runs the commands of the chart's README, in a folder with the chart and `values.yaml`."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace = namespace
        self._folder = folder
        (folder / "helm").symlink_to(ROOT / "helm")
        self._env = namespace.at_home(folder / "kubeconfig").cluster.env
        section = (CHART / "README.md").read_text().split("## An upgrade that does not get ready")[1]
        commands = notes(section.split("\n## ")[0])
        self.upgrade, self.get, self.describe, self.history, self.rollback, self.atomic = commands

    def values(self, values: Mapping[str, Any]) -> None:
        repository, _, tag = self.namespace.cluster.image.rpartition(":")
        image = {"repository": repository, "tag": tag} | values.get("image", {})
        values = {**serving_echo(), **values, "image": image}
        (self._folder / "values.yaml").write_text(json.dumps(values))

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Runs the command as printed, with another timeout."""
        command = command.replace("--timeout 2m", f"--timeout {PATIENCE}s")
        return run("bash", "-c", command, env=self._env, folder=self._folder)

    def succeed(self, command: str) -> str:
        done = self.run(command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def fail(self, command: str, error: str) -> None:
        done = self.run(command)
        assert done.returncode == 1, done.stdout
        assert error in done.stderr

    def statuses(self) -> list[str]:
        """The status of each revision in the history, the oldest first."""
        return [status for _, status in self.revisions()]

    def revisions(self) -> list[tuple[int, str]]:
        found = re.findall(r"^(\d+) *\t.*?\t(\w+) *\t", self.succeed(self.history), flags=re.MULTILINE)
        return [(int(number), status) for number, status in found]


@pytest.fixture(scope="module")
def released(namespace: Namespace) -> Namespace:
    """The namespace with the chart by its default values, and with the objects of broken releases."""
    tokens = "--from-literal=tokens=good:a-token-for-tests-only\nbad"
    namespace.kubectl("create", "secret", "generic", "unreadable", "--from-literal=token=token", tokens)
    namespace.kubectl("create", "configmap", "never-ready", f"--from-literal=patch.py={NEVER_READY}")
    namespace.install(RELEASE)
    return namespace


@pytest.fixture
def operator(released: Namespace, tmp_path: Path) -> Operator:
    return Operator(released, tmp_path)


@pytest.fixture(scope="module")
def pod(released: Namespace) -> Pod:
    return Pod(released, {"/token": f"{RELEASE}-token"})


@pytest.fixture(scope="module")
def clients(released: Namespace) -> list[Client]:
    token = released.token()
    return [
        own(HEADLESS, "--token-file", "/token/token"),
        *ghz(HEADLESS, token, balancing="round_robin")[
            :2
        ],  # without bidirectional streams, which take long to end
        *ghz(f"{RELEASE}:50051", token, balancing="pick_first")[:2],
    ]


def ready_names(namespace: Namespace) -> set[str]:
    """The names of the pods that are ready and are not being deleted."""
    return {pod["metadata"]["name"] for pod in namespace.living(RELEASE) if ready(pod)}


KINDS = {broken.name: broken for broken in (INVALID, UNREADABLE, UNREADY, IMAGE, SECRET)}


@pytest.mark.timeout(240, func_only=True)
@pytest.mark.parametrize("kind", KINDS)
def test_the_upgrade_fails_with_its_cause_and_no_call_fails(
    operator: Operator, pod: Pod, clients: list[Client], kind: str, measured: Measured
) -> None:
    broken, namespace = KINDS[kind], operator.namespace
    old, others = ready_names(namespace), {one["metadata"]["name"] for one in namespace.pods(RELEASE)}
    assert len(old) == 2
    with pod.calling(*clients) as calls:
        operator.values(broken.values)
        began = time.monotonic()
        operator.fail(operator.upgrade, "UPGRADE FAILED: context deadline exceeded")
        failing = time.monotonic() - began

        lines = operator.succeed(operator.get).splitlines()
        [new] = [line for line in lines[1:] if line.split()[0] not in others]
        assert re.search(rf" 0/1 +({broken.state}) ", new)
        until(lambda: re.search(broken.reason, operator.succeed(operator.describe)), seconds=15)
        assert operator.statuses()[-2:] == ["deployed", "failed"]
        assert ready_names(namespace) == old

        began = time.monotonic()
        operator.succeed(operator.rollback)
        going_back = time.monotonic() - began
        assert operator.statuses()[-1] == "deployed"
        operator.values({})
        operator.succeed(operator.upgrade)
        until(lambda: namespace.pod_names(RELEASE) == old, seconds=15)
    measured(
        f"{kind}: helm --timeout {PATIENCE}s failed after {failing:.0f} s, rolled back in {going_back:.1f} s:"
        f" {summary(calls)}"
    )
    assert not failed(calls), failed(calls)[:20]
    assert {call.instance for call in calls if call.instance} == old  # a broken pod answers no call


@pytest.mark.timeout(120, func_only=True)
def test_atomic_upgrades_roll_back_by_themselves(
    operator: Operator, pod: Pod, clients: list[Client], measured: Measured
) -> None:
    old = ready_names(operator.namespace)
    with pod.calling(*clients) as calls:
        operator.values(INVALID.values)
        operator.fail(operator.atomic, f"UPGRADE FAILED: release {RELEASE} failed, and has been rolled back")
        until(lambda: operator.namespace.pod_names(RELEASE) == old, seconds=15)
    measured(f"{INVALID.name}, with --atomic: {summary(calls)}")
    assert operator.statuses()[-2:] == ["failed", "deployed"]
    assert not failed(calls), failed(calls)[:20]
    assert {call.instance for call in calls if call.instance} == old


@pytest.mark.timeout(120, func_only=True)
def test_a_forced_rollback_leaves_nothing_of_two_failed_upgrades(operator: Operator) -> None:
    old = ready_names(operator.namespace)
    for broken in (UNREADABLE, INVALID):
        operator.values(broken.values)
        operator.fail(operator.upgrade.replace("2m", "3s"), "UPGRADE FAILED")
    *_, (number, first), (_, second), (_, third) = operator.revisions()
    assert (first, second, third) == ("deployed", "failed", "failed")
    operator.succeed(operator.rollback.replace(f" {RELEASE}", f" {RELEASE} {number} --force"))
    until(lambda: operator.namespace.pod_names(RELEASE) == old, seconds=15)

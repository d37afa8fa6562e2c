"""kube-score's checks hold, but for those that a reason stands against."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chart.chart import text
from tests.chart.examples import EXAMPLES

PROGRAM = Path(sys.executable).with_name("kube-score")
OPTIONAL = ["container-seccomp-profile", "container-ports-check"]
NOT_FOR_US = {
    "container-resources": "there is no limit on the CPU: it would slow calls down while the node is idle",
    "container-ephemeral-storage-request-and-limit": "nothing is written: the root file system is read-only",
    "container-image-pull-policy": "tags are versions, and a node without a registry can start a pod",
    "deployment-has-host-podantiaffinity": "topologySpreadConstraints spread the pods",
}
# The pod of `helm test` lives for seconds, and serves nobody.
OF_THE_TEST = {"pod-networkpolicy"}

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="make chart builds it, of tests/chart/score")

GUARDED: dict[str, Any] = {"networkPolicy": {"enabled": True}}
TLS: dict[str, Any] = {"tls": {"enabled": True, "existingSecret": "certificate"}}
CASES = {
    "Default values": GUARDED,
    "TLS": GUARDED | TLS,
} | {title: values | GUARDED for title, values in EXAMPLES.items()}


def failing(rendered: str) -> set[tuple[str, str]]:
    """The kind of the object and the check."""
    options = [part for one in OPTIONAL for part in ("--enable-optional-test", one)]
    command = [str(PROGRAM), "score", "--output-format", "json", *options, "-"]
    done = subprocess.run(command, input=rendered, capture_output=True, text=True, timeout=30, check=False)
    return {
        (one["type_meta"]["kind"], check["check"]["id"])
        for one in json.loads(done.stdout)
        for check in one["checks"]
        if not check["skipped"] and check["grade"] < 10  # which is the best there is
    }


@pytest.mark.parametrize("title", CASES)
def test_every_check_that_is_for_us_holds(title: str) -> None:
    found = failing(text(CASES[title]))
    assert {(kind, check) for kind, check in found if check not in NOT_FOR_US} <= {
        ("Pod", check) for check in OF_THE_TEST
    }


def test_each_check_that_is_left_out_would_fail() -> None:
    found = {check for _, check in failing(text(GUARDED))}
    assert found == set(NOT_FOR_US) | OF_THE_TEST


def test_a_pod_that_may_write_is_found() -> None:
    loose = text(GUARDED).replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")
    assert ("Deployment", "container-security-context-readonlyrootfilesystem") in failing(loose)

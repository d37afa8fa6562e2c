"""kube-score's checks pass, except those that do not apply, each with its reason."""

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
NOT_APPLICABLE = {
    "container-resources": "a CPU limit would slow calls down while the node is idle",
    "container-ephemeral-storage-request-and-limit": "the root file system is read-only",
    "container-image-pull-policy": "tags are versions, and nodes can start pods without the registry",
    "deployment-has-host-podantiaffinity": "topologySpreadConstraints spread the pods",
}
# The pods of `helm test` and of the Job that migrates live for seconds, and serve no calls.
BRIEF = {"pod-networkpolicy"}

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="make chart builds tests/chart/score")

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
        if not check["skipped"] and check["grade"] < 10  # the best grade
    }


@pytest.mark.parametrize("title", CASES)
def test_every_applicable_check_passes(title: str) -> None:
    found = failing(text(CASES[title]))
    assert {(kind, check) for kind, check in found if check not in NOT_APPLICABLE} <= {
        (kind, check) for kind in ("Pod", "Job") for check in BRIEF
    }


def test_every_excluded_check_would_fail() -> None:
    found = {check for _, check in failing(text(GUARDED))}
    assert found == set(NOT_APPLICABLE) | BRIEF


def test_a_writable_root_file_system_is_found() -> None:
    loose = text(GUARDED).replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")
    assert ("Deployment", "container-security-context-readonlyrootfilesystem") in failing(loose)

"""kind reads the configuration of the cluster of `make e2e`."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.kind_cluster import CONFIG
from tests.support.project import ROOT

KIND = ROOT / ".venv" / "bin" / "kind"
NO_DOCKER = "no docker in this test"


def create(folder: Path, config: str) -> str:
    """The error of `kind create cluster` with this configuration, where docker does nothing."""
    if not KIND.exists():
        pytest.skip("no kind: make workflows builds it")
    docker = folder / "docker"
    docker.write_text(
        f'#!/bin/sh\n[ "$1" = -v ] && echo "Docker version 28.0.0" && exit\necho {NO_DOCKER}\nexit 1\n'
    )
    docker.chmod(0o755)
    done = subprocess.run(
        [KIND, "create", "cluster", "--name", "test", "--kubeconfig", folder / "kubeconfig", "--config", "-"],
        env={"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)},
        input=config,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("more", ["", 'networking:\n  apiServerAddress: "0.0.0.0"\n'])
def test_the_configuration_is_one_of_kind(tmp_path: Path, more: str) -> None:
    assert NO_DOCKER in create(tmp_path, CONFIG.read_text() + more)


def test_another_configuration_would_be_refused(tmp_path: Path) -> None:
    wrong = CONFIG.read_text().replace("role:", "roll:")
    assert "field roll not found in type v1alpha4.Node" in create(tmp_path, wrong)

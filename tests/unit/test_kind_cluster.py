"""`make e2e` creates a kind cluster only if it is given no other, and deletes it."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.kind_cluster import ARCHIVE, CREATED, NAME, KindCluster, load
from tests.e2e.plugin import TestCluster, started

IMAGE = "localhost/sample:dev"
# A program that records its name, its arguments and its standard input.
FAKE = """#!/bin/sh
echo "${0##*/} $*" >>"$RECORD/commands"
case "$*" in *"--config -"*) /bin/cat >"$RECORD/config" ;; esac
case "$*" in *"config view"*) echo https://0.0.0.0:41234 ;; esac
case "$*" in $FAILING) echo "no space left" >&2; exit 1 ;; esac
"""


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A PATH with fakes of what the cluster needs."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    for program in ("kind", "kubectl", "helm", "docker", "make"):
        (tmp_path / program).write_text(FAKE)
        (tmp_path / program).chmod(0o755)
    yield {"PATH": str(tmp_path), "RECORD": str(tmp_path), "KUBECONFIG": "", "FAILING": "-"}
    os.environ.pop("KUBECONFIG", None)
    os.environ.pop(CREATED, None)


def commands(env: dict[str, str]) -> list[str]:
    record = Path(env["RECORD"], "commands")
    return record.read_text().splitlines() if record.exists() else []


@pytest.mark.parametrize(
    ("given", "beside", "expected"),
    [
        ("/home/me/.kube/config", "", None),
        ("/home/me/.kube/config", "/admin.kubeconfig", None),
        ("/admin.kubeconfig", "/admin.kubeconfig", TestCluster),
        ("", "", KindCluster),
    ],
)
def test_a_given_cluster_precedes_the_test_cluster_and_that_precedes_kind(
    given: str, beside: str, expected: type[object] | None
) -> None:
    found = started({"PATH": "", "KUBECONFIG": given}, beside)
    assert (found and type(found)) == expected


def test_a_cluster_is_created_has_the_image_and_is_deleted(env: dict[str, str]) -> None:
    cluster = KindCluster(env, IMAGE)
    cluster.pytest_sessionstart()
    assert commands(env) == [
        f"kind delete cluster --name {NAME}",  # what a run that was killed has left
        f"kind create cluster --config - --wait 180s --name {NAME}",
        f"make image-archive IMAGE={IMAGE}",
        f"kind load image-archive {ARCHIVE} --name {NAME}",
    ]
    kubeconfig = Path(os.environ["KUBECONFIG"])
    assert kubeconfig.parent.is_dir()
    assert os.environ[CREATED] == NAME

    cluster.pytest_unconfigure()
    assert CREATED not in os.environ
    assert commands(env)[4:] == [f"kind delete cluster --name {NAME}"]
    assert "KUBECONFIG" not in os.environ
    assert not kubeconfig.parent.exists()


@pytest.mark.parametrize(
    ("docker_host", "expected"),
    [
        ("tcp://docker:2376", "docker"),
        ("tcp://127.0.0.1:2375", None),
        ("ssh://me@elsewhere", None),
    ],
)
def test_the_api_is_reached_at_the_host_of_the_container_engine(
    env: dict[str, str], docker_host: str, expected: str | None
) -> None:
    cluster = KindCluster(env | {"DOCKER_HOST": docker_host}, IMAGE)
    cluster.pytest_sessionstart()
    cluster.pytest_unconfigure()
    config = yaml.safe_load(Path(env["RECORD"], "config").read_text())
    changed = [shlex.split(line)[3:] for line in commands(env) if "set-cluster" in line]
    if expected is None:
        assert ("networking" in config, changed) == (False, [])
    else:
        assert config["networking"] == {"apiServerAddress": "0.0.0.0"}  # noqa: S104 - of the engine's host
        address = f"--server https://{expected}:41234 --tls-server-name localhost"
        assert changed == [f"kind-{NAME} {address}".split()]


def test_programs_that_are_missing_are_named_with_how_to_install_them(env: dict[str, str]) -> None:
    for program in ("docker", "kind"):
        Path(env["PATH"], program).unlink()
    cluster = KindCluster(env, IMAGE)
    with pytest.raises(pytest.exit.Exception) as stopped:
        cluster.pytest_sessionstart()
    cluster.pytest_unconfigure()
    first, *lines = str(stopped.value.msg).splitlines()
    assert first == "$KUBECONFIG is not set; creating a kind cluster also requires"
    assert [line.split(": ")[0] for line in lines] == ["  kind", "  docker or podman"]
    assert "make .venv/.kind" in lines[0]
    assert "https://podman.io" in lines[1]
    assert (stopped.value.returncode, commands(env)) == (1, [])


def test_a_cluster_that_kind_cannot_create_is_deleted_and_the_reason_printed(env: dict[str, str]) -> None:
    cluster = KindCluster(env | {"FAILING": "create*"}, IMAGE)
    with pytest.raises(pytest.exit.Exception, match=r"^kind cannot create cluster:\nno space left"):
        cluster.pytest_sessionstart()
    cluster.pytest_unconfigure()
    assert commands(env)[-2:] == [
        f"kind create cluster --config - --wait 180s --name {NAME}",
        f"kind delete cluster --name {NAME}",
    ]
    assert "KUBECONFIG" not in os.environ


def test_an_engine_that_is_not_running_is_an_error_with_the_reason(env: dict[str, str]) -> None:
    cluster = KindCluster(env | {"FAILING": "delete*"}, IMAGE)
    with pytest.raises(pytest.exit.Exception, match=r"^kind cannot delete cluster:\nno space left"):
        cluster.pytest_sessionstart()
    cluster.pytest_unconfigure()
    assert commands(env) == [f"kind delete cluster --name {NAME}"]


def test_another_image_is_loaded_by_an_archive(env: dict[str, str]) -> None:
    load("localhost/other:dev", env)
    saved, loaded = commands(env)
    archive = saved.split()[3]
    assert saved == f"docker save --output {archive} localhost/other:dev"
    assert loaded == f"kind load image-archive {archive} --name {NAME}"
    assert not Path(archive).exists()

"""Two releases in one namespace, and one with the name of the first in another, do not affect each other."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from app.core.name import NAME
from tests.e2e.calling import Pod, failed, own, summary
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.plugin import Measured
from tests.support.chart import fullname

pytestmark = pytest.mark.timeout(120, func_only=True)

OTHER = "second"
NO_DRAIN = ("--set", "drain.delaySeconds=0")


@dataclass(frozen=True)
class Release:
    """A release of the chart in a namespace, and the prefix of its objects' names."""

    namespace: Namespace
    name: str
    fullname: str

    @property
    def token_file(self) -> str:
        """The path of its token in the clients' pod."""
        return f"/clients/token-of-{self.fullname}-in-{self.namespace.name}"

    @property
    def services(self) -> tuple[str, str]:
        return self.fullname, f"{self.fullname}-headless"

    def target(self, service: str) -> str:
        return f"dns:///{service}.{self.namespace.name}:50051"

    def token(self) -> str:
        return self.namespace.token(f"{self.fullname}-token")

    def pod_names(self) -> set[str]:
        return self.namespace.pod_names(self.name)


@dataclass(frozen=True)
class Releases:
    all: tuple[Release, Release, Release]
    pod: Pod
    before: set[str]  # the objects in the shared namespace before the second release


@pytest.fixture(scope="module")
def releases(
    namespace: Namespace, another_namespace: Namespace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Releases]:
    first, second, elsewhere = found = (
        Release(namespace, RELEASE, fullname(RELEASE)),
        Release(namespace, OTHER, fullname(OTHER)),
        Release(another_namespace, RELEASE, fullname(RELEASE)),
    )
    for release in (first, elsewhere):
        release.namespace.install(release.name, *NO_DRAIN)
    pod = Pod(namespace, {})
    before = namespace.objects()
    namespace.install(second.name, *NO_DRAIN)
    for release in found:
        file = tmp_path_factory.mktemp("tokens") / Path(release.token_file).name
        file.write_text(release.token())
        pod.put(file)
    yield Releases(found, pod, before)
    for release in (first, elsewhere):
        release.namespace.uninstall(release.name)
    assert elsewhere.namespace.objects() == set()


def load(pod: Pod, target: str, token_file: str) -> Any:
    """The report of the command `load` for twenty calls from the pod."""
    options = (
        "--rps",
        "40",
        "--for",
        "0.5s",
        "--json",
        "--token-file",
        token_file,
        "--allow-plaintext-token",
    )
    command = (f"/app/.venv/bin/{NAME}", "load", "probe.Probe/Unary", "--target", target, *options)
    return json.loads(pod.attempt(*command).stdout)  # it exits with 1 if calls fail


@pytest.mark.timeout(240, func_only=True)
def test_each_release_accepts_only_its_own_token(releases: Releases, measured: Measured) -> None:
    assert len({release.token() for release in releases.all}) == 3
    accepted = rejected = 0
    for called, owner in product(releases.all, repeat=2):
        figures = load(releases.pod, called.target(called.services[1]), owner.token_file)
        assert figures["codes"] == {"OK" if called is owner else "Unauthenticated": 20}, (called, owner)
        assert set(figures["backends"]) == called.pod_names()
        accepted += figures["codes"].get("OK", 0)
        rejected += figures["codes"].get("Unauthenticated", 0)
    measured(
        f"3 releases: {accepted} calls with their own token accepted, {rejected} with another token rejected"
    )


def test_a_releases_services_select_only_its_pods(releases: Releases) -> None:
    for release in releases.all:
        wanted = {pod["status"]["podIP"] for pod in release.namespace.pods(release.name)}
        assert len(wanted) == 2
        for service in release.services:
            chosen = f"kubernetes.io/service-name={service}"
            slices = release.namespace.get("endpointslices", "--selector", chosen)["items"]
            ends = [end for one in slices for end in one["endpoints"]]
            assert {address for end in ends for address in end["addresses"]} == wanted, service
        figures = load(releases.pod, release.target(release.services[0]), release.token_file)
        assert set(figures["backends"]) <= release.pod_names()


@pytest.mark.timeout(240, func_only=True)
def test_helm_test_passes_for_two_releases(releases: Releases) -> None:
    for release in releases.all:
        release.namespace.test(release.name)


@pytest.mark.timeout(240, func_only=True)
def test_uninstalling_one_does_not_affect_the_others(releases: Releases, measured: Measured) -> None:
    first, second, elsewhere = releases.all
    added = first.namespace.objects() - releases.before
    names = [name.partition("/")[2] for name in added]
    assert names
    assert all(name.startswith((second.fullname, "sh.helm.release.v1.second.")) for name in names), added
    pods = [release.namespace.pods(release.name) for release in (first, elsewhere)]

    clients = [
        own(release.target(release.services[1]), "--token-file", release.token_file, name=name)
        for name, release in (("same namespace", first), ("other namespace", elsewhere))
    ]
    with releases.pod.calling(*clients) as calls:
        second.namespace.uninstall(second.name)

    assert first.namespace.objects() == releases.before
    assert [release.namespace.pods(release.name) for release in (first, elsewhere)] == pods
    assert not failed(calls), failed(calls)[:20]
    measured(f"one of three releases uninstalled, {len(added)} objects: {summary(calls)}")

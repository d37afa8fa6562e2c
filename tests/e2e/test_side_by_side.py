"""Two releases in one namespace, and one named like the first in another, do not notice each other."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.calling import Pod, failed, own, summary
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.conftest import Measured

pytestmark = pytest.mark.timeout(120, func_only=True)

OTHER = "second"
NO_DRAIN = ("--set", "drain.delaySeconds=0")


@dataclass(frozen=True)
class Release:
    """A release of the chart in a namespace, and the name that its objects begin with."""

    namespace: Namespace
    name: str
    fullname: str

    @property
    def token_file(self) -> str:
        """In the clients' pod."""
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
    before: set[str]  # what was in the namespace of two before the second was installed in it


@pytest.fixture(scope="module")
def releases(
    namespace: Namespace, another_namespace: Namespace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Releases]:
    first, second, elsewhere = found = (
        Release(namespace, RELEASE, "quoter"),
        Release(namespace, OTHER, "second-quoter"),
        Release(another_namespace, RELEASE, "quoter"),
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
    """What became of twenty calls from the pod, and who has answered."""
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
    command = ("/app/.venv/bin/quoter", "load", "--target", target, *options)
    return json.loads(pod.attempt(*command).stdout)  # it exits with 1 where calls fail


@pytest.mark.timeout(240, func_only=True)
def test_each_release_takes_its_own_token_and_no_others(releases: Releases, measured: Measured) -> None:
    assert len({release.token() for release in releases.all}) == 3
    answered = refused = 0
    for called, owner in product(releases.all, repeat=2):
        figures = load(releases.pod, called.target(called.services[1]), owner.token_file)
        assert figures["codes"] == {"OK" if called is owner else "Unauthenticated": 20}, (called, owner)
        assert set(figures["backends"]) == called.pod_names()
        answered += figures["codes"].get("OK", 0)
        refused += figures["codes"].get("Unauthenticated", 0)
    measured(f"3 releases: {answered} calls with the own token answered, {refused} with the others' refused")


def test_its_services_have_its_own_pods_alone(releases: Releases) -> None:
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
def test_helms_test_passes_for_each(releases: Releases) -> None:
    for release in releases.all:
        release.namespace.test(release.name)


@pytest.mark.timeout(240, func_only=True)
def test_one_is_uninstalled_and_the_others_do_not_notice(releases: Releases, measured: Measured) -> None:
    first, second, elsewhere = releases.all
    added = first.namespace.objects() - releases.before
    names = [name.partition("/")[2] for name in added]
    assert names
    assert all(name.startswith((second.fullname, "sh.helm.release.v1.second.")) for name in names), added
    pods = [release.namespace.pods(release.name) for release in (first, elsewhere)]

    clients = [
        own(release.target(release.services[1]), "--token-file", release.token_file, name=name)
        for name, release in (("beside it", first), ("elsewhere", elsewhere))
    ]
    with releases.pod.calling(*clients) as calls:
        second.namespace.uninstall(second.name)

    assert first.namespace.objects() == releases.before
    assert [release.namespace.pods(release.name) for release in (first, elsewhere)] == pods
    assert not failed(calls), failed(calls)[:20]
    measured(f"one of three releases uninstalled, {len(added)} objects: {summary(calls)}")

"""Upgrades of released charts to this checkout's chart: no call is lost, and values keep their meaning."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.name import NAME
from tests.e2e.calling import HEADLESS, Pod, failed, ghz, own, stock, summary
from tests.e2e.cluster import RELEASE, Namespace, run
from tests.e2e.plugin import Measured
from tests.support.chart import CHART

RELEASES = sorted(Path(__file__).with_name("releases").glob(f"{NAME}-*.tgz"))
# A value of each kind that reaches the server, and those that have another name now.
VALUES = (
    *("--set", "drain.graceSeconds=120,log.level=debug"),
    *("--set", "auth.require=probe.Probe/ClientStream name:default,reflection=true"),
)
FORMERLY = ("--set", "limits.workers=16,limits.maxDeadlineSeconds=120,drain.clients=any")
NOW = ("--set", "server.workers=16,server.maxDeadlineSeconds=120,drain.clientLookupSeconds=30")


def server(namespace: Namespace) -> Any:
    [container] = namespace.get("deployment", RELEASE)["spec"]["template"]["spec"]["containers"]
    return container


def chart_label(namespace: Namespace) -> str:
    label: str = namespace.get("deployment", RELEASE)["metadata"]["labels"]["helm.sh/chart"]
    return label


@pytest.mark.timeout(360, func_only=True)
@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
def test_upgrading_a_release_to_this_chart_loses_no_call(
    namespace: Namespace, measured: Measured, release: Path
) -> None:
    namespace.install_chart(release, RELEASE, *VALUES, *FORMERLY)
    assert chart_label(namespace) == release.stem
    command = ("upgrade", RELEASE, str(CHART), "--dry-run", "--reset-then-reuse-values")
    refused = run("helm", "--namespace", namespace.name, *command, env=namespace.cluster.env)
    assert "limits was renamed to server" in refused.stderr
    token, before = namespace.token(), server(namespace)
    clients = [
        own(HEADLESS, "--token-file", "/token/token"),
        stock(HEADLESS),
        *ghz(HEADLESS, token, balancing="round_robin"),
        *ghz(f"{RELEASE}:50051", token, balancing="pick_first"),
    ]
    with Pod(namespace, {"/token": f"{RELEASE}-token"}) as pod, pod.calling(*clients) as calls:
        old = namespace.pod_names(RELEASE)
        # The annotation stands for the image of the new release: without a change, no pod would be replaced.
        namespace.upgrade(RELEASE, *VALUES, *NOW, "--set-string", "podAnnotations.upgraded=1")
        namespace.gone(old)
    measured(f"an upgrade of {release.stem} to this chart: {summary(calls)}")
    assert not failed(calls), failed(calls)[:20]
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    assert chart_label(namespace) == f"{NAME}-{version}"
    assert namespace.token() == token
    after = server(namespace)["env"]
    changed = {one["name"] for one in before["env"] if one not in after}
    # The one whose default has changed: see docs/upgrade.md.
    assert changed == {"APP_MAX_CONNECTION_CALLS"}
    assert {call.instance for call in calls if call.instance} == old | namespace.pod_names(RELEASE)
    namespace.uninstall(RELEASE)

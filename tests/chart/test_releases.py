"""Values of a released chart, under their present names, have the effect that they had."""

from pathlib import Path
from typing import Any

import pytest

from app.core.name import NAME
from tests.chart.chart import rendered, variables
from tests.support.servers.process import ROOT

RELEASES = sorted((ROOT / "tests" / "e2e" / "releases").glob(f"{NAME}-*.tgz"))
COMMON: dict[str, Any] = {
    "auth": {"require": "probe.Probe name:bob"},
    "log": {"level": "debug"},
    "reflection": True,
}
LIMITS = {"workers": 16, "maxStreams": 7, "maxDeadlineSeconds": 120, "maxMessageBytes": 1024}
# Variables whose default has changed since; docs/upgrade.md names them.
OTHER_DEFAULTS = {"APP_MAX_CONNECTION_CALLS"}


@pytest.mark.parametrize(("clients", "seconds"), [("any", 30), ("own", 1)])
@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
def test_renamed_values_set_the_variables_that_they_set(release: Path, clients: str, seconds: int) -> None:
    before = rendered(COMMON | {"limits": LIMITS, "drain": {"clients": clients}}, chart=release)
    after = rendered(COMMON | {"server": LIMITS, "drain": {"clientLookupSeconds": seconds}})
    present = variables(after)
    changed = {name for name, value in variables(before).items() if present.get(name) != value}
    assert changed == OTHER_DEFAULTS
    upgrade = (ROOT / "docs" / "upgrade.md").read_text()
    assert all(name in upgrade for name in OTHER_DEFAULTS)


def test_there_is_a_release() -> None:
    assert RELEASES

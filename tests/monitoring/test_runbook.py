"""The rules of deploy/ are generated, their alerts documented, and every status code decided on."""

import re
from pathlib import Path

import pytest

from app.core.code import CODE_LABELS
from deploy import identity, monitoring
from deploy.prometheus.codes import FAULT, NO_FAULT
from deploy.prometheus.model import Alert
from tests.docs.pages import Page
from tests.monitoring.promql import labels

ALERTS = monitoring.alerts()
PAGE = Page("docs/monitoring.md")


@pytest.mark.parametrize("path", monitoring.files(), ids=lambda path: path.name)
def test_the_committed_file_is_what_is_generated(path: Path) -> None:
    assert path.read_text() == monitoring.files()[path], f"{path} has drifted: run `make gen`"


def test_every_status_code_is_the_servers_fault_or_not() -> None:
    assert set(CODE_LABELS.values()) == FAULT.keys() | NO_FAULT.keys()
    assert not FAULT.keys() & NO_FAULT.keys()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_has_a_section_in_the_runbook_that_says_what_to_type(alert: Alert) -> None:
    _, _, anchor = alert.annotations["runbook_url"].partition("#")
    assert anchor in PAGE.anchors
    section = PAGE.section(f"### {alert.name}")
    also = re.search(r"^As \[(\w+)\]", section, flags=re.MULTILINE)
    assert "```" in section or also or "open a ticket" in section or "Take the steps" in section


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_says_how_bad_it_is_and_names_only_labels_that_it_has(alert: Alert) -> None:
    assert alert.severity in {"critical", "warning"}
    named = set(re.findall(r"\$labels\.(\w+)", alert.summary + alert.description))
    of_targets = {"namespace", "job", "instance", "pod"}
    assert named <= of_targets | labels(monitoring.plain(alert.expr)) | {"grpc_service"}


def test_every_section_about_an_alert_has_its_alert() -> None:
    headings = set(re.findall(r"^### (Grpc\w+)", PAGE.text, flags=re.MULTILINE))
    assert headings == {alert.name for alert in ALERTS}


@pytest.mark.parametrize(
    "name", ["a", "a" * 38, "a" * 39, "a" * 40, "a-name-of-thirty-nine-letters-and-a-half"]
)
def test_an_identifier_is_short_enough_for_grafana(name: str) -> None:
    found = {identity.uid(dashboard, name) for dashboard in ("overview", "methods", "instances", "clients")}
    assert len(found) == 4
    assert all(re.fullmatch(r"[a-z0-9-]{1,40}", one) for one in found)

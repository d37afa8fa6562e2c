"""The dashboards: what Grafana's dashboard-linter asks for, and what their readers need."""

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import yaml

from app.core.name import NAME
from deploy import monitoring
from deploy.identity import uid
from tests.monitoring.dashboard_linter import RULES, panels, variables
from tests.support.servers.process import ROOT

BOARDS: dict[str, Any] = {one.name: monitoring.loaded(one) for one in monitoring.boards()}
EXCLUDED = yaml.safe_load((ROOT / "deploy" / "grafana" / ".lint").read_text())["exclusions"]


def problems(rule: str, board: Any) -> list[tuple[str, str]]:
    """What the rule finds, without what `.lint` excludes."""
    excluded = {one["panel"] for one in EXCLUDED.get(rule, {"entries": []})["entries"]}
    return [found for found in RULES[rule](board) if found[0] not in excluded]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_keeps_the_rules_of_the_dashboard_linter(name: str, rule: str) -> None:
    assert problems(rule, BOARDS[name]) == []


def test_there_are_the_17_rules_of_the_dashboard_linter() -> None:
    assert len(RULES) == 17


def test_every_exception_has_a_reason_and_is_needed() -> None:
    for rule, excluded in EXCLUDED.items():
        assert excluded["reason"]
        found = {title for board in BOARDS.values() for title, _ in RULES[rule](board)}
        assert found == {one["panel"] for one in excluded["entries"]}


def variable(name: str, **changes: Any) -> Callable[[Any], None]:
    return lambda board: variables(board)[name].update(changes)


def panel(**changes: Any) -> Callable[[Any], None]:
    return lambda board: panels(board)[-1].update(changes)


def query(old: str, new: str) -> Callable[[Any], None]:
    def change(board: Any) -> None:
        for one in panels(board):
            for target in one["targets"]:
                target["expr"] = target["expr"].replace(old, new)

    return change


def editable(board: Any) -> None:
    board["editable"] = True


OTHER_SOURCE = {"type": "loki", "uid": "logs"}
WRONG: dict[str, Callable[[Any], None]] = {
    "template-datasource-rule": variable("datasource", label="Prometheus"),
    "template-job-rule": variable("job", multi=False),
    "template-instance-rule": variable("instance", allValue=".*"),
    "template-label-promql-rule": variable("service", query="label_values(a{, b)"),
    "template-on-time-change-reload-rule": variable("method", refresh=1),
    "panel-datasource-rule": panel(datasource=OTHER_SOURCE),
    "panel-title-description-rule": panel(description=""),
    "panel-units-rule": panel(fieldConfig={"defaults": {"unit": "calls"}}),
    "panel-no-targets-rule": panel(targets=[]),
    "target-logql-rule": panel(datasource=OTHER_SOURCE),
    "target-logql-auto-rule": panel(datasource=OTHER_SOURCE),
    "target-promql-rule": query("rate(", "rate("[:-1]),
    "target-rate-interval-rule": query("$__rate_interval", "5m"),
    "target-job-rule": query('job=~"$job"', 'job="$job"'),
    "target-instance-rule": query(',instance=~"$instance"', ""),
    "target-counter-agg-rule": query("rate(", "avg_over_time("),
    "uneditable-dashboard-rule": editable,
}


@pytest.mark.parametrize("rule", RULES)
def test_a_dashboard_that_breaks_a_rule_is_found(rule: str) -> None:
    board = copy.deepcopy(BOARDS["methods"])
    WRONG[rule](board)
    assert problems(rule, board)


@pytest.mark.parametrize("name", BOARDS)
def test_an_update_replaces_a_dashboard_and_its_panels(name: str) -> None:
    board = BOARDS[name]
    assert board["uid"] == uid(name)
    assert len({one["uid"] for one in BOARDS.values()}) == len(BOARDS)
    assert "id" not in board  # of one Grafana's database
    assert len({one["id"] for one in board["panels"]}) == len(board["panels"])
    assert NAME in board["tags"]
    assert [link["tags"] for link in board["links"]] == [[NAME]]


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_chooses_by_source_namespace_release_instance_service_and_method(name: str) -> None:
    wanted = ["datasource", "namespace", "job", "instance", "service", "method"]
    assert list(variables(BOARDS[name])) == wanted


@pytest.mark.parametrize("name", BOARDS)
def test_a_panel_says_what_it_shows_in_whole_sentences(name: str) -> None:
    for one in panels(BOARDS[name]):
        assert one["description"].endswith("."), one["title"]
        assert one["title"] not in one["description"].split(".")[0] or len(one["description"]) > 30
    titles = [one["title"] for one in panels(BOARDS[name])]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", BOARDS)
def test_panels_stand_side_by_side_and_do_not_overlap(name: str) -> None:
    places = [one["gridPos"] for one in BOARDS[name]["panels"]]
    assert all(one["x"] + one["w"] <= 24 for one in places)
    for before, after in pairwise(sorted(places, key=lambda one: (one["y"], one["x"]))):
        assert after["y"] >= before["y"] + before["h"] or after["x"] >= before["x"] + before["w"]


def test_the_heatmap_of_durations_has_exemplars() -> None:
    [heatmap] = [one for one in panels(BOARDS["methods"]) if one["type"] == "heatmap"]
    assert [target["exemplar"] for target in heatmap["targets"]] == [True]

"""The rules of Grafana's dashboard-linter, by the names that its documentation gives them."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import promql_parser

from tests.monitoring.promql import nodes, ranges, selectors

Board = Mapping[str, Any]
Problem = tuple[str, str]  # the title of a panel, or "", and what is wrong

SOURCE = {"$datasource", "${datasource}"}
UNITS = {"short", "percentunit", "reqps", "ops", "cps", "s", "bytes", "none"}
WITH_UNITS = {"stat", "singlestat", "graph", "table", "timeseries", "gauge"}
RATE_INTERVAL = 307.0  # what stands for $__rate_interval while an expression is parsed


def panels(board: Board) -> list[Any]:
    return [one for one in board["panels"] if one["type"] != "row"]


def variables(board: Board) -> dict[str, Any]:
    return {one["name"]: one for one in board["templating"]["list"]}


def expanded(expression: str) -> str:
    """An expression as it is parsed: with a value for each variable."""
    text = expression.replace("$__rate_interval", f"{RATE_INTERVAL:g}s")
    return re.sub(r"\$\{?\w+\}?", "value", text)


def _targets(board: Board) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def _parsed(expression: str) -> bool:
    try:
        promql_parser.parse(expanded(expression))
    except ValueError:
        return False
    return True


def template_datasource(board: Board) -> Iterator[Problem]:
    sources = [one for one in variables(board).values() if one["type"] == "datasource"]
    if [(one["name"], one["label"], one["query"]) for one in sources] != [
        ("datasource", "Data source", "prometheus")
    ]:
        yield "", "there is not one variable `datasource` of Prometheus, labelled `Data source`"


def _template(name: str) -> Callable[[Board], Iterator[Problem]]:
    def check(board: Board) -> Iterator[Problem]:
        one = variables(board).get(name, {})
        wanted = {"type": "query", "label": name.title(), "multi": True, "allValue": ".+"}
        if any(one.get(key) != value for key, value in wanted.items()):
            yield "", f"the variable {name} is not as it should be"
        elif one["datasource"]["uid"] not in SOURCE:
            yield "", f"the variable {name} has another data source"

    return check


def template_label_promql(board: Board) -> Iterator[Problem]:
    for name, one in variables(board).items():
        if one["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), *\w+\)", one["query"])
            if found is None or not _parsed(found[1]):
                yield "", f"the query of the variable {name} cannot be parsed"


def template_on_time_change_reload(board: Board) -> Iterator[Problem]:
    for name, one in variables(board).items():
        if one["type"] == "query" and one["refresh"] != 2:
            yield "", f"the variable {name} is not read again when the time range changes"


def panel_datasource(board: Board) -> Iterator[Problem]:
    for panel in panels(board):
        if panel["datasource"]["uid"] not in SOURCE:
            yield panel["title"], "another data source"


def panel_title_description(board: Board) -> Iterator[Problem]:
    for panel in panels(board):
        if not panel.get("title") or not panel.get("description"):
            yield panel.get("title", ""), "no title or no description"


def panel_units(board: Board) -> Iterator[Problem]:
    for panel in panels(board):
        if panel["type"] in WITH_UNITS and panel["fieldConfig"]["defaults"].get("unit") not in UNITS:
            yield panel["title"], "no unit, or an unknown one"


def panel_no_targets(board: Board) -> Iterator[Problem]:
    for panel in panels(board):
        if not panel.get("targets"):
            yield panel["title"], "no query"


def target_promql(board: Board) -> Iterator[Problem]:
    for title, expression in _targets(board):
        if not _parsed(expression):
            yield title, f"cannot be parsed: {expression}"


def target_logql(board: Board) -> Iterator[Problem]:
    """There is nothing of Loki: the rules for it hold as long as that is so."""
    for panel in panels(board):
        if any(one["datasource"]["type"] == "loki" for one in [panel, *panel.get("targets", [])]):
            yield panel["title"], "queries Loki"


def target_rate_interval(board: Board) -> Iterator[Problem]:
    for title, expression in _targets(board):
        if _parsed(expression):
            for one in ranges(expanded(expression)):
                if one.function in {"rate", "irate"} and one.seconds != RATE_INTERVAL:
                    yield title, f"another interval than $__rate_interval: {expression}"


def _matcher(label: str) -> Callable[[Board], Iterator[Problem]]:
    def check(board: Board) -> Iterator[Problem]:
        for title, expression in _targets(board):
            if not _parsed(expression):
                continue
            text = expression.replace("$__rate_interval", f"{RATE_INTERVAL:g}s")
            for one in selectors(text):
                conditions = {(m.label, m.operator, m.value) for m in one.matchers}
                if (label, "=~", f"${label}") not in conditions:
                    yield title, f'{one.metric} without {label}=~"${label}"'

    return check


def target_counter_agg(board: Board) -> Iterator[Problem]:
    for title, expression in _targets(board):
        if not _parsed(expression):
            continue
        for node, around in nodes(expanded(expression)):
            if isinstance(node, promql_parser.VectorSelector) and (node.name or "").endswith("_total"):
                call = around[-2] if len(around) > 1 else None
                name = call.func.name if isinstance(call, promql_parser.Call) else ""
                if name not in {"rate", "irate", "increase"}:
                    yield title, f"{node.name} without rate, irate or increase"


def uneditable_dashboard(board: Board) -> Iterator[Problem]:
    if board["editable"]:
        yield "", "it can be edited, and the next update would undo that"


RULES: dict[str, Callable[[Board], Iterator[Problem]]] = {
    "template-datasource-rule": template_datasource,
    "template-job-rule": _template("job"),
    "template-instance-rule": _template("instance"),
    "template-label-promql-rule": template_label_promql,
    "template-on-time-change-reload-rule": template_on_time_change_reload,
    "panel-datasource-rule": panel_datasource,
    "panel-title-description-rule": panel_title_description,
    "panel-units-rule": panel_units,
    "panel-no-targets-rule": panel_no_targets,
    "target-logql-rule": target_logql,
    "target-logql-auto-rule": target_logql,
    "target-promql-rule": target_promql,
    "target-rate-interval-rule": target_rate_interval,
    "target-job-rule": _matcher("job"),
    "target-instance-rule": _matcher("instance"),
    "target-counter-agg-rule": target_counter_agg,
    "uneditable-dashboard-rule": uneditable_dashboard,
}

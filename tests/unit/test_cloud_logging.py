"""Lines as Google Cloud Logging expects them."""

import io
import json
import logging
import re
from typing import Any

import pytest
import structlog

from app.telemetry.logs import logs, writer
from app.telemetry.logs.cloud_logging import TRACE, cloud_logging_renderer

ID = "0af7651916cd43dd8448eb211c80319c"
SEVERITIES = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def logged(log: Any, project: str | None = None) -> list[dict[str, Any]]:
    """The lines that the function logs."""
    out = io.StringIO()
    with logs("debug", "json", out, json=cloud_logging_renderer(project)):
        log()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_has_severity_time_and_message_first_and_no_other_names_of_them() -> None:
    [line] = logged(lambda: structlog.get_logger().info("started", port=5))
    assert list(line) == ["severity", "time", "message", "port"]
    assert (line["severity"], line["message"], line["port"]) == ("INFO", "started", 5)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["time"])


def test_the_severities_are_those_of_cloud_logging_whoever_logs() -> None:
    def log_all() -> None:
        for level in SEVERITIES:
            getattr(structlog.get_logger(), level.lower())("by structlog")
            logging.getLogger("mine").log(logging.getLevelNamesMapping()[level], "by logging")

    found = [line["severity"] for line in logged(log_all)]
    assert found == [level for level in SEVERITIES for _ in range(2)]


def test_a_line_of_the_access_log_links_to_its_trace() -> None:
    def log_all() -> None:
        for trace_id in (ID, ""):
            writer("info", "call")(dict, {"code": "OK", "trace_id": trace_id})

    one, other = logged(log_all, "my-project")
    assert one[TRACE] == f"projects/my-project/traces/{ID}"
    assert "trace_id" not in one
    assert TRACE not in other
    assert [line["message"] for line in (one, other)] == ["call", "call"]


def test_without_a_project_a_line_keeps_its_trace_id() -> None:
    [line] = logged(lambda: structlog.get_logger().info("event", trace_id=ID))
    assert line["trace_id"] == ID
    assert TRACE not in line


def test_fields_that_have_a_name_of_cloud_loggings_are_kept_under_another() -> None:
    fields = {"message": "mine", "severity": "low", "time": 3, TRACE: "none"}
    [line] = logged(lambda: structlog.get_logger().warning("event", **fields), "my-project")
    assert (line["message"], line["severity"]) == ("event", "WARNING")
    assert {name: line[f"{name}_"] for name in fields} == fields


@pytest.mark.parametrize("value", [2**70, "\ud800", object(), {1: 2}], ids=lambda value: type(value).__name__)
def test_whatever_a_value_is_the_line_has_its_message(value: object) -> None:
    [line] = logged(lambda: structlog.get_logger().info("event", value=value))
    assert (line["severity"], line["message"]) == ("INFO", "event")
    assert line["time"].endswith("Z")
    assert "value" in line


def test_a_line_that_cannot_be_made_is_an_error() -> None:
    def fail(_value: object) -> dict[str, Any]:
        raise ValueError("a bug")

    [line] = logged(lambda: writer("info", "call")(fail, 1))
    assert (line["severity"], line["message"]) == ("ERROR", "log_render_failed")

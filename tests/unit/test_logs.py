import io
import json
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from app.telemetry import logs as module
from app.telemetry.logs import logs, writer
from tests.support.waiting import until


def read(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_waits_for_others_but_not_long() -> None:
    out = io.StringIO()
    with logs("info", "json", out):
        for number in range(3):
            structlog.get_logger().info("event", number=number)
        assert [line["number"] for line in until(lambda: read(out))] == [0, 1, 2]


def test_an_error_is_written_at_once_and_what_waited_before_it_first() -> None:
    out = io.StringIO()
    with logs("info", "json", out):
        structlog.get_logger().info("first")
        structlog.get_logger().error("second")
        assert [line["event"] for line in read(out)] == ["first", "second"]


def test_nothing_is_lost_at_the_end_nor_after_it() -> None:
    out = io.StringIO()
    with logs("info", "json", out):
        structlog.get_logger().info("last")
    structlog.get_logger().info("late")
    assert [line["event"] for line in read(out)] == ["last", "late"]


def test_lines_of_many_threads_are_whole_and_all_there() -> None:
    out = io.StringIO()
    with logs("info", "json", out):
        log = writer("info", "call")

        def call(caller: int) -> None:
            for number in range(500):
                log(dict, {"caller": caller, "number": number})

        threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = read(out)
    for caller in range(8):
        assert [line["number"] for line in lines if line["caller"] == caller] == list(range(500))


def test_who_logs_while_too_many_lines_wait_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 10)
    monkeypatch.setattr(module, "_WAIT", 60)
    out = io.StringIO()
    with logs("info", "json", out):
        for number in range(11):
            structlog.get_logger().info("event", number=number)
        assert len(read(out)) == 11


def test_a_line_is_made_when_it_is_written_and_has_the_time_at_which_it_was_logged() -> None:
    out = io.StringIO()
    asked = threading.get_ident()

    def make(thread: int) -> dict[str, Any]:
        time.sleep(0.01)
        return {"elsewhere": threading.get_ident() != thread}

    with logs("info", "json", out):
        before = datetime.now(UTC)
        writer("info", "call")(make, asked)
        after = datetime.now(UTC) + timedelta(microseconds=1)  # a float of seconds is rounded to one
        until(lambda: read(out))
    [line] = read(out)
    assert line["elsewhere"]
    assert before - timedelta(microseconds=1) <= datetime.fromisoformat(line["timestamp"]) <= after


def test_a_line_that_cannot_be_made_costs_no_other() -> None:
    out = io.StringIO()
    with logs("info", "json", out):
        log = writer("info", "call")
        for value in ("1", "one", "2"):
            log(lambda value: {"value": int(value)}, value)
    assert [line.get("value") or line["event"] for line in read(out)] == [1, "log_render_failed", 2]


class Broken(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_line_that_cannot_be_written_is_dropped_and_fails_no_call() -> None:
    with logs("info", "json", Broken()):
        structlog.get_logger().error("event")
        writer("info", "call")(dict, {"a": 1})


@pytest.mark.parametrize("value", ["\udcff", 1 << 70, object(), b"\xff", {1: 2}, float("nan")])
def test_whatever_a_value_is_the_line_is_json_with_its_event(value: object) -> None:
    out = io.StringIO()
    with logs("info", "json", out):
        structlog.get_logger().info("event", value=value)
        writer("info", "call")(dict, {"value": value})
    assert [line["event"] for line in read(out)] == ["event", "call"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_timestamp_level_and_event_come_first(form: str) -> None:
    out = io.StringIO()
    with logs("info", form, out):
        structlog.get_logger().bind(a=1).info("event")
        writer("info", "event")(dict, {"a": 1})
    for line in out.getvalue().splitlines():
        order = [line.index(part) for part in ("20", "info", "event", "1")[:3]]
        assert order == sorted(order)


def test_a_line_below_the_level_costs_nothing_and_is_not_written() -> None:
    out = io.StringIO()
    with logs("info", "json", out):
        writer("debug", "call")(dict, {"a": 1})
        structlog.get_logger().debug("event")
    assert out.getvalue() == ""


def test_what_libraries_log_has_the_same_form() -> None:
    out = io.StringIO()
    with logs("info", "json", out):
        try:
            int("why")
        except ValueError:
            logging.getLogger("library").exception("failed: %s", "it")
    [line] = read(out)
    assert (line["level"], line["event"], line["logger"]) == ("error", "failed: it", "library")
    assert "ValueError: invalid literal" in line["exception"]


def test_call_lines_use_the_programs_structlog_configuration() -> None:
    seen: list[Any] = []

    def keep(_logger: Any, name: str, line: Any) -> Any:
        seen.append((name, line))
        raise structlog.DropEvent

    with logs("info", "json", io.StringIO()):
        pass
    structlog.configure(processors=[keep], logger_factory=structlog.ReturnLoggerFactory())
    writer("info", "call")(dict, {"a": 1})
    assert seen == [("info", {"a": 1, "event": "call"})]

import fcntl
import gc
import io
import json
import logging
import os
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import pytest
import structlog

from app.telemetry.logs import lines as module
from app.telemetry.logs import logs, writer
from app.telemetry.logs.dropped import Dropped
from app.telemetry.logs.libraries import LOUD
from app.telemetry.logs.output import Output
from app.telemetry.logs.streams import LineStream
from tests.support.waiting import until


def read(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_waits_for_others_but_not_long() -> None:
    out = io.StringIO()
    with logs("info", "json", out):
        for number in range(3):
            structlog.get_logger().info("event", number=number)
        assert [line["number"] for line in until(lambda: read(out))] == [0, 1, 2]


def test_an_error_is_written_at_once_and_what_waited_before_it_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAIT", 60)
    out = io.StringIO()
    with logs("info", "json", out):
        structlog.get_logger().info("first")
        structlog.get_logger().error("second")
        assert [line["event"] for line in until(lambda: read(out))] == ["first", "second"]


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


class Disk(io.StringIO):
    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_lines_that_cannot_be_written_are_counted_and_reported_when_it_is_possible_again() -> None:
    out = Disk()
    with logs("info", "json", out) as lines:
        structlog.get_logger().error("event")
        writer("info", "call")(dict, {"a": 1})
        until(lambda: lines.dropped.counts()["write_failed"] == 2)
        out.full = False
        [report] = until(lambda: read(out))
    assert report["level"] == "warning"
    assert (report["event"], report["lines"], report["write_failed"]) == ("log_lines_dropped", 2, 2)
    assert len(read(out)) == 1, "they are reported once"


def test_a_full_disk_is_noticed_where_lines_are_written_to_a_file() -> None:
    with Path("/dev/full").open("w") as out, logs("info", "json", out) as lines:
        structlog.get_logger().error("event")
        until(lambda: lines.dropped.counts()["write_failed"] == 1)


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """Both ends of a pipe that holds one page."""
    readable, writable = os.pipe()
    fcntl.fcntl(writable, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(writable, "w") as out:
        yield readable, out
        os.close(readable)  # what is blocked fails
        until(lambda: not any(thread.name == "logs" for thread in threading.enumerate()))


def test_nobody_waits_for_a_reader_that_has_stopped_and_what_is_dropped_is_reported(
    pipe: tuple[int, TextIO],
) -> None:
    readable, out = pipe
    received: list[bytes] = []
    with logs("info", "json", out, most_waiting=1000) as lines:
        call = writer("info", "call")
        before = time.thread_time()
        for number in range(3000):
            call(dict, {"number": number})
            structlog.get_logger().info("event", number=number)
        structlog.get_logger().error("more important")
        assert time.thread_time() - before < 5, "it does not even try for long"
        dropped = lines.dropped.counts()["queue_full"]
        assert 4000 < dropped < 6000
        reader = threading.Thread(target=lambda: received.extend(iter(lambda: os.read(readable, 65536), b"")))
        reader.start()
        assert lines.flush()
    out.close()
    reader.join()
    found = [json.loads(line) for line in b"".join(received).splitlines()]
    assert sum(line["lines"] for line in found if line["event"] == "log_lines_dropped") == dropped
    assert [line["event"] for line in found].count("more important") == 1
    assert len([line for line in found if line["event"] in ("call", "event")]) == 6000 - dropped


def test_a_long_line_counts_once_per_kibibyte(pipe: tuple[int, TextIO]) -> None:
    _, out = pipe
    with logs("info", "json", out, most_waiting=1000) as lines:
        for _ in range(100):
            structlog.get_logger().info("event", value="x" * 100_000)
        assert lines.dropped.counts()["queue_full"] >= 80


def test_a_reader_that_has_stopped_does_not_hold_the_exit_nor_a_line_after_it(
    pipe: tuple[int, TextIO],
) -> None:
    readable, out = pipe
    received: list[bytes] = []
    with logs("info", "json", out) as lines:
        structlog.get_logger().info("event", value="x" * 10_000)
        began = time.monotonic()
    structlog.get_logger().info("late")
    assert time.monotonic() - began < 3
    reader = threading.Thread(target=lambda: received.extend(iter(lambda: os.read(readable, 65536), b"")))
    reader.start()
    assert lines.flush()
    out.close()
    reader.join()
    assert [json.loads(line)["event"] for line in b"".join(received).splitlines()] == ["event", "late"]


def test_a_file_that_another_process_has_made_non_blocking_loses_no_line(pipe: tuple[int, TextIO]) -> None:
    readable, out = pipe
    os.set_blocking(out.fileno(), False)
    received: list[bytes] = []
    with logs("info", "json", out):
        for number in range(100):
            structlog.get_logger().info("event", value="x" * 100, number=number)
        reader = threading.Thread(target=lambda: received.extend(iter(lambda: os.read(readable, 100), b"")))
        reader.start()
    out.close()
    reader.join()
    assert [json.loads(line)["number"] for line in b"".join(received).splitlines()] == list(range(100))


class NoRepr:
    def __repr__(self) -> str:
        raise ValueError


class Logging:
    """A value that logs when it is rendered, and wants that written."""

    def __repr__(self) -> str:
        structlog.get_logger().error("inner")
        structlog.get_config()["logger_factory"]().flush()
        return "logging"


CIRCULAR: dict[str, Any] = {}
CIRCULAR["self"] = CIRCULAR
OF_NUMBERS: Any = {1: 2}
VALUES: list[Any] = ["\udcff", 1 << 70, object(), b"\xff", {1: 2}, float("nan"), NoRepr()]
VALUES += [{(1, 2): 3}, CIRCULAR, {NoRepr(): [NoRepr()]}, "a\nb", Exception(NoRepr())]


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_whatever_a_value_is_the_line_has_its_event(form: str, value: object) -> None:
    out = io.StringIO()
    with logs("info", form, out):
        structlog.get_logger().info("in structlog", value=value)
        writer("info", "call of it")(dict, {"value": value})
        logging.getLogger("library").warning("of a library", extra={"value": value})
    for event in ("in structlog", "call of it", "of a library"):
        assert out.getvalue().count(event) == 1
    if form == "json":
        assert len(read(out)) == 3


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (lambda: structlog.get_logger().info("took %d ms", "3ms"), "log_render_failed"),
        (lambda: structlog.get_logger().info("event", event="twice"), "log_render_failed"),
        (lambda: structlog.get_logger().info(), "log_render_failed"),
        (lambda: structlog.get_logger().log(35, "event"), "event"),
        (lambda: structlog.get_logger().log("high", "event"), "log_render_failed"),
        (lambda: structlog.get_logger().info("event", exc_info=(1, 2)), "event"),
        (lambda: structlog.get_logger().info(NoRepr()), None),
        (lambda: logging.getLogger("library").log(35, "event"), "event"),
        (lambda: logging.getLogger("library").log(99, "event"), "event"),
        (lambda: logging.getLogger("library").warning("took %d ms", "3ms"), "log_render_failed"),
        (lambda: logging.getLogger("library").warning(NoRepr()), "log_render_failed"),
        (lambda: logging.getLogger("library").warning("event", extra={"event": 1, "level": 2}), "event"),
        (lambda: logging.getLogger("library").warning("event", extra={"timestamp": 1, "logger": 2}), "event"),
        (lambda: logging.getLogger("library").warning("event", extra=OF_NUMBERS), "event"),
    ],
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_however_a_line_is_logged_it_raises_nothing_and_is_a_line(
    form: str, log: Callable[[], None], expected: str | None
) -> None:
    out = io.StringIO()
    with logs("info", form, out):
        log()
    if form == "console":
        assert (expected or "info") in out.getvalue()
        return
    [line] = read(out)
    assert line["level"] in ("info", "warning", "error", "critical")
    assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
    assert expected in (None, line["event"])


@pytest.mark.timeout(30)
@pytest.mark.parametrize("log", [lambda value: structlog.get_logger().info("outer", value=value), None])
def test_a_value_that_logs_when_it_is_rendered_is_no_deadlock(log: Callable[[Any], None] | None) -> None:
    out = io.StringIO()
    with logs("info", "json", out):
        log = log or partial(writer("info", "outer"), lambda value: {"value": repr(value)})
        log(Logging())
        until(lambda: len(read(out)) == 2)
    assert sorted(line["event"] for line in read(out)) == ["inner", "outer"]


class Finalized:
    """Logs when garbage collection finds it."""

    def __init__(self) -> None:
        self.cycle = self

    def __del__(self) -> None:
        structlog.get_logger().error("finalized")
        logging.getLogger("library").error("finalized")


@pytest.mark.timeout(60)
def test_finalizers_that_log_while_lines_are_logged_are_no_deadlock() -> None:
    out = io.StringIO()
    thresholds = gc.get_threshold()
    gc.set_threshold(3)
    try:
        with logs("info", "json", out):
            log = writer("info", "call")

            def run() -> None:
                for _ in range(200):
                    Finalized()
                    log(lambda: {"cycle": Finalized().cycle is None})
                    structlog.get_logger().warning("event", value=[])

            threads = [threading.Thread(target=run) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        gc.set_threshold(*thresholds)
    assert [line["event"] for line in read(out)].count("event") == 800
    assert [line["event"] for line in read(out)].count("call") == 800


def test_bound_context_variables_are_on_the_lines_that_follow() -> None:
    out = io.StringIO()
    with logs("info", "json", out), structlog.contextvars.bound_contextvars(order=1):
        structlog.get_logger().info("event")
        logging.getLogger("mine").info("event")
    assert [line["order"] for line in read(out)] == [1, 1]


@pytest.mark.parametrize("level", ["debug", "info", "error"])
def test_loggers_of_the_standard_library_follow_the_level_unless_they_are_loud(level: str) -> None:
    out = io.StringIO()
    with logs(level, "json", out):
        for name in ("mine", *LOUD):
            for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
                logging.getLogger(name).log(number, "event")
    seen = Counter(line["logger"] for line in read(out))
    assert seen["mine"] == {"debug": 4, "info": 3, "error": 1}[level]
    assert max(seen[name] for name in LOUD) == min(2, seen["mine"])


def test_stack_and_extra_fields_of_a_record_are_fields_of_its_line() -> None:
    out = io.StringIO()
    with logs("info", "json", out):
        logging.getLogger("mine").info("event", stack_info=True, extra={"order": 1})
        structlog.get_logger().info("event", stack_info=True, order=1)
    for line in read(out):
        assert line["order"] == 1
        assert "test_stack_and_extra" in line["stack"]
        assert "stack_info" not in line


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


def test_each_thread_prints_lines_of_its_own() -> None:
    seen: list[str] = []
    stream = LineStream(seen.append, io.TextIOWrapper(io.BytesIO()), 1)
    print("begun", end=" ", file=stream)
    other = threading.Thread(target=lambda: print("of another\n\nthread", file=stream))
    other.start()
    other.join()
    print("and", "ended", file=stream)
    assert seen == ["of another", "thread", "begun and ended"]


def test_a_printed_line_without_end_is_logged_in_parts() -> None:
    seen: list[str] = []
    stream = LineStream(seen.append, io.TextIOWrapper(io.BytesIO()), 1)
    for _ in range(5):
        stream.write("x" * 10_000)
    assert list(map(len, seen)) == [20_000, 20_000]


def test_a_line_that_was_written_in_part_is_ended_before_the_next(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "log").open("w") as out:
        output = Output(out)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len("first\nsecond\nth"), hard))
        try:
            lost = output.write(["first", "second", "third"])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert lost == 1
        assert output.write(["fourth"]) == 0
    assert (tmp_path / "log").read_text().splitlines() == ["first", "second", "th", "fourth"]


@pytest.mark.timeout(30)
def test_a_signal_handler_may_count_a_line_while_the_counts_are_read() -> None:
    dropped = Dropped()
    handled: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        dropped.add("queue_full")
        handled.append(number)

    before = signal.signal(signal.SIGPROF, handle)
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    try:
        while len(handled) < 100:
            dropped.counts()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    assert dropped.counts()["queue_full"] == len(handled)

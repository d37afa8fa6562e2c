"""The load's timing and figures, with calls whose end the test decides."""

import io
import random
import re
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from rich.console import Console

from app.core.errors import UsageError
from app.tools.load.command import parse_duration
from app.tools.load.drive import Drive
from app.tools.load.figures import Figures, Latencies
from app.tools.load.report import remarks, table
from tests.support.waiting import until


class EndedCall:
    """A call that is over."""

    def __init__(self, code: grpc.StatusCode = grpc.StatusCode.OK, *answers: str) -> None:
        self._code = code
        self._answers = answers

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return f"it is {self._code.name}"

    def trailing_metadata(self) -> list[tuple[str, str]]:
        return [("x-instance", answer) for answer in self._answers]


def driven(begin: Callable[[Callable[[Any], None]], None], **how: Any) -> Figures:
    drive = Drive(begin, **({"most": 1000} | how))
    drive.start()
    assert drive.wait(30)
    return drive.figures()


def shown(figures: Figures) -> str:
    """The table, as it is printed."""
    console = Console(file=io.StringIO(), record=True)
    console.print(table("a load", {"total": figures}))
    return console.export_text()


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("2m", 120), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "30", "s", "-1s", "1s 2s", "30sec", "8d", "169h", "1e3s"])
def test_invalid_durations_are_rejected(text: str) -> None:
    with pytest.raises(UsageError, match=r"--for: invalid value .* expected a duration up to a week"):
        parse_duration(text)


def test_percentiles_are_exact_to_one_percent() -> None:
    chance = random.Random(1)  # noqa: S311 - no secret
    times = [chance.lognormvariate(-6, 1.5) for _ in range(20_000)]
    counted = Latencies()
    for one in times:
        counted.add(one)
    times.sort()
    for percent in (1, 50, 95, 99, 99.9, 100):
        assert counted.percentile(percent) == pytest.approx(times[round(200 * percent) - 1], rel=0.011)
    assert counted.longest == times[-1]


def test_percentiles_of_one_second_do_not_include_earlier_times() -> None:
    counted = Latencies()
    counted.add(5.0)
    before = counted.copy()
    counted.add(0.010)
    assert counted.since(before).percentile(99) == pytest.approx(0.010, rel=0.011)
    assert counted.since(before).longest == pytest.approx(0.010, rel=0.011)
    assert counted.since(counted.copy()).percentile(99) == 0


def test_the_rate_is_kept_and_no_call_is_made_before_it_is_due() -> None:
    made: list[float] = []

    def begin(done: Callable[[Any], None]) -> None:
        made.append(time.perf_counter())
        done(EndedCall())

    began = time.perf_counter()
    figures = driven(begin, rps=200, seconds=1)
    assert (figures.sent, len(made), figures.ended) == (200, 200, 200)
    assert all(one - began >= number / 200 for number, one in enumerate(made))
    assert figures.seconds == pytest.approx(1)
    assert figures.rate == pytest.approx(200)


def test_calls_do_not_wait_for_earlier_ones() -> None:
    waiting: list[Callable[[Any], None]] = []
    drive = Drive(waiting.append, rps=200, seconds=0.5, most=1000)
    drive.start()
    until(lambda: len(waiting) == 100)
    assert not drive.wait(0)
    for done in waiting:
        done(EndedCall())
    assert drive.wait(5)
    assert drive.figures().latency.longest > 0.4


def test_latency_counts_from_when_a_call_was_due() -> None:
    calls = 0

    def begin(done: Callable[[Any], None]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            time.sleep(0.5)
        done(EndedCall())

    figures = driven(begin, rps=20, seconds=0.5)
    assert figures.sent == 10
    # Those due in that half second took as long as they had to wait: 0.5, 0.45, 0.4 … seconds.
    assert figures.latency.percentile(50) > 0.2
    assert figures.lateness.percentile(50) > 0.2


def test_calls_over_the_limit_or_too_late_are_counted_and_reported() -> None:
    waiting: list[Callable[[Any], None]] = []

    def begin(done: Callable[[Any], None]) -> None:
        waiting.append(done)

    drive = Drive(begin, rps=100, seconds=0.5, most=3)
    drive.start()
    until(lambda: drive.figures().over_limit == 47)
    drive.stop()
    figures = drive.figures()
    assert (figures.sent, figures.over_limit, figures.too_late, figures.ended) == (3, 47, 0, 0)
    [skipped, unfinished] = remarks(figures, 100)
    assert skipped.startswith(
        "47 calls were not made to reach 100 per second: the limit of --in-flight was reached"
    )
    assert unfinished == "3 calls are not over yet"
    assert re.search(r"calls not made +47", shown(figures))

    def slow(done: Callable[[Any], None]) -> None:
        time.sleep(1.3)
        done(EndedCall())

    figures = driven(slow, rps=100, seconds=0.2)
    assert (figures.sent, figures.too_late) == (1, 19)
    assert "19 calls were not made" in "".join(remarks(figures, 100))


def test_codes_and_backends_are_counted_and_first_messages_kept() -> None:
    calls = iter(
        [
            EndedCall(grpc.StatusCode.OK, "a"),
            EndedCall(grpc.StatusCode.OK, "claimed", "b"),
            EndedCall(grpc.StatusCode.NOT_FOUND, "b"),
            EndedCall(grpc.StatusCode.CANCELLED),
        ]
    )
    figures = driven(lambda done: done(next(calls)), rps=100, seconds=0.04)
    assert figures.codes == {"OK": 2, "NotFound": 1, "Canceled": 1}
    assert figures.backends == {"a": 1, "b": 2, "unknown": 1}
    assert figures.messages == {"NotFound": "it is NOT_FOUND", "Canceled": "it is CANCELLED"}
    assert figures.failed == 2
    assert figures.as_json()["backends"]["b"] == {"calls": 2, "share": 0.5}

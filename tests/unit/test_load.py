"""The load's clock and its counting, with calls that are over when the test says so."""

import io
import random
import re
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from rich.console import Console

from app.tools.load.drive import Drive
from app.tools.load.duration import parse_duration
from app.tools.load.figures import Figures
from app.tools.load.latencies import Latencies
from app.tools.load.run import remarks
from app.tools.load.view import table
from tests.support.waiting import until


class Over:
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
    console.print(table("a load", {"in all": figures}))
    return console.export_text()


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("2m", 120), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "30", "s", "-1s", "1s 2s", "30sec", "8d", "169h", "1e3s"])
def test_what_is_no_duration_is_told_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="such as 30s or 2m, is right"):
        parse_duration(text)


def test_percentiles_are_within_a_hundredth_of_the_truth() -> None:
    chance = random.Random(1)  # noqa: S311 - no secret
    times = [chance.lognormvariate(-6, 1.5) for _ in range(20_000)]
    counted = Latencies()
    for one in times:
        counted.add(one)
    times.sort()
    for percent in (1, 50, 95, 99, 99.9, 100):
        assert counted.percentile(percent) == pytest.approx(times[round(200 * percent) - 1], rel=0.011)
    assert counted.longest == times[-1]


def test_the_percentiles_of_a_second_are_of_that_second_alone() -> None:
    counted = Latencies()
    counted.add(5.0)
    before = counted.copy()
    counted.add(0.010)
    assert counted.since(before).percentile(99) == pytest.approx(0.010, rel=0.011)
    assert counted.since(before).longest == pytest.approx(0.010, rel=0.011)
    assert counted.since(counted.copy()).percentile(99) == 0


def test_a_rate_is_held_and_no_call_is_made_before_it_is_due() -> None:
    made: list[float] = []

    def begin(done: Callable[[Any], None]) -> None:
        made.append(time.perf_counter())
        done(Over())

    began = time.perf_counter()
    figures = driven(begin, rps=200, seconds=1)
    assert (figures.sent, len(made), figures.ended) == (200, 200, 200)
    assert all(one - began >= number / 200 for number, one in enumerate(made))
    assert figures.seconds == pytest.approx(1)
    assert figures.rate == pytest.approx(200)


def test_calls_are_made_whatever_becomes_of_those_before() -> None:
    waiting: list[Callable[[Any], None]] = []
    drive = Drive(waiting.append, rps=200, seconds=0.5, most=1000)
    drive.start()
    until(lambda: len(waiting) == 100)
    assert not drive.wait(0)
    for done in waiting:
        done(Over())
    assert drive.wait(5)
    assert drive.figures().latency.longest > 0.4


def test_a_call_that_is_made_late_has_waited_since_it_was_due() -> None:
    calls = 0

    def begin(done: Callable[[Any], None]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            time.sleep(0.5)
        done(Over())

    figures = driven(begin, rps=20, seconds=0.5)
    assert figures.sent == 10
    # Those due in that half second took as long as they had to wait: 0.5, 0.45, 0.4 … seconds.
    assert figures.latency.percentile(50) > 0.2
    assert figures.lateness.percentile(50) > 0.2


def test_what_is_too_late_or_too_much_is_not_made_but_counted_and_said() -> None:
    waiting: list[Callable[[Any], None]] = []

    def begin(done: Callable[[Any], None]) -> None:
        waiting.append(done)

    drive = Drive(begin, rps=100, seconds=0.5, most=3)
    drive.start()
    until(lambda: drive.figures().crowded == 47)
    drive.stop()
    figures = drive.figures()
    assert (figures.sent, figures.crowded, figures.late, figures.ended) == (3, 47, 0, 0)
    [unmade, unfinished] = remarks(figures, 100)
    assert unmade.startswith("47 calls were not made, to reach 100 a second: as many as --in-flight allows")
    assert unfinished == "3 calls were not over yet"
    assert re.search(r"calls not made +47", shown(figures))

    def slow(done: Callable[[Any], None]) -> None:
        time.sleep(1.3)
        done(Over())

    figures = driven(slow, rps=100, seconds=0.2)
    assert (figures.sent, figures.late) == (1, 19)
    assert "19 calls were not made" in "".join(remarks(figures, 100))


def test_codes_backends_and_the_first_message_of_each_code_are_counted() -> None:
    calls = iter(
        [
            Over(grpc.StatusCode.OK, "a"),
            Over(grpc.StatusCode.OK, "claimed", "b"),
            Over(grpc.StatusCode.NOT_FOUND, "b"),
            Over(grpc.StatusCode.CANCELLED),
        ]
    )
    figures = driven(lambda done: done(next(calls)), rps=100, seconds=0.04)
    assert figures.codes == {"OK": 2, "NotFound": 1, "Canceled": 1}
    assert figures.backends == {"a": 1, "b": 2, "unknown": 1}
    assert figures.messages == {"NotFound": "it is NOT_FOUND", "Canceled": "it is CANCELLED"}
    assert figures.failed == 2
    assert figures.as_json()["backends"]["b"] == {"calls": 2, "share": 0.5}

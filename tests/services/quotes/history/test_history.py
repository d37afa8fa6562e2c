"""A short run of `make history`, and what it says of stores that break a promise."""

from pathlib import Path

import pytest

from tests.services.quotes.history.broken import BROKEN
from tests.services.quotes.history.run import Size, run, table
from tests.support.servers.postgres import NEEDS_POSTGRES

pytestmark = [NEEDS_POSTGRES, pytest.mark.slow, pytest.mark.timeout(300)]

SHORT = Size(calls=1500, servers=2, processes=1, threads=16, calm=0.4)
CALM = Size(calls=600, servers=1, processes=1, threads=16, faults=False)
LONGER = Size(calls=10_000, servers=2, processes=1, threads=16, calm=0.6)

# What each of them does, by the check: one of these at least.
FOUND = {
    "AcknowledgesBeforeItCommits": {"out of date", "lost", "twice"},
    "AcknowledgesBeforeItsLogIsWritten": {"lost"},
    "CommitsEachQuoteByItself": {"torn"},
    "ListsWhatWasThereASecondAgo": {"out of date"},
}


def test_answers_under_faults_are_those_of_a_store_that_keeps_what_it_acknowledges(tmp_path: Path) -> None:
    seen = run(SHORT, tmp_path)
    print(table(seen))
    assert list(seen.anomalies) == []
    assert len(seen.faults) == 7
    assert len(seen.operations) >= SHORT.calls


def test_the_check_finds_a_store_that_lists_what_was_there_without_any_fault(tmp_path: Path) -> None:
    name = "ListsWhatWasThereASecondAgo"
    seen = run(CALM, tmp_path, ("-m", "tests.services.quotes.history.broken", name, "serve"))
    print(table(seen))
    assert {anomaly.kind for anomaly in seen.anomalies} == FOUND[name]


@pytest.mark.release
@pytest.mark.parametrize("name", BROKEN)
def test_the_check_finds_a_store_that(name: str, tmp_path: Path) -> None:
    command = ("-m", "tests.services.quotes.history.broken", name, "serve")
    seen = run(LONGER, tmp_path, command, settings={"wal_writer_delay": "10s"})
    print(table(seen))
    assert {anomaly.kind for anomaly in seen.anomalies} & FOUND[name]

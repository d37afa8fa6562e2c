"""Options of the whole suite."""

import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.support.servers.program import add_probe

add_probe()  # here, before any test module imports what reads the services

# A busy machine makes an example slow: its duration shows no fault of the program.
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fail-on-skip", action="store_true", help="a skipped test is a failure (for CI)")


def pytest_configure() -> None:
    # A shell starts what runs in the background deaf to Ctrl-C, and so would be every program of a test.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.getoption("--fail-on-skip"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and --fail-on-skip was given: {report.longrepr}"
    return report

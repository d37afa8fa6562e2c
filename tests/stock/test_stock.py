"""What the documentation shows of the usual stack of interceptors: `make stock`.

It holds faults of other packages, and depends on how busy the machine is, so `make test` leaves it out.
"""

import logging
from collections.abc import Iterator

import pytest

from tests.docs.pages import Page
from tests.support.outcomes.observed_server import ReusedServer
from tests.support.outcomes.table import Case
from tests.support.outcomes.usual_server import UsualServer
from tests.support.outcomes.usual_table import CASES, HEAD, measured


@pytest.fixture(scope="module")
def kept() -> Iterator[ReusedServer[UsualServer]]:
    logging.getLogger("grpc").setLevel(logging.CRITICAL)  # it logs every exception of a handler
    stocks = ReusedServer(lambda _deadline, grace: UsualServer(grace))
    yield stocks
    stocks.close()
    logging.getLogger("grpc").setLevel(logging.NOTSET)


SHOWN = Page("docs/outcomes.md").generated("usual stack").splitlines()


@pytest.mark.parametrize("case", [pytest.param(case, id=case.what) for case in CASES])
def test_the_usual_stack_records_what_the_table_shows(case: Case, kept: ReusedServer[UsualServer]) -> None:
    row = measured(case, kept)
    if row not in SHOWN:  # a machine that is held up lets a deadline pass before its time
        row = measured(case, kept)
    assert row in SHOWN, f"the row should be:\n{row}"


def test_the_table_of_the_usual_stack_has_no_other_cases() -> None:
    head, rows = SHOWN[:2], SHOWN[2:]
    assert head == HEAD.splitlines()
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [case.what for case in CASES]

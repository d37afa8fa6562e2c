"""The table of outcomes: span, metric and log line of a call have the status code that its client saw."""

from collections import Counter
from collections.abc import Iterator, Sequence

import grpc
import pytest

from app.core.refusal import Refusal as Gate
from tests.support.outcomes.exchange import Exchange
from tests.support.outcomes.observed_server import Counts, Ending, ReusedServer
from tests.support.outcomes.our_server import OurServer
from tests.support.outcomes.table import GRACE, OK, TABLE, Case
from tests.support.servers.probe import TYPES

# The gates that let no call through to its handler; the others refuse a message, which a handler may read.
DOORS = set(Gate) - {Gate.VALIDATION, Gate.MESSAGE_SIZE}


def test_only_what_ends_a_call_outside_the_server_has_pairs_of_codes() -> None:
    for case in TABLE:
        assert case.outside_the_server or all(seen is said for seen, said in case.pairs), case.what


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReusedServer[OurServer]]:
    tokens = tmp_path_factory.mktemp("exactness") / "tokens"
    servers = ReusedServer(
        lambda deadline, grace: OurServer(
            tokens, max_deadline=deadline, first_message_timeout=deadline, drain_grace=grace
        )
    )
    yield servers
    servers.close()


@pytest.mark.parametrize(
    ("case", "method"),
    [pytest.param(case, method, id=f"{method}-{case.what}") for case in TABLE for method in case.methods],
)
def test_span_metric_and_log_line_have_the_code_that_the_client_saw(
    case: Case, method: str, kept: ReusedServer[OurServer]
) -> None:
    at = kept.server(case.max_deadline, case.grace)
    before = at.counts()
    case.play(at, method)
    at.rest()
    rise = at.counts() - before
    made, company = at.endings(at.made), at.endings(at.company)
    at.forget()
    name = "unknown" if case.by is Gate.UNKNOWN_METHOD else method

    assert {pair(ending, name) for ending in made} <= set(case.pairs)
    assert {pair(ending, ending.call.method) for ending in company} <= {(OK, OK)}
    may_run = case.runs and case.by not in DOORS
    assert may_run or not any(ending.call.script.began for ending in made)

    written = Counter(said for ending in (*made, *company) for said in ending.logged)
    assert rise.handled == written
    assert rise.by_method("handling_seconds_count") == Counter(counted for counted, _ in written.elements())
    assert rise.types[name] == {TYPES.get(name, "unary")}
    unwritten = [ending for ending in made if ending.call.script.arrived.is_set() and not ending.logged]
    assert rise.in_flight == len(unwritten)
    assert not unwritten or case.by == GRACE
    assert not isinstance(case.by, Gate) or rise.refused == {case.by: len(made)}

    for each in {method, *(ending.call.method for ending in company)}:
        check_messages(
            case, rise, [ending.call for ending in (*made, *company) if ending.call.method == each]
        )


def pair(ending: Ending, name: str) -> tuple[grpc.StatusCode | None, grpc.StatusCode | None]:
    """What the client saw, and what was written down: a span and a line that say the same, or neither."""
    assert ending.traced == ending.logged
    assert [method for method, _ in ending.logged] in ([name], [])
    return ending.seen, next((code for _, code in ending.logged), None)


def check_messages(case: Case, rise: Counts, calls: Sequence[Exchange]) -> None:
    """Received is what the handlers took, and sent what the clients got. `calls` are of one method."""
    received, sent = (rise.by_method(f"msg_{way}_total")[calls[0].method] for way in ("received", "sent"))
    assert received == sum(call.script.taken for call in calls) + case.unseen * len(calls)
    got, made = sum(call.received for call in calls), sum(call.script.made for call in calls)
    # A call that ends outside the server's control loses the messages on their way.
    assert got <= sent <= made if case.outside_the_server else sent == got

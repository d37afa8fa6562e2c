"""The table of outcomes: however a call ends, span, metric and log line say of it what its client saw."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import grpc
import pytest

from app.core.refusal import Refusal as Gate
from tests.support.outcomes import cases
from tests.support.outcomes.cases import (
    LONG,
    MID_STREAM,
    PAST_THE_LAST,
    READING,
    TOO_LONG,
    WORKING,
    cancelled,
    cut,
    cut_by_grace,
    expired,
    made,
)
from tests.support.outcomes.exchange import Exchange
from tests.support.outcomes.observed_server import Counts, Ending, Kept
from tests.support.outcomes.our_server import Ours
from tests.support.servers.probe import TYPES

Status = grpc.StatusCode
OK, CANCELLED, INTERNAL, UNAVAILABLE = Status.OK, Status.CANCELLED, Status.INTERNAL, Status.UNAVAILABLE
EXPIRED, EXHAUSTED = Status.DEADLINE_EXCEEDED, Status.RESOURCE_EXHAUSTED
DENIED, INVALID = Status.PERMISSION_DENIED, Status.INVALID_ARGUMENT

# What the client saw, and what the server wrote down; None: nothing at all.
Pair = tuple[Status, Status | None]
Codes = Sequence[Status | Pair]

# The arities, by their methods.
UNARY, STREAMS = ("Unary",), ("ServerStream", "ClientStream", "BidiStream")
ALL = (*UNARY, *STREAMS)
READ_ONE, READ_MANY = ("Unary", "ServerStream"), ("ClientStream", "BidiStream")
SEND_ONE, SEND_MANY = ("Unary", "ClientStream"), ("ServerStream", "BidiStream")
LISTS, ADDS = ("ServerStream",), ("ClientStream",)
TWO, THREE = ("Unary", "BidiStream"), ("Unary", "ServerStream", "BidiStream")
QUEUED = UNARY  # a stream has a thread of its own, and waits for no worker

LONG_DEADLINE = 300.0  # seconds, longer than any case takes

# What ends a call outside the server's control.
CLIENT, CONNECTION, TRANSPORT, GRACE = "client", "connection", "transport", "end of the grace"

# The gates that let no call through to its handler; the others refuse a message, which a handler may read.
DOORS = set(Gate) - {Gate.VALIDATION, Gate.MESSAGE_SIZE}


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    what: str
    play: cases.Play
    methods: Sequence[str]
    codes: Status | Codes  # the one of both sides, or each one and each pair that may be
    by: Gate | str = ""  # who refuses the call, or ends it outside the server's control
    runs: bool = True  # whether its handler may
    unseen: int = 0  # messages that were read, and refused before the handler saw them
    max_deadline: float = LONG_DEADLINE  # APP_MAX_DEADLINE
    grace: float = 0  # APP_DRAIN_GRACE, where the server is drained

    @property
    def pairs(self) -> list[Pair]:
        listed = [self.codes] if isinstance(self.codes, Status) else self.codes
        return [(one, one) if isinstance(one, Status) else one for one in listed]

    @property
    def outside_the_server(self) -> bool:
        return self.by in {CLIENT, CONNECTION, TRANSPORT, GRACE}


# What the transport ends is a cancel to the server.
CUT: Codes = [(UNAVAILABLE, CANCELLED)]
TOO_MUCH: Codes = [(EXHAUSTED, CANCELLED)]
# The client may leave before its call does, or when the answer is on its way.
LEFT: Codes = [OK, CANCELLED, (CANCELLED, OK), (CANCELLED, None)]
LATE: Codes = [OK, EXPIRED, (EXPIRED, OK), (EXPIRED, CANCELLED), (EXPIRED, None)]
# The client cancels when its deadline passes, which may be before the server's clock has it: on the wire a
# deadline is what is left, rounded up by as much as a hundredth.
EARLY: Codes = [EXPIRED, (EXPIRED, CANCELLED)]
# The server looks at its clock when the handler, or a worker, notices that the call is over.
LEFT_AND_LATE: Codes = [CANCELLED, EXPIRED, (CANCELLED, EXPIRED)]
# It is not sent.
UNSENT: Codes = [(EXPIRED, None)]
# All of the reply was sent.
UNREAD: Codes = [(EXHAUSTED, OK)]
# A handler that never returns lives as long as the process, and its call is never concluded.
FOR_GOOD: Codes = [(UNAVAILABLE, None)]
# Grpc refuses what comes after stop, by either code.
STOPPED: Codes = [(UNAVAILABLE, None), (CANCELLED, None)]

TABLE: Final = (
    Case("answered", made(), ALL, OK),
    Case("error of the domain", made(start=cases.abort), ALL, Status.NOT_FOUND),
    Case("error of the domain mid-stream", made(middle=cases.abort), STREAMS, Status.NOT_FOUND),
    Case("method not overridden", made(start=cases.not_overridden), ALL, Status.UNIMPLEMENTED),
    Case("bug in the handler", made(start=cases.fail), ALL, INTERNAL),
    Case("bug mid-stream", made(middle=cases.fail), STREAMS, INTERNAL),
    Case("bug past the last message", made(end=cases.fail), STREAMS, INTERNAL),
    Case("malformed message", made(messages=[cases.MALFORMED]), ALL, INTERNAL),
    Case("malformed message, later", made(messages=["a", cases.MALFORMED]), READ_MANY, INTERNAL),
    Case("long reply", made(start=cases.long_reply), THREE, EXHAUSTED),
    Case("long reply mid-stream", made(middle=cases.long_reply), SEND_MANY, EXHAUSTED),
    # Refused
    Case("refused: no such method", made(path="/a.B/C"), ALL, Status.UNIMPLEMENTED, Gate.UNKNOWN_METHOD),
    Case("refused: limit", cases.made_when_full, ALL, EXHAUSTED, Gate.LIMIT),
    Case("refused: no token", made(caller=""), ALL, Status.UNAUTHENTICATED, Gate.UNAUTHENTICATED),
    Case("refused: not permitted", made(caller="bob"), ALL, DENIED, Gate.PERMISSION_DENIED),
    Case("refused: deadline passed in the queue", cases.expired_in_queue, QUEUED, EXPIRED, Gate.DEADLINE),
    Case("refused: not valid", made(messages=["wrong"]), ALL, INVALID, Gate.VALIDATION, unseen=1),
    Case("refused: long message", made(messages=[LONG]), ALL, EXHAUSTED, Gate.MESSAGE_SIZE),
    Case("refused: long message, later", made(messages=["a", LONG]), READ_MANY, EXHAUSTED, Gate.MESSAGE_SIZE),
    Case("refused: long metadata", made(metadata=cases.LONG_METADATA), ALL, EXHAUSTED, Gate.METADATA_SIZE),
    # Cancelled
    Case("client cancels in the queue", cases.cancelled_in_queue, QUEUED, CANCELLED, CLIENT, runs=False),
    Case("client cancels, handler works", cancelled(**WORKING), ALL, CANCELLED, CLIENT),
    Case("client cancels, handler reads", cancelled(**READING), READ_MANY, CANCELLED, CLIENT),
    Case("client cancels mid-stream", cancelled(**MID_STREAM), STREAMS, CANCELLED, CLIENT),
    Case("client cancels past the last message", cancelled(**PAST_THE_LAST), SEND_MANY, CANCELLED, CLIENT),
    Case("client cancels after the end", cases.cancelled_after_the_end, ALL, OK),
    Case("client cancels at any moment", cases.cancelled_at_any_moment, ALL, LEFT, CLIENT),
    Case("client cancels in the queue, deadline passes", cases.late_in_queue, QUEUED, LEFT_AND_LATE, CLIENT),
    Case("client cancels, deadline passes, handler works", cases.late_at_work, ALL, LEFT_AND_LATE, CLIENT),
    # The client's deadline
    Case("deadline passes before the call", made(timeout=-1), ALL, UNSENT, CLIENT),
    Case("deadline passes, handler works", expired(**WORKING), ALL, EXPIRED, CLIENT),
    Case("deadline passes, handler reads", expired(**READING), READ_MANY, EARLY, CLIENT),
    Case("deadline passes mid-stream", expired(**MID_STREAM), STREAMS, EXPIRED, CLIENT),
    Case("deadline passes past the last message", expired(**PAST_THE_LAST), SEND_MANY, EXPIRED, CLIENT),
    Case("deadline passes at any moment", cases.expired_at_any_moment, ALL, LATE, CLIENT),
    Case("deadline above 1 s passes", cases.expired_above_a_second, TWO, EXPIRED, CLIENT),
    # The connection
    Case("connection cut in the queue", cases.cut_in_queue, QUEUED, CUT, CONNECTION, runs=False),
    Case("connection cut, handler works", cut(**WORKING), ALL, CUT, CONNECTION),
    Case("connection cut, handler reads", cut(**READING), READ_MANY, CUT, CONNECTION),
    Case("connection cut mid-stream", cut(**MID_STREAM), STREAMS, CUT, CONNECTION),
    # Limits of the transport, which grpc's server lets a client wait for, by up to a second
    Case("message far too long", made(messages=[TOO_LONG]), ALL, TOO_MUCH, TRANSPORT),
    Case("message far too long, later", made(messages=["a", TOO_LONG]), ADDS, TOO_MUCH, TRANSPORT),
    Case("metadata far too long", made(metadata=cases.TOO_LONG_METADATA), TWO, TOO_MUCH, TRANSPORT),
    Case("reply too long for the client", cases.made_by_narrow(), SEND_ONE, UNREAD, TRANSPORT),
    Case("replies too long for it", cases.made_by_narrow(**MID_STREAM), SEND_MANY, TOO_MUCH, TRANSPORT),
    # APP_MAX_DEADLINE, which ends a call when its handler next sends, reads, waits or returns
    Case("server's deadline, handler returns", made(end=cases.linger), ALL, EXPIRED, max_deadline=0.2),
    Case("server's deadline, handler sends", made(start=cases.linger), LISTS, EXPIRED, max_deadline=0.2),
    Case(
        "server's deadline, handler sends again", made(middle=cases.linger), LISTS, EXPIRED, max_deadline=0.2
    ),
    Case(
        "server's deadline, handler reads",
        made(middle=cases.linger),
        READ_MANY,
        EXPIRED,
        unseen=1,
        max_deadline=0.2,
    ),
    Case("server's deadline, handler waits", made(start=cases.wait), ALL, EXPIRED, max_deadline=0.2),
    Case("server's deadline, client idles", made(**READING), READ_MANY, CANCELLED, max_deadline=0.2),
    Case("server's deadline, handler is blocked", cases.blocked, READ_ONE, CANCELLED, max_deadline=0.2),
    # The drain
    Case("drain: returns within the grace", cases.drained, ALL, OK, grace=5),
    Case("drain: from the queue, within the grace", cases.drained_in_queue, QUEUED, OK, grace=5),
    Case("drain: works at the end of the grace", cut_by_grace(**WORKING), ALL, CUT, GRACE, grace=0.2),
    Case("drain: mid-stream at its end", cut_by_grace(**MID_STREAM), STREAMS, CUT, GRACE, grace=0.2),
    Case("drain: never returns", cases.cut_for_good, TWO, FOR_GOOD, GRACE, grace=0.2),
    Case("drain: call made after stop", cases.made_after_stop, ALL, STOPPED, GRACE, runs=False, grace=5),
)


def test_only_what_ends_a_call_outside_the_server_has_pairs_of_codes() -> None:
    for case in TABLE:
        assert case.outside_the_server or all(seen is said for seen, said in case.pairs), case.what


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept[Ours]]:
    tokens = tmp_path_factory.mktemp("exactness") / "tokens"
    servers = Kept(lambda max_deadline, grace: Ours(tokens, max_deadline=max_deadline, drain_grace=grace))
    yield servers
    servers.close()


@pytest.mark.parametrize(
    ("case", "method"),
    [pytest.param(case, method, id=f"{method}-{case.what}") for case in TABLE for method in case.methods],
)
def test_what_is_written_down_of_a_call_is_what_its_client_saw(
    case: Case, method: str, kept: Kept[Ours]
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


def pair(ending: Ending, name: str) -> tuple[Status | None, Status | None]:
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


ARITIES: Final = {
    "Unary": "unary",
    "ServerStream": "server stream",
    "ClientStream": "client stream",
    "BidiStream": "both ways",
}


def arities(methods: Sequence[str]) -> str:
    """The arities of these methods, in words."""
    known = {ALL: "all", STREAMS: "all streams"}
    return known.get(tuple(methods)) or ", ".join(ARITIES[method] for method in methods)

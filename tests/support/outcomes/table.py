"""The table of outcomes: how a call may end, and which status codes its client and the server then have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import grpc

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
HALF = ("Unary", "ServerStream", "ClientStream")  # the handler of the fourth runs before a message
QUEUED = UNARY  # a stream has a thread of its own, and waits for no worker

LONG_DEADLINE = 300.0  # seconds, longer than any case takes
NO_DEADLINE_HERE = 30.0  # the same, for cases that are not compared with the usual stack

# What ends a call outside the server's control.
CLIENT, CONNECTION, TRANSPORT, GRACE = "client", "connection", "transport", "end of the grace"


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
    max_deadline: float = LONG_DEADLINE  # APP_MAX_DEADLINE, and APP_FIRST_MESSAGE_TIMEOUT
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


def half(what: str, play: cases.Play, codes: Status | Codes, by: str) -> Case:
    return Case(what, play, ALL, codes, by, max_deadline=NO_DEADLINE_HERE)


TABLE: Final = (
    Case("answered", made(), ALL, OK),
    Case("error of the domain", made(start=cases.abort), ALL, Status.NOT_FOUND),
    Case("error of the domain mid-stream", made(middle=cases.abort), STREAMS, Status.NOT_FOUND),
    Case("method not overridden", made(start=cases.not_overridden), ALL, Status.UNIMPLEMENTED),
    Case("bug in the handler", made(start=cases.fail), ALL, INTERNAL),
    Case("bug mid-stream", made(middle=cases.fail), STREAMS, INTERNAL),
    Case("bug after the last message", made(end=cases.fail), STREAMS, INTERNAL),
    Case("malformed message", made(messages=[cases.MALFORMED]), ALL, INTERNAL),
    Case("malformed message, later", made(messages=["a", cases.MALFORMED]), READ_MANY, INTERNAL),
    Case("response too large", made(start=cases.long_reply), THREE, EXHAUSTED),
    Case("response too large mid-stream", made(middle=cases.long_reply), SEND_MANY, EXHAUSTED),
    # Refused
    Case("rejected: no such method", made(path="/a.B/C"), ALL, Status.UNIMPLEMENTED, Gate.UNKNOWN_METHOD),
    Case("rejected: limit", cases.made_when_full, ALL, EXHAUSTED, Gate.LIMIT),
    Case("rejected: share", cases.made_with_a_share, ALL, EXHAUSTED, Gate.SHARE),
    Case("rejected: no token", made(caller=""), ALL, Status.UNAUTHENTICATED, Gate.UNAUTHENTICATED),
    Case("rejected: not permitted", made(caller="bob"), ALL, DENIED, Gate.PERMISSION_DENIED),
    Case("rejected: deadline passed in the queue", cases.expired_in_queue, QUEUED, EXPIRED, Gate.DEADLINE),
    Case("rejected: not valid", made(messages=["wrong"]), ALL, INVALID, Gate.VALIDATION, unseen=1),
    Case("rejected: long message", made(messages=[LONG]), ALL, EXHAUSTED, Gate.MESSAGE_SIZE),
    Case(
        "rejected: long message, later", made(messages=["a", LONG]), READ_MANY, EXHAUSTED, Gate.MESSAGE_SIZE
    ),
    Case("rejected: long metadata", made(metadata=cases.LONG_METADATA), ALL, EXHAUSTED, Gate.METADATA_SIZE),
    # Half calls: no message comes
    Case(
        "rejected: no message in time", made(half=True), HALF, EXPIRED, Gate.FIRST_MESSAGE, max_deadline=0.2
    ),
    half("half call, client cancels", cases.cancelled_as_half, CANCELLED, CLIENT),
    half("half call, deadline passes", cases.expired_as_half, EARLY, CLIENT),
    half("half call, connection cut", cases.cut_as_half, CUT, CONNECTION),
    # Cancelled
    Case("client cancels in the queue", cases.cancelled_in_queue, QUEUED, CANCELLED, CLIENT, runs=False),
    Case("client cancels, handler works", cancelled(**WORKING), ALL, CANCELLED, CLIENT),
    Case("client cancels, handler reads", cancelled(**READING), READ_MANY, CANCELLED, CLIENT),
    Case("client cancels mid-stream", cancelled(**MID_STREAM), STREAMS, CANCELLED, CLIENT),
    Case("client cancels after the last message", cancelled(**PAST_THE_LAST), SEND_MANY, CANCELLED, CLIENT),
    Case("client cancels after the end", cases.cancelled_after_the_end, ALL, OK),
    Case("client cancels at any moment", cases.cancelled_at_any_moment, ALL, LEFT, CLIENT),
    Case("client cancels in the queue, deadline passes", cases.late_in_queue, QUEUED, LEFT_AND_LATE, CLIENT),
    Case("client cancels, deadline passes, handler works", cases.late_at_work, ALL, LEFT_AND_LATE, CLIENT),
    # The client's deadline
    Case("deadline passes before the call", made(timeout=-1), ALL, UNSENT, CLIENT),
    Case("deadline passes, handler works", expired(**WORKING), ALL, EXPIRED, CLIENT),
    Case("deadline passes, handler reads", expired(**READING), READ_MANY, EARLY, CLIENT),
    Case("deadline passes mid-stream", expired(**MID_STREAM), STREAMS, EXPIRED, CLIENT),
    Case("deadline passes after the last message", expired(**PAST_THE_LAST), SEND_MANY, EXPIRED, CLIENT),
    Case("deadline passes at any moment", cases.expired_at_any_moment, ALL, LATE, CLIENT),
    Case("deadline above 1 s passes", cases.expired_above_a_second, TWO, EXPIRED, CLIENT),
    # The connection
    Case("connection cut in the queue", cases.cut_in_queue, QUEUED, CUT, CONNECTION, runs=False),
    Case("connection cut, handler works", cut(**WORKING), ALL, CUT, CONNECTION),
    Case("connection cut, handler reads", cut(**READING), READ_MANY, CUT, CONNECTION),
    Case("connection cut mid-stream", cut(**MID_STREAM), STREAMS, CUT, CONNECTION),
    # Limits of the transport, which grpc's server lets a client wait for, by up to a second
    Case("message beyond grpc's limit", made(messages=[TOO_LONG]), ALL, TOO_MUCH, TRANSPORT),
    Case("message beyond grpc's limit, later", made(messages=["a", TOO_LONG]), ADDS, TOO_MUCH, TRANSPORT),
    Case("metadata beyond grpc's limit", made(metadata=cases.TOO_LONG_METADATA), TWO, TOO_MUCH, TRANSPORT),
    Case("reply too long for the client", cases.made_by_narrow(), SEND_ONE, UNREAD, TRANSPORT),
    Case(
        "a later reply too long for the client",
        cases.made_by_narrow(**MID_STREAM),
        SEND_MANY,
        TOO_MUCH,
        TRANSPORT,
    ),
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

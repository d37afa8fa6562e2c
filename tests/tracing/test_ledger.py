"""Clients, metrics, access log and spans agree on every call, and the ledger says where they do not."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from tests.tracing.ledger import Ledger, Line, made
from tests.tracing.mix import MIX, OUTCOMES, Seen
from tests.tracing.programs import StoredSpan

CALLS = 4000

OK, NOT_FOUND, CANCELLED = grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.CANCELLED
ANSWERED = MIX[0]
[LEAVING] = [one for one in MIX if one.what == "client cancels at any moment"]


def test_every_call_is_in_every_place_once_and_with_one_code(tmp_path: Path) -> None:
    ledger = made(CALLS, tmp_path)
    assert list(ledger.problems()) == [], ledger.table()
    assert len(ledger.seen) == CALLS
    assert {(call.outcome.what, call.method) for call in ledger.seen} == {
        (outcome.what, method) for outcome in OUTCOMES for method in outcome.methods
    }
    assert len({code for _, code in ledger.handled.elements()}) == 10
    assert len(ledger.lines) > CALLS * 0.95


def span(trace_id: str, code: grpc.StatusCode) -> StoredSpan:
    attributes = {"rpc.method": "Unary", "rpc.grpc.status_code": code.value[0]}
    return StoredSpan("a service", "probe.Probe/Unary", "server", trace_id, "5", "", attributes)


EXACT = Ledger(
    seen=[
        Seen("answer.1", "t1", ANSWERED, "Unary", OK),
        Seen("answer.2", "t2", LEAVING, "Unary", CANCELLED),
        Seen("answer.3", "t3", LEAVING, "Unary", CANCELLED),
    ],
    lines=[Line("answer.1", "t1", ("Unary", OK)), Line("answer.2", "t2", ("Unary", OK))],
    spans=[span("t1", OK), span("t2", OK)],
    handled=Counter({("Unary", OK): 2}),
    started=2,
    dropped={"lines": 0, "spans": 0},
)


def test_a_ledger_that_agrees_has_no_problem() -> None:
    assert list(EXACT.problems()) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda it: replace(it, lines=it.lines[1:]),
            "answered, Unary, answer.1: client saw OK, 0 lines, 1 spans",
        ),
        (lambda it: replace(it, lines=[*it.lines, it.lines[0]]), "client saw OK, 2 lines, 1 spans"),
        (lambda it: replace(it, spans=it.spans[1:]), "client saw OK, 1 lines, 0 spans"),
        (lambda it: replace(it, spans=[*it.spans, it.spans[0]]), "client saw OK, 1 lines, 2 spans"),
        (lambda it: replace(it, spans=[span("t1", NOT_FOUND), it.spans[1]]), "the span Unary NOT_FOUND"),
        (
            lambda it: replace(it, spans=[*it.spans, span("t4", OK)]),
            "trace t4: a span of a call that no client",
        ),
        (
            lambda it: replace(it, lines=[*it.lines, Line("answer.4", "t4", ("Unary", OK))]),
            "answer.4: a line of a call that no client made",
        ),
        (
            lambda it: replace(it, lines=[Line("answer.1", "t9", ("Unary", OK)), it.lines[1]]),
            "the line has trace t9, the client's is t1",
        ),
        (
            lambda it: replace(it, seen=[it.seen[0]._replace(code=CANCELLED), *it.seen[1:]]),
            "client saw CANCELLED, the server says OK",
        ),
        (lambda it: replace(it, seen=[it.seen[0]._replace(code=None), *it.seen[1:]]), "client saw -, the"),
        (
            lambda it: replace(it, seen=[*it.seen, Seen("answer.5", "t5", ANSWERED, "Unary", OK)]),
            "client saw OK, the server says -",
        ),
        (lambda it: replace(it, handled=Counter({("Unary", OK): 3})), "Unary OK: 3 by the metrics, 2 lines"),
        (lambda it: replace(it, started=3), "3 calls started, 2 handled"),
        (lambda it: replace(it, dropped={"lines": 4, "spans": 0}), "4 lines dropped"),
    ],
)
def test_a_ledger_that_does_not_agree_says_where(change: Callable[[Ledger], Ledger], problem: str) -> None:
    assert any(problem in one for one in change(EXACT).problems())

"""The table of outcomes on the usual stack of interceptors: its spans, metrics and log lines."""

from collections import Counter
from collections.abc import Iterable, Mapping

import grpc

from app.core.refusal import Refusal
from tests.support.outcomes.observed_server import MethodAndCode, ReusedServer
from tests.support.outcomes.table import LONG_DEADLINE, READ_MANY, TABLE, Case, arities
from tests.support.outcomes.usual_server import UsualServer

# Not those that have several outcomes, nor what the stack does not have: a maximum deadline, and
# shares, and sizes that the chain refuses before grpc does.
CASES = [
    case
    for case in TABLE
    if len(case.pairs) == 1
    and case.by != Refusal.SHARE
    and case.max_deadline == LONG_DEADLINE
    and "beyond grpc's limit" not in case.what
    and case.what != "deadline above 1 s passes"  # on the usual stack it is now one code and now another
]

# Where a stream of requests is cut while its handler is in a read: grpc ends some of them as if complete.
CUT_IN_A_READ = {
    "client cancels, handler reads",
    "connection cut, handler reads",
    "rejected: long message",
    "rejected: long message, later",
    "rejected: long metadata",
    "a later reply too long for the client",
    "response too large",
    "response too large mid-stream",
}


def stock_table() -> str:
    """The table of docs/outcomes.md. Of each signal: that it is right (✓), or what it says instead."""
    kept = ReusedServer(lambda _max_deadline, grace: UsualServer(grace))
    rows = [measured(case, kept) for case in CASES]
    kept.close()
    return "\n".join((HEAD, *rows))


HEAD = "| event | client sees | span | metric | log line |\n|---|---|---|---|---|"


def measured(case: Case, kept: ReusedServer[UsualServer]) -> str:
    """A row of it."""
    cells = {
        method: cell(case, method, kept.server(case.max_deadline, case.grace)) for method in case.methods
    }
    columns = (by_arity({method: words[column] for method, words in cells.items()}) for column in range(4))
    return f"| {case.what} | {' | '.join(columns)} |"


def cell(case: Case, method: str, at: UsualServer) -> tuple[str, str, str, str]:
    """What the client sees, and what span, metric and log line say."""
    before = at.counts()
    case.play(at, method)
    at.rest()
    counted = (at.counts() - before).handled
    made, company = at.endings(at.made), at.endings(at.company)
    at.forget()
    codes = [ending.seen for ending in made if ending.seen]
    # A code of the stack's own, such as a bug's, is as good as another.
    right = Counter((method, code) for seen in codes if (code := dict(case.pairs).get(seen, seen)))
    span = Counter(said for ending in made for said in ending.traced)
    line = Counter(said for ending in made for said in ending.logged)
    metric = Counter({said: times for said, times in counted.items() if said[0] == method})
    metric -= Counter(said for ending in company for said in ending.logged)
    in_read = case.what in CUT_IN_A_READ
    return (
        in_words(codes),
        in_short(span, right),
        "varies" if in_read and method == "ClientStream" else in_short(metric, right),
        "varies" if in_read and method in READ_MANY else in_short(line, right),
    )


def in_words(codes: Iterable[grpc.StatusCode]) -> str:
    return " or ".join(sorted({code.name for code in codes})) or "nothing"


def in_short(found: Counter[MethodAndCode], right: Counter[MethodAndCode]) -> str:
    return "✓" if found == right else in_words(code for _, code in found)


def by_arity(words: Mapping[str, str]) -> str:
    """The words of each method, those that are the same together."""
    methods: dict[str, list[str]] = {}
    for method, word in words.items():
        methods.setdefault(word, []).append(method)
    if len(methods) == 1:
        return next(iter(methods))
    return "<br>".join(f"{word}: {arities(those)}" for word, those in methods.items())

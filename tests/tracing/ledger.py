"""One ledger of many calls: `make ledger`, or `python -m tests.tracing.ledger CALLS`.

It makes calls of every arity that end in every way, all sampled, on a server in a process of its own, whose
spans a collector writes to a file. Then it joins what the clients saw with the access log, the spans and the
metrics. The status is 1, and the first rows that differ are printed, unless all agree on every call.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc

from tests.support.outcomes.observed_server import CODES, Counts, MethodAndCode
from tests.support.outcomes.table import ARITIES
from tests.support.servers.process import started
from tests.support.waiting import until
from tests.tracing.mix import FEWEST, OUTCOMES, SETTINGS, TOKENS, Mix, Seen
from tests.tracing.programs import StoredSpan, collector

CALLS = 100_000
# Rows that are printed where they differ.
_SHOWN = 20

COMMAND = ("-m", "tests.tracing.acting_server", "serve")
# The spans of some seconds wait at most: a queue of the default size is for collectors that are faster.
SPANS = {"OTEL_BSP_MAX_QUEUE_SIZE": "20000", "OTEL_BSP_SCHEDULE_DELAY": "200"}


@dataclass(frozen=True)
class Line:
    """A line of the access log."""

    request_id: str
    trace_id: str
    what: MethodAndCode


@dataclass(frozen=True)
class Ledger:
    """What was written down of the same calls, in four places."""

    seen: Sequence[Seen]
    lines: Sequence[Line]
    spans: Sequence[StoredSpan]
    handled: Counter[MethodAndCode]  # of the metrics
    started: int
    dropped: Mapping[str, int]  # lines and spans that the server says it has dropped

    def problems(self) -> Iterator[str]:
        """What does not agree; nothing if every call is in every place, once, with one code."""
        lines, spans = defaultdict(list), defaultdict(list)
        for line in self.lines:
            lines[line.request_id].append(line)
        for span in self.spans:
            spans[span.trace_id].append(_what(span))
        for call in self.seen:
            yield from _of_call(call, lines.pop(call.request_id, []), spans.pop(call.trace_id, []))
        yield from (f"{request_id}: a line of a call that no client made" for request_id in lines)
        yield from (f"trace {trace_id}: a span of a call that no client made" for trace_id in spans)
        yield from self._of_metrics()
        yield from (f"{count} {what} dropped" for what, count in self.dropped.items() if count)

    def _of_metrics(self) -> Iterator[str]:
        logged = Counter(line.what for line in self.lines)
        for method, code in sorted(logged.keys() | self.handled.keys(), key=str):
            counts = self.handled[method, code], logged[method, code]
            if counts[0] != counts[1]:
                yield f"{method} {code.name}: {counts[0]} by the metrics, {counts[1]} lines"
        if self.started != self.handled.total():
            yield f"{self.started} calls started, {self.handled.total()} handled, by the metrics"

    def table(self) -> str:
        """A row for each way to end and each pair of codes, and the sums."""
        said = {line.request_id: line.what[1] for line in self.lines}
        traced = {span.trace_id for span in self.spans}
        rows: Counter[tuple[str, str, str]] = Counter()
        spans: Counter[tuple[str, str, str]] = Counter()
        for call in self.seen:
            row = (call.outcome.what, _name(call.code), _name(said.get(call.request_id)))
            rows[row] += 1
            spans[row] += call.trace_id in traced
        order = [outcome.what for outcome in OUTCOMES]
        form = "{:36} {:19} {:19} {:>8} {:>8} {:>8}".format
        listed = [form("outcome", "client's code", "server's code", "calls", "lines", "spans")]
        listed += [
            form(*row, rows[row], rows[row] if row[2] != "-" else 0, spans[row])
            for row in sorted(rows, key=lambda row: (order.index(row[0]), -rows[row]))
        ]
        listed.append(form("in all", "", "", len(self.seen), len(self.lines), len(self.spans)))
        arities = Counter(call.method for call in self.seen)
        listed.append("calls: " + ", ".join(f"{count} {ARITIES[one]}" for one, count in arities.items()))
        listed.append(
            f"metrics: {self.started} calls started, {self.handled.total()} handled; dropped: "
            + ", ".join(f"{count} {what}" for what, count in self.dropped.items())
        )
        return "\n".join(listed)


def _of_call(call: Seen, lines: Sequence[Line], spans: Sequence[MethodAndCode]) -> Iterator[str]:
    where = f"{call.outcome.what}, {call.method}, {call.request_id}"
    if len(lines) > 1 or len(spans) != len(lines):
        yield f"{where}: client saw {_name(call.code)}, {len(lines)} lines, {len(spans)} spans"
        return
    said = lines[0].what[1] if lines else None
    if call.code is None or (call.code is not said and (call.code, said) not in call.outcome.pairs):
        yield f"{where}: client saw {_name(call.code)}, the server says {_name(said)}"
    for line, span in zip(lines, spans, strict=True):
        if line.what != span:
            yield f"{where}: the line says {_both(line.what)}, the span {_both(span)}"
        if line.trace_id != call.trace_id:
            yield f"{where}: the line has trace {line.trace_id}, the client's is {call.trace_id}"


def _what(span: StoredSpan) -> MethodAndCode:
    return str(span.attributes["rpc.method"]), CODES[span.attributes.get("rpc.grpc.status_code")]


def _name(code: grpc.StatusCode | None) -> str:
    return "-" if code is None else code.name


def _both(what: MethodAndCode) -> str:
    return f"{what[0]} {what[1].name}"


def made(calls: int, folder: Path) -> Ledger:
    """Makes the calls, and reads what was written down of them."""
    (folder / "tokens").write_text(TOKENS)
    log = folder / "log"
    with collector(folder) as sink, log.open("w") as output:
        variables = (
            dict(SETTINGS)
            | SPANS
            | {
                "APP_AUTH_TOKENS_FILE": str(folder / "tokens"),
                "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoints["grpc"],
            }
        )
        with started(COMMAND, output.fileno(), **variables) as process:
            [serving] = until(lambda: _events(log, "serving"), seconds=20)
            seen = Mix(serving["addresses"][0]).make(calls)
            counts = until(lambda: _at_rest(serving["metrics"][0]), seconds=20)
            process.terminate()
            process.wait(20)
        until(lambda: _events(log, "spans_flushed"))
        sink.end()  # writes what it has
        [flushed] = _events(log, "spans_flushed")
        lost = sum(line["lines"] for line in _events(log, "log_lines_dropped"))
        lines = [
            Line(line["request_id"], line["trace_id"], (line["method"], CODES[line["code"]]))
            for line in _events(log, "call")
        ]
        started_calls = counts.by_method("started_total").total()
        dropped = {"lines": lost, "spans": flushed["dropped"]}
        return Ledger(seen, lines, sink.spans(), counts.handled, started_calls, dropped)


def _events(log: Path, event: str) -> list[dict[str, Any]]:
    """The whole lines of that event."""
    found = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in found if line["event"] == event]


def _at_rest(metrics: str) -> Counts | None:
    with urlopen(metrics, timeout=5) as answer:  # noqa: S310 - loopback
        counts = Counts(answer.read().decode())
    return None if counts.in_flight else counts


def main() -> int:
    parser = argparse.ArgumentParser(description="Make calls, and join what was written down of them.")
    parser.add_argument("calls", type=int, nargs="?", default=CALLS, help="how many (default: %(default)s)")
    calls = parser.parse_args().calls
    if calls < FEWEST:
        parser.error(f"{calls} calls: expected {FEWEST} or more, for every outcome in every arity")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        ledger = made(calls, Path(folder))
    print(ledger.table())
    differing = list(islice(ledger.problems(), _SHOWN + 1))
    print(
        f"{time.monotonic() - began:.0f} seconds;",
        "these differ:" if differing else "all agree on every call",
    )
    print(*differing[:_SHOWN], *(["…"] if len(differing) > _SHOWN else []), sep="\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())

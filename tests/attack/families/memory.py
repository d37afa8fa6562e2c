"""Calls that make a server keep much."""

import struct
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from gzip import compress

from prometheus_client.parser import text_string_to_metric_families

from tests.attack.attack import Attack, Bound, Figures
from tests.attack.attacker import Attacker, data, paced
from tests.attack.honest import CHECK, CLIENT_STREAM, UNARY
from tests.attack.process import Place, Report, by
from tests.attack.subject import CHART
from tests.attack.upload import upload
from tests.gen.probe_pb2 import ProbeRequest

MIB = 1 << 20


def unread(at: Place, path: str, connections: int, calls: int) -> Report:
    """Makes complete calls, and permits no byte of their replies."""
    ends = time.monotonic() + at.seconds
    attackers = []
    refused = 0
    for _ in range(connections):
        try:
            attackers.append(Attacker(at.target, token=at.token, window=0))
            attackers[-1].call(path, calls)
        except OSError:
            refused += 1
    time.sleep(max(0.0, ends - time.monotonic()) / 2)
    in_flight = calls_in_flight(at.metrics) if at.metrics else 0
    time.sleep(max(0.0, ends - time.monotonic()))
    return {
        "refused connections": refused,
        "in flight": in_flight,
        "open": sum(len(one.open) for one in attackers),
        "closed": sum(one.gone for one in attackers),
        "ended": sum((one.ended for one in attackers), Counter()),
    }


def calls_in_flight(metrics: str) -> float:
    """By the server's metrics."""
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = (one for family in families for one in family.samples)
    return sum(one.value for one in samples if one.name == "grpc_server_in_flight")


def long_messages(at: Place, streams: int, size: int) -> Report:
    return upload(at, CLIENT_STREAM, struct.pack(">BI", 0, size) + bytes(size), streams)


def declared(at: Place, calls: int, size: int) -> Report:
    """Calls that say how long their message is, and send a byte of it."""
    one = Attacker(at.target, token=at.token)
    for stream in one.begin(UNARY, calls):
        one.message(stream, b"\x1a", declared=size)
    time.sleep(at.seconds)
    return {"open": len(one.open), "ended": one.ended}


def compressed(at: Place, rate: float, size: int) -> Report:
    """Messages that decompress to that size."""
    content = compress(ProbeRequest(payload=bytes(size)).SerializeToString(), 9)
    one = Attacker(at.target, token=at.token)
    block = one.block(UNARY, grpc_encoding="gzip")
    sent = 0
    for due in paced(rate, at.seconds):
        for _ in range(due):
            frame = one.headers(block)
            one.send(frame, data(frame.stream_id, content, "END_STREAM", compressed=1))
            sent += len(content)
    return {"bytes": sent, "ended": one.ended}


def stopped(at: Place, connections: int, rate: float) -> Report:
    """Makes so many calls a second, over all connections, until it is stopped."""
    attackers = [Attacker(at.target, token=at.token) for _ in range(connections)]
    for number, due in enumerate(paced(rate, at.seconds)):
        with suppress(OSError):
            attackers[number % connections].call(UNARY, min(due, 100))
    return {"ended": sum((one.ended for one in attackers), Counter())}


def in_flight(figures: Figures) -> str | None:
    """The metric counts the calls whose replies are not read."""
    found, still = figures.report["in flight"], figures.report["open"]
    return f"{found:.0f} calls are in flight by the metrics, {still} are open" if found < still / 2 else None


# The checks and calls of others are answered; a pod with 512 MiB is not ended.
MEMORY = Bound(ok=0.99, slower=250, more=420)
UNREAD = by(unread, path=CHECK, connections=30, calls=1000)
LONG = by(long_messages, streams=100, size=8 * MIB)

ATTACKS = (
    Attack(
        "7",
        "30 connections with 1,000 `Check` each whose replies are not read",
        UNREAD,
        replace(MEMORY, others=(in_flight,)),
    ),
    Attack(
        "7",
        "the same with the chart's values",
        UNREAD,
        replace(MEMORY, others=(in_flight,)),
        subject=CHART,
        against_bare=False,
    ),
    Attack("8", "100 client streams with a message of 8 MiB each", LONG, MEMORY),
    Attack("8", "the same with the chart's values", LONG, MEMORY, subject=CHART, against_bare=False),
    Attack(
        "",
        "1,000 calls that declare 4 MiB and send a byte",
        by(declared, calls=1000, size=4 * MIB - 1),
        short=True,
    ),
    Attack(
        "19",
        "50 gzip messages a second of 4 KB that decompress to 4 MiB",
        by(compressed, rate=50, size=4 * MIB - 16),
        Bound(slower=500),
    ),
    Attack(
        "",
        "a client of 4 connections and 500 calls a second that is stopped (SIGSTOP)",
        by(stopped, stopped=True, connections=4, rate=500),
    ),
)

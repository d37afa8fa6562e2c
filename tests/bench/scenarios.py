"""The calls that the servers answer while their CPU is measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.gen.probe_pb2 import ProbeRequest
from tests.support.servers.process import ROOT


@dataclass(frozen=True)
class Subject:
    """A server to measure: its name in servers.py, or `ours`, and the checkout with its `app`."""

    label: str
    name: str
    checkout: Path = ROOT
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, label: str) -> "Subject":
        """From NAME or NAME@CHECKOUT."""
        name, _, checkout = label.partition("@")
        return cls(label, name, Path(checkout) if checkout else ROOT)


@dataclass(frozen=True)
class Scenario:
    """`flags` are the load's; `sampled` is the ratio of sampled traces."""

    title: str
    flags: Mapping[str, Any]
    sampled: str = "0.01"


TEXT = "a message of about the usual length"
_UNARY = {"request": ProbeRequest(text=TEXT).SerializeToString(), "warm": 2000}
_REPLIES = {
    "method": "/probe.Probe/ServerStream",
    "arity": "server",
    "request": ProbeRequest(text=TEXT, count=50).SerializeToString(),
    "warm": 100,
}
_MESSAGES = {
    "method": "/probe.Probe/BidiStream",
    "arity": "bidi",
    "messages": 50,
    "request": ProbeRequest(text=TEXT).SerializeToString(),
    "warm": 100,
}

UNARY = Scenario("unary, 32 in flight", _UNARY | {"in_flight": 32})
CROWDED = Scenario("unary, 400 in flight", _UNARY | {"in_flight": 400})
REPLIES = Scenario("a reply of a server stream", _REPLIES | {"in_flight": 32})
MESSAGES = Scenario("a message of a bidirectional stream and its reply", _MESSAGES | {"in_flight": 32})
SAMPLED = Scenario("unary, 32 in flight, every call sampled", _UNARY | {"in_flight": 32}, sampled="1")

SCENARIOS = {
    "unary": UNARY,
    "crowded": CROWDED,
    "replies": REPLIES,
    "messages": MESSAGES,
    "sampled": SAMPLED,
}

BARE = Subject.of("bare")
OURS = Subject.of("ours")
# Nothing listens on that port.
DEAD = Subject(
    "ours, collector unreachable", "ours", variables={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
)
SUBJECTS = [
    OURS,
    BARE,
    *map(Subject.of, ("bare-on-our-executor", "aio", "aio-uvloop", "stock")),
]

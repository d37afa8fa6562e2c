"""The metrics of a running server and its client, and whether they are what an expression selects."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import trustme
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.client.channel import channel
from app.client.tls import Tls
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.monitoring.promql import Selector, labels, selectors
from tests.support.certificates import NAMES, issued
from tests.support.servers.server import running

# What Prometheus adds to each series of a target; without Kubernetes, there are only two of them.
TARGET = frozenset({"namespace", "job", "instance", "pod"})
# What Prometheus itself has of a target.
OF_TARGETS = {"up": [dict.fromkeys(TARGET, "")]}

Exported = Mapping[str, list[dict[str, str]]]


@contextmanager
def exported(folder: Path) -> Iterator[Exported]:
    """The labels of each metric, of a server with mutual TLS and of a client after one call."""
    ca = trustme.CA()
    pair = issued(ca, *NAMES)
    (folder / "cert").write_bytes(pair.certificate)
    (folder / "key").write_bytes(pair.key)
    ca.cert_pem.write_to_path(str(folder / "ca"))
    registry = CollectorRegistry()
    with running(
        reflection=True,
        tls_cert_file=folder / "cert",
        tls_key_file=folder / "key",
        tls_client_ca_file=folder / "ca",
    ) as server:
        target = f"localhost:{server.target.rpartition(':')[2]}"
        tls = Tls(folder / "ca", folder / "cert", folder / "key")
        with channel(target, tls=tls, metrics=registry) as opened:
            probe_pb2_grpc.ProbeStub(opened).Unary(pb.ProbeRequest(), timeout=5)
        yield _labels(server.get("/metrics")[1] + generate_latest(registry).decode()) | OF_TARGETS


def _labels(text: str) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(dict(sample.labels))
    return found


def problems(expression: str, known: Exported, recorded: Mapping[str, str]) -> list[str]:
    """What an expression selects and the metrics have not. `recorded` are rules, by the names they record."""
    found = []
    metrics = selectors(expression)
    for one in metrics:
        if one.metric in recorded:
            continue
        samples = known.get(one.metric)
        if not samples:
            found.append(f"no metric {one.metric}")
            continue
        found += list(_unmatched(one, samples))
    have = TARGET.union(*(_labels_of(one.metric, known, recorded) for one in metrics))
    found += [f"no label {label} to group by" for label in sorted(labels(expression) - have)]
    return found


def _labels_of(metric: str, known: Exported, recorded: Mapping[str, str]) -> set[str]:
    if metric in recorded:
        return set.union(labels(recorded[metric]), *(set(one) for one in _sources(metric, known, recorded)))
    return {label for sample in known.get(metric, []) for label in sample}


def _sources(metric: str, known: Exported, recorded: Mapping[str, str]) -> list[set[str]]:
    return [_labels_of(one.metric, known, recorded) for one in selectors(recorded[metric])]


def _unmatched(selector: Selector, samples: list[dict[str, str]]) -> Iterator[str]:
    for matcher in selector.matchers:
        if matcher.label in TARGET or matcher.value == "value":  # of a variable
            continue
        values = {sample[matcher.label] for sample in samples if matcher.label in sample}
        if not values:
            yield f"{selector.metric} has no label {matcher.label}"
        regular = matcher.operator.endswith("~")
        for wanted in matcher.value.split("|") if regular else [matcher.value]:
            if not any(re.fullmatch(wanted if regular else re.escape(wanted), value) for value in values):
                yield f"{selector.metric} has no {matcher.label} {wanted!r}"

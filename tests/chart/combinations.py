"""Values that together have every pair of switches: all booleans and enums that the chart's schema has."""

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.servers.process import ROOT

Choice = tuple[str, Any]

# What the chart refuses, in words; tests/chart/test_refusals.py has each.
IMPOSSIBLE: set[frozenset[Choice]] = {
    frozenset({("tls.enabled", False), ("tls.certManager.enabled", True)}),
    frozenset({("tls.enabled", False), ("tls.clientCa.enabled", True)}),
    frozenset({("serviceMonitor.enabled", True), ("podMonitor.enabled", True)}),
}


def switches(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, list[Any]]]:
    """Each value that is a boolean or an enum, with all that it may be."""
    for name, one in schema["properties"].items():
        here = (*path, name)
        if "properties" in one:
            yield from switches(one, here)
        elif "enum" in one:
            yield ".".join(here), one["enum"]
        elif one.get("type") == "boolean":
            yield ".".join(here), [False, True]


def pairwise(factors: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Rows with a choice of each factor, so that each pair of choices that is possible is in some row."""
    left = {
        frozenset(pair)
        for one, other in itertools.combinations(factors, 2)
        for pair in itertools.product([(one, a) for a in factors[one]], [(other, b) for b in factors[other]])
    } - IMPOSSIBLE
    rows = []
    while left:
        row = dict(min(map(sorted, left), key=str))
        for name, choices in factors.items():
            if name not in row:
                possible = [one for one in choices if not pairs(row, (name, one)) & IMPOSSIBLE]
                row[name] = max(possible, key=lambda one: len(pairs(row, (name, one)) & left))
        left -= {frozenset(pair) for pair in itertools.combinations(row.items(), 2)}
        rows.append(row)
    return rows


def pairs(row: Mapping[str, Any], choice: Choice) -> set[frozenset[Choice]]:
    return {frozenset({one, choice}) for one in row.items()}


def with_what_it_needs(row: Mapping[str, Any]) -> dict[str, Any]:
    """The chart's values for a row: the row's, and those without which they would be refused."""
    values: dict[str, Any] = {}
    needed = dict(row)
    if row["auth.mode"] == "jwt":
        needed |= {"auth.jwt.issuer": "https://issuer.example/", "auth.jwt.audience": "quoter"}
        needed["auth.jwt.keys.existingSecret"] = "keys"
    if row["tls.enabled"]:
        needed |= (
            {"tls.certManager.issuer.name": "ca"}
            if row["tls.certManager.enabled"]
            else {"tls.existingSecret": "certificate"}
        )
    if row["grpcRoute.enabled"]:
        needed["grpcRoute.parentRefs"] = [{"name": "gateway"}]
    if not row["serviceAccount.create"]:
        needed["serviceAccount.name"] = "default"
    for name, value in needed.items():
        *above, last = name.split(".")
        place = values
        for one in above:
            place = place.setdefault(one, {})
        place[last] = value
    return values


SCHEMA = json.loads((ROOT / "helm" / "quoter" / "values.schema.json").read_text())
ROWS = pairwise(dict(switches(SCHEMA)))
COMBINATIONS = [with_what_it_needs(row) for row in ROWS]

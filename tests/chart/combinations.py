"""Values that together cover every pair of switches: the booleans and enums of the chart's schema."""

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.chart import CHART

Choice = tuple[str, Any]

# Pairs that the chart rejects; test_refusals.py tests each.
IMPOSSIBLE: set[frozenset[Choice]] = {
    frozenset({("tls.enabled", False), ("tls.certManager.enabled", True)}),
    frozenset({("tls.enabled", False), ("tls.clientCa.enabled", True)}),
    frozenset({("serviceMonitor.enabled", True), ("podMonitor.enabled", True)}),
    frozenset({("auth.jwt.jwksAllowHttp", True), ("auth.mode", "none")}),
    frozenset({("auth.jwt.jwksAllowHttp", True), ("auth.mode", "tokens")}),
}


def switches(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, list[Any]]]:
    """Each boolean or enum of the schema, with its possible values."""
    for name, one in schema["properties"].items():
        here = (*path, name)
        if "properties" in one:
            yield from switches(one, here)
        elif "enum" in one:
            yield ".".join(here), one["enum"]
        elif one.get("type") == "boolean":
            yield ".".join(here), [False, True]


def pairwise(factors: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Rows with a choice for each factor, so that every possible pair of choices is in a row."""
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


def complete(row: Mapping[str, Any]) -> dict[str, Any]:
    """The chart's values for a row: the row's, and those that they require."""
    values: dict[str, Any] = {}
    required = dict(row)
    if row["auth.mode"] == "jwt":
        required |= {"auth.jwt.issuer": "https://issuer.example/", "auth.jwt.audience": "api"}
        required["auth.jwt.keys.existingSecret"] = "keys"
    if row["tls.enabled"]:
        required |= (
            {"tls.certManager.issuer.name": "ca"}
            if row["tls.certManager.enabled"]
            else {"tls.existingSecret": "certificate"}
        )
    if row["grpcRoute.enabled"]:
        required["grpcRoute.parentRefs"] = [{"name": "gateway"}]
    if row["database.migrate.mode"] != "none" or row["database.ca.public"]:
        required["database.existingSecret"] = "database"
    if not row["serviceAccount.create"]:
        required["serviceAccount.name"] = "default"
    for name, value in required.items():
        *parents, last = name.split(".")
        place = values
        for one in parents:
            place = place.setdefault(one, {})
        place[last] = value
    return values


SCHEMA = json.loads((CHART / "values.schema.json").read_text())
ROWS = pairwise(dict(switches(SCHEMA)))
COMBINATIONS = [complete(row) for row in ROWS]

"""What an expression in PromQL selects."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser


@dataclass(frozen=True)
class Matcher:
    """A condition on a label."""

    label: str
    operator: str  # =, !=, =~ or !~
    value: str


@dataclass(frozen=True)
class Selector:
    """A metric, or "" where none is named, with its conditions."""

    metric: str
    matchers: tuple[Matcher, ...]


@dataclass(frozen=True)
class Range:
    """A range of samples, and the function that is given it."""

    selector: Selector
    function: str
    seconds: float


_OPERATORS = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}


def nodes(expression: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every node of an expression, with those around it, the outermost first. Raises ValueError."""
    yield from _below(promql_parser.parse(expression), ())


def _below(node: Any, around: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    yield node, around
    inner = (*around, node)
    children = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "param", "vector_selector")]
    for child in [*children, *getattr(node, "args", [])]:
        if child is not None and type(child).__module__ == type(node).__module__:
            yield from _below(child, inner)


def selectors(expression: str) -> list[Selector]:
    return [
        _selector(node) for node, _ in nodes(expression) if isinstance(node, promql_parser.VectorSelector)
    ]


def ranges(expression: str) -> list[Range]:
    found = []
    for node, around in nodes(expression):
        if isinstance(node, promql_parser.MatrixSelector):
            call = around[-1] if around and isinstance(around[-1], promql_parser.Call) else None
            name = "" if call is None else call.func.name
            found.append(Range(_selector(node.vector_selector), name, node.range.total_seconds()))
    return found


def _selector(node: Any) -> Selector:
    matchers = tuple(Matcher(one.name, _OPERATORS[str(one.op)], one.value) for one in node.matchers.matchers)
    return Selector(node.name or "", matchers)


def labels(expression: str) -> set[str]:
    """The labels that an expression groups or joins by."""
    found: set[str] = set()
    for node, _ in nodes(expression):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            found |= set(node.modifier.labels)
        if isinstance(node, promql_parser.BinaryExpr) and node.modifier is not None:
            matching = node.modifier.matching
            found |= set(matching.labels if matching is not None else ()) | set(
                node.modifier.group_labels or ()
            )
    return found

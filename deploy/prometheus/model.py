"""Rules of Prometheus, as text for a file of rules and for the chart.

Their expressions have parameters, such as `<availability>`. `rules.yml` has the chart's default values in
their place, and the chart has its values.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent, indent

PARAMETER = re.compile(r"<(selector|availability|latency|seconds|faults|saturation|imbalance|days|runbook)>")


@dataclass(frozen=True)
class Record:
    """A recording rule. It is named level:metric:operations."""

    name: str
    expr: str

    @property
    def text(self) -> str:
        return f"- record: {self.name}\n{_expr(self.expr)}"


@dataclass(frozen=True)
class Alert:
    """An alert. Its section in the runbook has its name as heading."""

    name: str
    severity: str  # `critical`: wake somebody; `warning`: for working hours
    expr: str
    summary: str
    description: str
    wait: str = ""  # how long the expression must hold

    @property
    def annotations(self) -> dict[str, str]:
        return {
            "summary": self.summary,
            "description": self.description,
            "runbook_url": f"<runbook>#{self.name.lower()}",
        }

    @property
    def text(self) -> str:
        annotations = "".join(f"  {key}: {_quoted(value)}\n" for key, value in self.annotations.items())
        return (
            f"- alert: {self.name}\n{_expr(self.expr)}"
            + (f"  for: {self.wait}\n" if self.wait else "")
            + f"  labels:\n    severity: {self.severity}\n"
            + f"  annotations:\n{indent(annotations, '  ')}"
        )


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after another."""

    name: str
    interval: str
    rules: tuple[Record | Alert, ...]

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return tuple(one for one in self.rules if isinstance(one, Alert))

    @property
    def text(self) -> str:
        rules = "".join(one.text for one in self.rules)
        return f"- name: {self.name}\n  interval: {self.interval}\n  rules:\n{indent(rules, '    ')}"


def with_parameters(text: str, values: Mapping[str, str]) -> str:
    """Replaces the parameters of a text by their values."""
    return PARAMETER.sub(lambda found: values[found[1]], text)


def _expr(text: str) -> str:
    return f"  expr: |-\n{indent(dedent(text).strip(), '    ')}\n"


def _quoted(text: str) -> str:
    return json.dumps(" ".join(text.split()), ensure_ascii=False)

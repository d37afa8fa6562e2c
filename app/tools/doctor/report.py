"""What was found, for people and for scripts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import grpc
from rich.console import Console
from rich.text import Text


@dataclass(frozen=True)
class Found:
    """What a step found where nothing is wrong; `facts` are the same for scripts."""

    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    note: bool = False


@dataclass(frozen=True)
class Remedy:
    """What to type, and when that is the right thing to type."""

    when: str
    command: str


class Wrong(Exception):  # noqa: N818 - it is what is wrong, and not an error of the program
    """The end of an examination.

    `cause` is a word for scripts, which stays. `found` is for the line of the step, `explained` for below.
    `status` is the code that a call would end with; None where none would be made.
    """

    def __init__(
        self,
        cause: str,
        found: str,
        explained: str,
        *remedies: Remedy,
        status: grpc.StatusCode | None = grpc.StatusCode.UNAVAILABLE,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(found)
        self.cause = cause
        self.found = found
        self.explained = explained
        self.remedies = remedies
        self.status = status
        self.facts = facts or {}


class Outcome(StrEnum):
    """How a step ended. A note stands in nobody's way; what is skipped comes after the step that failed."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Step:
    name: str
    outcome: Outcome
    found: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """All steps in their order, and what is wrong where one of them failed."""

    target: str
    steps: tuple[Step, ...]
    wrong: Wrong | None

    def as_object(self) -> dict[str, Any]:
        """For JSON. The members stay; steps' facts may grow."""
        wrong = self.wrong
        return {
            "target": self.target,
            "ok": wrong is None,
            "failed": next((step.name for step in self.steps if step.outcome is Outcome.FAILED), None),
            "cause": wrong.cause if wrong else None,
            "code": wrong.status.name if wrong and wrong.status else None,
            "explanation": wrong.explained if wrong else None,
            "remedies": [{"when": one.when, "type": one.command} for one in wrong.remedies] if wrong else [],
            "steps": [asdict(step) for step in self.steps],
        }


_SIGNS = {
    Outcome.OK: ("✓", "green"),
    Outcome.NOTE: ("\N{EN DASH}", "yellow"),
    Outcome.FAILED: ("✗", "bold red"),
}
_NAME = len("connection") + 2


def print_report(diagnosis: Diagnosis, console: Console) -> None:
    """A line for each step, and what is wrong, and what to type. Commands are never broken into lines."""
    for step in diagnosis.steps:
        if step.outcome is not Outcome.SKIPPED:
            begin = Text.assemble(_SIGNS[step.outcome], f"  {step.name:<{_NAME}}")
            for line in Text(step.found).wrap(console, max(console.width - begin.cell_len, 20)):
                console.print(begin + line, soft_wrap=True)
                begin = Text(" " * begin.cell_len)
    skipped = [step.name for step in diagnosis.steps if step.outcome is Outcome.SKIPPED]
    if skipped:
        console.print(Text(f"not tried: {', '.join(skipped)}", "dim"))
    console.print()
    wrong = diagnosis.wrong
    console.print(Text(wrong.explained if wrong else "Nothing is wrong: calls get through."))
    for remedy in wrong.remedies if wrong else ():
        console.print()
        console.print(Text(remedy.when))
        console.print(Text(f"    {remedy.command}", "bold"), soft_wrap=True)


_UNITS = ((86_400 * 2, 86_400, "days"), (3_600 * 2, 3_600, "hours"), (120, 60, "minutes"), (0, 1, "seconds"))


def lasting(seconds: float) -> str:
    """Such as `3 days`, of the largest unit of which there are two."""
    size, unit = next((size, unit) for least, size, unit in _UNITS if seconds >= least)
    return f"{int(seconds / size)} {unit}"

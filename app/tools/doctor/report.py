"""The result of an examination, printed for people and as JSON for scripts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

import grpc
from rich.console import Console
from rich.text import Text


@dataclass(frozen=True)
class Remedy:
    """A command to type, and the condition under which it helps."""

    when: str
    command: str


class StepError(Exception):
    """Raised by a step that fails, which ends the examination.

    `cause` is a stable identifier for scripts. `found` is printed in the line of the step, `explanation`
    below all steps. `status` is the status code of a call under these conditions, or None if it could not be
    made.
    """

    def __init__(
        self,
        cause: str,
        found: str,
        explanation: str,
        *remedies: Remedy,
        status: grpc.StatusCode | None = grpc.StatusCode.UNAVAILABLE,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(found)
        self.cause = cause
        self.found = found
        self.explanation = explanation
        self.remedies = remedies
        self.status = status
        self.facts = facts or {}


class Outcome(StrEnum):
    """The outcome of a step. The steps after a failed one are skipped; a note is no failure."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Step:
    name: str
    outcome: Outcome
    found: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """All steps in their order, and the error of the step that failed, if any."""

    target: str
    steps: tuple[Step, ...]
    error: StepError | None

    def as_object(self) -> dict[str, object]:
        """Returns the JSON object. Its members are stable; facts may be added to steps."""
        error = self.error
        return {
            "target": self.target,
            "ok": error is None,
            "failed": next((step.name for step in self.steps if step.outcome is Outcome.FAILED), None),
            "cause": error.cause if error else None,
            "code": error.status.name if error and error.status else None,
            "explanation": error.explanation if error else None,
            "remedies": [{"when": one.when, "type": one.command} for one in error.remedies] if error else [],
            "steps": [asdict(step) for step in self.steps],
        }


_SIGNS = {
    Outcome.OK: ("✓", "green"),
    Outcome.NOTE: ("\N{EN DASH}", "yellow"),
    Outcome.FAILED: ("✗", "bold red"),
}
_NAME = len("connection") + 2


def print_report(diagnosis: Diagnosis, console: Console) -> None:
    """Prints a line for each step, the explanation, and the commands. Commands are never wrapped."""
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
    error = diagnosis.error
    console.print(Text(error.explanation if error else "Nothing is wrong: calls get through."))
    for remedy in error.remedies if error else ():
        console.print()
        console.print(Text(remedy.when))
        console.print(Text(f"    {remedy.command}", "bold"), soft_wrap=True)

"""Server CPU a call, start and memory of several servers, in shuffled rounds."""

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tests.bench.cores import LOAD_CORE
from tests.bench.load import load
from tests.bench.process import TOKEN, server
from tests.bench.scenarios import UNARY, Scenario, Subject


@dataclass(frozen=True)
class Spread:
    """The median of some measurements, and how far they are apart."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


# Microseconds of CPU for each message that a client got, by the subject's label; a list has a value a round.
Costs = Mapping[str, Sequence[float]]


def ratios(costs: Costs, label: str, base: str) -> Spread:
    """Of pairs that were measured in the same round."""
    return Spread.of([one / other for one, other in zip(costs[label], costs[base], strict=True)])


def cpu(scenario: Scenario, subjects: Sequence[Subject], rounds: int, seconds: float) -> Costs:
    """Measures each subject once a round, for so many seconds, in an order that chance decides."""
    found: dict[str, list[float]] = {subject.label: [] for subject in subjects}
    with ExitStack() as parts:
        collector = parts.enter_context(server("collector", core=LOAD_CORE)).target
        running = {}
        for subject in subjects:
            variables = {
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": scenario.sampled,
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector}",
                **subject.variables,
            }
            at = parts.enter_context(server(subject.name, subject.checkout, variables))
            flags = {"token": TOKEN, "duration": f"{seconds}s", **scenario.flags}
            running[subject.label] = at, parts.enter_context(load(at.target, **flags))
        for _ in range(rounds):
            for label in random.sample(list(running), len(running)):
                at, calling = running[label]
                before = at.cpu()
                result = calling.run()
                used = at.cpu() - before
                assert set(result.codes) == {"OK"}, f"{label}: {result.codes}"
                found[label].append(used / result.messages * 1e6)
                at.forget()
    return found


def starts(subjects: Sequence[Subject], rounds: int) -> Mapping[str, Spread]:
    """Seconds from the start of the process until it serves."""
    found: dict[str, list[float]] = {subject.label: [] for subject in subjects}
    for _ in range(rounds):
        for subject in random.sample(subjects, len(subjects)):
            with server(subject.name, subject.checkout) as at:
                found[subject.label].append(at.started_in)
    return {label: Spread.of(values) for label, values in found.items()}


def memory(subjects: Sequence[Subject], calls: int, seconds: float) -> Mapping[str, float]:
    """Resident MiB of each subject after so many calls, and so many seconds without any."""
    with ExitStack() as parts:
        running = {}
        for subject in subjects:
            at = running[subject.label] = parts.enter_context(server(subject.name, subject.checkout))
            with load(at.target, **{"token": TOKEN, **UNARY.flags, "warm": 0, "calls": calls}) as calling:
                assert calling.run().codes == {"OK": calls}
        time.sleep(seconds)
        return {label: at.memory() for label, at in running.items()}

"""CPU per call, start time and memory of several servers, measured in shuffled rounds."""

import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.bench.cores import LOAD_CORE
from tests.bench.load import load
from tests.bench.process import TOKEN, Server, server
from tests.bench.scenarios import UNARY, Scenario, Subject


@dataclass(frozen=True)
class Spread:
    """The median, least and greatest of several measurements."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


# Microseconds of CPU per reply, by the subject's label, with one value for each round.
Costs = Mapping[str, Sequence[float]]


def ratios(costs: Costs, label: str, base: str) -> Spread:
    """Ratios of the measurements of each round."""
    return Spread.of([one / other for one, other in zip(costs[label], costs[base], strict=True)])


@contextmanager
def running(subjects: Sequence[Subject], sampled: str = UNARY.sampled) -> Iterator[Mapping[str, Server]]:
    """Runs the subjects' servers, by their labels, with a collector for their spans."""
    with ExitStack() as parts:
        collector = parts.enter_context(server("collector", core=LOAD_CORE)).target
        variables = {
            "OTEL_TRACES_SAMPLER_ARG": sampled,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector}",
        }
        yield {
            each.label: parts.enter_context(server(each.name, each.checkout, {**variables, **each.variables}))
            for each in subjects
        }


def cpu(scenario: Scenario, subjects: Sequence[Subject], rounds: int, seconds: float) -> Costs:
    """Measures each subject once per round, for so many seconds, in random order."""
    found: dict[str, list[float]] = {subject.label: [] for subject in subjects}
    with running(subjects, scenario.sampled) as servers, ExitStack() as loads:
        flags = {"token": TOKEN, "duration": f"{seconds}s", **scenario.flags}
        calling = {label: loads.enter_context(load(at.target, **flags)) for label, at in servers.items()}
        for _ in range(rounds):
            for label in random.sample(list(servers), len(servers)):
                at = servers[label]
                before = at.cpu()
                result = calling[label].run()
                used = at.cpu() - before
                assert set(result.codes) == {"OK"}, f"{label}: {result.codes}"
                found[label].append(used / result.messages * 1e6)
                at.forget()
    return found


def starts(subjects: Sequence[Subject], rounds: int) -> Mapping[str, tuple[Spread, Spread]]:
    """Seconds until SERVING: from the start of the process, and from reading the settings."""
    found: dict[str, list[Server]] = {subject.label: [] for subject in subjects}
    for _ in range(rounds):
        for subject in random.sample(subjects, len(subjects)):
            with running([subject]) as servers:
                found[subject.label].append(servers[subject.label])
    return {
        label: (Spread.of([at.started_in for at in servers]), Spread.of([at.settled_in for at in servers]))
        for label, servers in found.items()
    }


def memory(subjects: Sequence[Subject], calls: int, seconds: float) -> Mapping[str, float]:
    """Resident MiB of each subject after so many calls, then so many seconds without calls."""
    with running(subjects) as servers:
        for at in servers.values():
            flags = {**UNARY.flags, "token": TOKEN, "warm": 0, "calls": calls}
            with load(at.target, **flags) as calling:
                assert calling.run().codes == {"OK": calls}
        time.sleep(seconds)
        return {label: at.memory() for label, at in servers.items()}

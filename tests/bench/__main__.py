"""`make bench`: the CPU that a call costs this server and others. Prints tables in Markdown.

Fails if a call on this server costs more than the limits below. Run nothing else on the machine.
"""

import argparse
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tests.bench.measure import Costs, cpu, memory, ratios, starts
from tests.bench.scenarios import BARE, DEAD, OURS, SCENARIOS, SUBJECTS, UNARY, Scenario, Subject

# Limits: relative to the quickstart's server, and with an unreachable collector relative to a reachable one.
MOST, MOST_DEAD = 1.10, 1.02


def costs_table(costs: dict[str, Costs]) -> list[str]:
    """A row for each server, a column for each scenario."""
    rows = ["| | " + " | ".join(costs) + " |", "|---" * (len(costs) + 1) + "|"]
    labels = {label: None for each in costs.values() for label in each}
    for label in labels:
        cells = []
        for each in costs.values():
            if label not in each:
                cells.append("")
            elif label == BARE.label:
                cells.append(f"1 = {sorted(each[label])[len(each[label]) // 2]:.0f} µs")
            else:
                cells.append(str(ratios(each, label, BARE.label)))
        rows.append(f"| {label} | " + " | ".join(cells) + " |")
    return rows


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    parts = " ".join(f"{name} {version(name)}" for name in ("grpcio", "opentelemetry-sdk", "uvloop"))
    return f"{model or platform.machine()}, Python {platform.python_version()}, {parts}"


def step(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--only",
        help=f"comma-separated, each NAME or NAME@CHECKOUT: {', '.join(each.name for each in SUBJECTS)}",
    )
    parser.add_argument(
        "--scenarios", help=f"comma-separated: {', '.join(SCENARIOS)}; with --only, the default is the first"
    )
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0.6, help="seconds of each measurement")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    subjects = [Subject.of(label) for label in given.only.split(",")] if given.only else SUBJECTS
    if BARE.label not in [subject.label for subject in subjects]:
        subjects = [*subjects, BARE]
    names = given.scenarios.split(",") if given.scenarios else ["unary"] if given.only else list(SCENARIOS)
    print(machine(), end="\n\n")
    costs: dict[str, Costs] = {}
    for name in names:
        scenario = SCENARIOS[name]
        step(scenario.title)
        costs[scenario.title] = cpu(scenario, subjects, given.rounds, given.seconds)
    print(*costs_table(costs), "", sep="\n")
    failures = []
    if UNARY.title in costs and OURS.label in costs[UNARY.title]:
        failures += judged(costs[UNARY.title], OURS.label, BARE.label, MOST)
    if not given.only and not given.scenarios:
        failures += collectors(given.rounds, given.seconds)
        lifetimes(subjects)
    print(*failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


def judged(costs: Costs, label: str, base: str, most: float) -> list[str]:
    spread = ratios(costs, label, base)
    if spread.median <= most:
        return []
    return [f"a call on {label} costs {spread} times one on {base}; the limit is {most:.2f}"]


def collectors(rounds: int, seconds: float) -> list[str]:
    """The cost of an unreachable collector, which is small and so takes more rounds."""
    failures = []
    print("| unreachable collector, relative to a reachable one | |\n|---|---|")
    for name in ("unary", "sampled"):
        scenario: Scenario = SCENARIOS[name]
        step(f"{scenario.title}, unreachable collector")
        costs = cpu(scenario, [OURS, DEAD], rounds * 4, seconds)
        print(f"| {scenario.title} | {ratios(costs, DEAD.label, OURS.label)} |")
        failures += judged(costs, DEAD.label, OURS.label, MOST_DEAD)
    print()
    return failures


def lifetimes(subjects: Sequence[Subject]) -> None:
    step("start and memory")
    started, resident = starts(subjects, 5), memory(subjects, calls=1000, seconds=30)
    print("| | from start to SERVING, s | memory after 1,000 calls and 30 s, MiB |\n|---|---|---|")
    for subject in subjects:
        print(f"| {subject.label} | {started[subject.label][0]} | {resident[subject.label]:.0f} |")
    print(f"\nThis server, from reading its settings to SERVING: {started[OURS.label][1]} s.")


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.bench`: server CPU a call, of this program and of what it is compared with."""

import argparse
import random
import statistics
from contextlib import ExitStack
from pathlib import Path

from app.gen import quote_service_pb2 as pb
from tests.bench.cores import LOAD_CORE
from tests.bench.load import Load, load
from tests.bench.process import TOKEN, Server, server
from tests.integration.process import ROOT


def measure(at: Server, calling: Load, calls: int) -> float:
    """Microseconds of server CPU a call."""
    before = at.cpu()
    result = calling.run()
    used = at.cpu() - before
    assert result.codes == {"OK": calls}, result.codes
    at.forget()
    return used / result.messages * 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--only", default="ours,bare,bare-on-our-executor", help="NAME or NAME@CHECKOUT, by commas"
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--sampled", default="0.01")
    given = parser.parse_args()
    names = given.only.split(",")
    found: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as parts:
        collector = parts.enter_context(server("collector", core=LOAD_CORE))
        servers = {}
        for name in names:
            kind, _, checkout = name.partition("@")
            at = parts.enter_context(
                server(
                    kind,
                    Path(checkout) if checkout else ROOT,
                    OTEL_TRACES_SAMPLER="parentbased_traceidratio",
                    OTEL_TRACES_SAMPLER_ARG=given.sampled,
                    OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{collector.target}",
                )
            )
            calling = parts.enter_context(
                load(
                    at.target,
                    token=TOKEN,
                    request=pb.QuoteRequest(author="Mark Twain").SerializeToString(),
                    in_flight=given.in_flight,
                    calls=given.calls,
                    warm=3000,
                )
            )
            servers[name] = at, calling
        for _ in range(given.rounds):
            order = random.sample(names, len(names))
            for name in order:
                found[name].append(measure(*servers[name], given.calls))
    print("| server | µs a call | ratio to bare, median (min to max) |")
    print("|---|---|---|")
    for name in names:
        ratios = [one / bare for one, bare in zip(found[name], found["bare"], strict=True)]
        print(
            f"| {name} | {statistics.median(found[name]):.1f}"
            f" | {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) |"
        )


if __name__ == "__main__":
    main()

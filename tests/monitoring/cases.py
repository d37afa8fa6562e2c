"""What each alert is for, and what no alert is for."""

from collections.abc import Mapping
from dataclasses import replace
from math import cos, pi

from deploy.prometheus.codes import FAULT, NO_FAULT
from deploy.prometheus.instances import SHARE
from deploy.prometheus.objectives import AVAILABILITY, LATENCY, target
from tests.monitoring.promtool import DAY, HOUR, MINUTE, SELECTED, Scenario, Series
from tests.monitoring.scenarios import Phase, Phases, Pod, counter, of

BEFORE = 65 * MINUTE  # of normal operation: longer than the first window
AFTER = 40 * MINUTE
FAST = {"GrpcAvailabilityBudgetBurnsFast", "GrpcLatencyBudgetBurnsFast"}
# With a short history, what happens now is all that long windows have.
LONG = {
    "GrpcAvailabilityBudgetBurns",
    "GrpcAvailabilityBudgetBurnsSlowly",
    "GrpcLatencyBudgetBurns",
    "GrpcLatencyBudgetBurnsSlowly",
}


def turned(before: float, then: float, seconds: float = AFTER) -> Phases:
    """A rate in normal operation, and then another."""
    return ((BEFORE, before), (seconds, then))


def scenario(
    name: str,
    *pods: Pod,
    firing: Mapping[int, set[str]] | Mapping[float, set[str]],
    among: set[str] | None = None,
) -> Scenario:
    return Scenario(name, of(*pods), firing, among or SHORT)


SHORT = {
    *FAST,
    "GrpcServerDown",
    "GrpcTargetGone",
    "GrpcServerNotReady",
    "GrpcServerSaturated",
    "GrpcServerRefuses",
    "GrpcPodWithoutCalls",
    "GrpcUnevenCalls",
    "GrpcCertificateExpires",
    "GrpcCertificateExpiresSoon",
    "GrpcSpansDropped",
    "GrpcRestartInDrain",
}
QUIET: set[str] = set()
FIVE = AVAILABILITY.ratio("5m")
EVEN = {"OK": turned(10, 10)}


def failing(code: str, part: float, name: str) -> Pod:
    """Ten calls a second, of which a part fails after a while."""
    return Pod({"OK": turned(10, 10 * (1 - part)), code: turned(0, 10 * part)}, name)


def outages() -> list[Scenario]:
    burns = {"GrpcAvailabilityBudgetBurnsFast"}
    slow = {"GrpcLatencyBudgetBurnsFast"}
    return [
        scenario(
            "every call fails: within 2 minutes",
            failing("Unavailable", 1, "pod-1"),
            failing("Unavailable", 1, "pod-2"),
            firing={BEFORE: QUIET, BEFORE + 2 * MINUTE: burns},
        ),
        scenario(
            "5 % of the calls fail: within 18 minutes, and not before they matter",
            failing("Internal", 0.05, "pod-1"),
            failing("Internal", 0.05, "pod-2"),
            firing={BEFORE + 15 * MINUTE: QUIET, BEFORE + 18 * MINUTE: burns},
        ),
        scenario(
            "a fault that is over does not alert on",
            Pod({"OK": ((BEFORE, 10), (600, 0), (600, 10)), "Internal": ((BEFORE, 0), (600, 10), (600, 0))}),
            firing={BEFORE + 600: burns, BEFORE + 1140: QUIET},
        ),
        scenario(
            "every call is slow: within 10 minutes",
            Pod(EVEN, fast=turned(10, 0)),
            firing={BEFORE: QUIET, BEFORE + 10 * MINUTE: slow},
        ),
        scenario(
            "a code that nobody has decided on is a fault",
            Pod({"OK": turned(10, 5), "Brandnew": turned(0, 5)}),
            firing={BEFORE + 5 * MINUTE: burns},
        ),
        Scenario(
            "each code counts as codes.py says",
            of(
                *(
                    Pod({"OK": turned(10, 5), code: turned(0, 5)}, service=code)
                    for code in (FAULT | NO_FAULT)
                    if code != "OK"
                )
            ),
            {BEFORE: QUIET},
            among={"GrpcServerDown"},
            values={f'{FIVE}{{grpc_service="{code}"}}': 0.5 for code in FAULT}
            | {f'{FIVE}{{grpc_service="{code}"}}': 0 for code in NO_FAULT if code != "OK"},
            until=BEFORE + AFTER,
        ),
        scenario(
            "the fifth failed call of an idle service, not the first",
            Pod({"Internal": ((BEFORE, 0), (60, 1 / 60), (600, 0), (300, 5 / 300), (1440, 0))}),
            firing={BEFORE + 600: QUIET, BEFORE + 960: burns},
        ),
        scenario(
            "calls of methods that do not exist, and probes, count for nothing",
            Pod({"OK": turned(0, 0), "Unimplemented": turned(1, 1)}, service="unknown"),
            Pod({"OK": turned(1, 0), "Unavailable": turned(0, 1)}, service="grpc.health.v1.Health"),
            Pod(
                {"OK": turned(1, 0), "Unavailable": turned(0, 1)},
                service="grpc.reflection.v1.ServerReflection",
            ),
            firing={BEFORE + AFTER: QUIET},
        ),
        scenario(
            "another job with the same metrics is not looked at",
            Pod(EVEN),
            Pod({"OK": turned(10, 0), "Internal": turned(0, 10)}, "other", job="other"),
            firing={BEFORE + AFTER: QUIET},
        ),
    ]


def expiring(time: float) -> Series:
    labels = SELECTED | {"instance": "pod-1:9464", "pod": "pod-1", "certificate": "server"}
    samples = round((BEFORE + AFTER) / 15)
    return Series("tls_certificate_expiration_timestamp_seconds", labels, f"{time}x{samples}")


def spans(exported: Phases, dropped: Phases) -> list[Series]:
    labels = SELECTED | {"instance": "pod-1:9464", "pod": "pod-1"}
    return [
        Series("otel_spans_exported_total", labels, counter(exported, 15)),
        Series("otel_spans_dropped_total", labels | {"reason": "queue_full"}, counter(dropped, 15)),
    ]


def instances() -> list[Scenario]:
    gone = Pod(EVEN, "pod-2", gauges={"up": turned(1, 0)})
    idle = Pod({"OK": turned(10, 0)}, "pod-2")
    return [
        scenario(
            "no target answers: within 2 minutes",
            Pod(EVEN, gauges={"up": turned(1, 0)}),
            gone,
            firing={BEFORE: QUIET, BEFORE + 2 * MINUTE: {"GrpcServerDown"}},
            among={"GrpcServerDown"},
        ),
        Scenario(
            "there is no target: within 2 minutes",
            [Series("up", {"job": "other"}, "1x40")],
            {2 * MINUTE: {"GrpcServerDown"}},
        ),
        scenario(
            "one target does not answer",
            Pod(EVEN),
            gone,
            firing={BEFORE + 4 * MINUTE: QUIET, BEFORE + 6 * MINUTE: {"GrpcTargetGone"}},
        ),
        scenario(
            "one pod is not ready, and does not drain",
            Pod(EVEN, gauges={"grpc_server_ready": turned(1, 0)}),
            firing={BEFORE + 4 * MINUTE: QUIET, BEFORE + 6 * MINUTE: {"GrpcServerNotReady"}},
        ),
        scenario(
            "a pod that is not ready gets no calls",
            Pod(EVEN),
            replace(idle, gauges={**idle.gauges, "grpc_server_ready": turned(1, 0)}),
            firing={BEFORE + 30 * MINUTE: {"GrpcServerNotReady"}},
        ),
        scenario(
            "more calls than workers",
            Pod(EVEN, concurrency={"calls": turned(8, 40)}),
            firing={BEFORE + 5 * MINUTE: QUIET, BEFORE + 12 * MINUTE: {"GrpcServerSaturated"}},
        ),
        scenario(
            "nearly as many streams as the limit",
            Pod(EVEN, concurrency={"streams": turned(8, 90)}),
            firing={BEFORE + 5 * MINUTE: QUIET, BEFORE + 12 * MINUTE: {"GrpcServerSaturated"}},
        ),
        scenario(
            "calls over the limit are refused",
            Pod({"OK": turned(10, 9.8), "Aborted": turned(0, 0.2)}, refused=turned(0, 0.2)),
            firing={BEFORE + 3 * MINUTE: QUIET, BEFORE + 12 * MINUTE: {"GrpcServerRefuses"}},
        ),
        scenario(
            "a pod gets no more calls",
            Pod(EVEN),
            idle,
            firing={
                BEFORE + 10 * MINUTE: QUIET,
                BEFORE + 30 * MINUTE: {"GrpcPodWithoutCalls", "GrpcUnevenCalls"},
            },
        ),
        scenario(
            "a pod of three gets most calls",
            Pod({"OK": turned(10, 20)}),
            Pod({"OK": turned(10, 5)}, "pod-2"),
            Pod({"OK": turned(10, 5)}, "pod-3"),
            firing={BEFORE + 10 * MINUTE: QUIET, BEFORE + 30 * MINUTE: {"GrpcUnevenCalls"}},
        ),
        *(
            Scenario(
                f"a certificate expires in {days} days",
                [*of(Pod(EVEN)), expiring(BEFORE + days * DAY)],
                {BEFORE - MINUTE: before, BEFORE + 20 * MINUTE: before | {alert}},
            )
            for days, before, alert in (
                (14, QUIET, "GrpcCertificateExpires"),
                (2, {"GrpcCertificateExpires"}, "GrpcCertificateExpiresSoon"),
            )
        ),
        Scenario(
            "the collector takes no more spans",
            [*of(Pod(EVEN)), *spans(turned(10, 0), turned(0, 10))],
            {BEFORE + 9 * MINUTE: QUIET, BEFORE + 12 * MINUTE: {"GrpcSpansDropped"}},
            SHORT,
        ),
        Scenario(
            "the collector misses one span of a thousand",
            [*of(Pod(EVEN)), *spans(turned(10, 9.99), turned(0, 0.01))],
            {BEFORE + 20 * MINUTE: QUIET},
            SHORT,
        ),
        scenario(
            "a pod drains, and its process is started again",
            Pod(
                EVEN,
                gauges={
                    "grpc_server_draining": ((BEFORE, 0), (45, 1), (AFTER - 45, 0)),
                    "process_start_time_seconds": ((BEFORE + 45, -HOUR), (AFTER - 45, BEFORE + 45)),
                },
            ),
            firing={
                BEFORE + 30: QUIET,
                BEFORE + 2 * MINUTE: {"GrpcRestartInDrain"},
                BEFORE + 20 * MINUTE: QUIET,
            },
        ),
    ]


def quiet() -> list[Scenario]:
    old = [
        Pod(
            {"OK": ((BEFORE, 10), (45, 5), (15, 0))},
            f"old-{number}",
            gauges={
                "grpc_server_draining": ((BEFORE, 0), (60, 1)),
                "grpc_server_ready": ((BEFORE, 1), (60, 0)),
            },
        )
        for number in range(2)
    ]
    new = [
        Pod({"OK": ((30, 0), (30, 5), (AFTER, 10))}, f"new-{number}", started=BEFORE, absent=BEFORE)
        for number in range(2)
    ]
    update = {BEFORE + minutes * MINUTE: QUIET for minutes in range(1, 40)}
    greedy = Pod({"OK": turned(10, 10), "ResourceExhausted": turned(0, 0)})
    return [
        scenario("a rolling update", *old, *new, firing=update, among={*SHORT, *LONG}),
        scenario(
            "a pod drains for long, because of streams that last",
            Pod(EVEN),
            Pod(
                {"OK": turned(10, 0)},
                "pod-2",
                gauges={"grpc_server_draining": turned(0, 1), "grpc_server_ready": turned(1, 0)},
            ),
            firing=update,
        ),
        scenario(
            "a new pod gets its first calls after minutes",
            Pod({"OK": ((BEFORE, 10), (480, 10), (AFTER, 10))}),
            Pod({"OK": ((480, 0), (AFTER, 10))}, "pod-2", started=BEFORE, absent=BEFORE),
            firing=update,
        ),
        scenario(
            "clients that cancel",
            Pod({"OK": turned(10, 1), "Canceled": turned(0, 9)}),
            firing={BEFORE + 10 * MINUTE: QUIET, BEFORE + AFTER: QUIET},
            among={*SHORT, *LONG},
        ),
        scenario(
            "a service without calls",
            Pod({"OK": turned(0, 0)}),
            Pod({"OK": turned(0, 0)}, "pod-2"),
            firing={BEFORE + AFTER: QUIET},
            among={*SHORT, *LONG},
        ),
        scenario(
            "streams last, and are not slow",
            greedy,
            firing={BEFORE + AFTER: QUIET},
            among={*SHORT, *LONG},
        ),
    ]


# Samples of two minutes: what these are about takes hours and days.
STEP = 120


def long() -> list[Scenario]:
    """Burns that take hours and days to matter, with a history of three days, and what is recorded."""
    before = 3 * DAY

    def part(rate: float, then: float, seconds: float) -> Phases:
        return ((before, rate), (seconds, then))

    def bad(ratio: float, seconds: float) -> Pod:
        codes = {"OK": part(10, 10 * (1 - ratio), seconds), "Internal": part(0, 10 * ratio, seconds)}
        return Pod(codes, interval=STEP)

    def slow(ratio: float, seconds: float) -> Pod:
        return Pod({"OK": part(10, 10, seconds)}, fast=part(10, 10 * (1 - ratio), seconds), interval=STEP)

    def burn(name: str, pod: Pod, quiet: float, fires: float, alert: str) -> Scenario:
        firing = {before + quiet: QUIET, before + fires: {alert}}
        return Scenario(name, of(pod), firing, among=LONG | FAST, interval=STEP)

    half = 6 * HOUR
    codes = {"OK": ((half, 10), (half, 9.8)), "Internal": ((half, 0), (half, 0.2))}
    return [
        burn("1 % fails for hours", bad(0.01, 5 * HOUR), 3 * HOUR, 4 * HOUR, "GrpcAvailabilityBudgetBurns"),
        burn("10 % is slow for hours", slow(0.1, 5 * HOUR), 3 * HOUR, 4 * HOUR, "GrpcLatencyBudgetBurns"),
        burn("0.2 % fails", bad(0.002, 2 * DAY), DAY, 1.75 * DAY, "GrpcAvailabilityBudgetBurnsSlowly"),
        burn("2 % is slow", slow(0.02, 2 * DAY), DAY, 1.75 * DAY, "GrpcLatencyBudgetBurnsSlowly"),
        Scenario(
            "what dashboards show",
            of(Pod(codes, interval=STEP)),
            {0: QUIET},
            among=LONG,
            interval=STEP,
            until=2 * half,
            values={
                target("availability"): 0.999,
                target("latency"): 0.99,
                SHARE: 10,
                AVAILABILITY.ratio("30d"): 0.01,
                LATENCY.ratio("30d"): 0,
            },
        ),
    ]


def week() -> list[Scenario]:
    """A week of days and nights, with a few errors and slow calls, and a short burst of errors each day."""
    days = range(7)
    hours: Phases = [(HOUR, 10 - 8 * cos(2 * pi * hour / 24)) for _ in days for hour in range(24)]

    def errors(position: int, phase: Phase) -> Phases:
        _, rate = phase
        burst = position % 24 == 15
        return ((10 * MINUTE, rate * (0.008 if burst else 0.0003)), (50 * MINUTE, rate * 0.0003))

    failed = [phase for position, hour in enumerate(hours) for phase in errors(position, hour)]
    fine = [(seconds, rate - bad) for (seconds, bad), (_, rate) in zip(failed, _halved(hours), strict=True)]
    fast = [(seconds, rate * 0.997) for seconds, rate in _halved(hours)]
    pods = [
        Pod({"OK": fine, "Internal": failed}, f"pod-{number}", fast=fast, interval=STEP)
        for number in range(2)
    ]
    times: dict[int, set[str]] = {hour * HOUR + 15 * MINUTE: QUIET for hour in range(1, 7 * 24)}
    return [Scenario("a normal week", of(*pods), times, interval=STEP)]


def _halved(hours: Phases) -> list[Phase]:
    return [part for _, rate in hours for part in ((10 * MINUTE, rate), (50 * MINUTE, rate))]

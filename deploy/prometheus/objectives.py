"""Objectives for availability and latency, and alerts on how fast their error budgets are used up.

The windows and factors are those of Google's SRE workbook, "Alerting on SLOs": a page if 2 % of the budget of
30 days is used up in an hour (14.4 times as fast as it may be), or 5 % in six hours (6 times), and a ticket
if 10 % is used up in three days (1 time). Each needs a second, shorter window, in which it is still going on.
"""

from dataclasses import dataclass

from deploy.identity import group
from deploy.prometheus.codes import FAULTY, OWN
from deploy.prometheus.model import Alert, Group, Record

BY = "namespace, job, grpc_service"

# Windows of the raw counters. Longer ones are averages of the rates of 5 minutes: they load a few recorded
# series, in place of every counter of days.
RAW = ("5m", "30m", "1h")
AVERAGED = {"6h": 6 * 3600, "3d": 3 * 86400, "30d": 30 * 86400}
SECONDS = {"1h": 3600} | AVERAGED


@dataclass(frozen=True)
class Burn:
    """One of the workbook's alerts."""

    suffix: str
    severity: str
    factor: float
    long: str
    short: str
    used: str


BURNS = (
    Burn("BurnsFast", "critical", 14.4, "1h", "5m", "2 % of the budget of 30 days in an hour"),
    Burn("Burns", "critical", 6, "6h", "30m", "5 % of the budget of 30 days in six hours"),
    Burn("BurnsSlowly", "warning", 1, "3d", "6h", "10 % of the budget of 30 days in three days"),
)


@dataclass(frozen=True)
class Objective:
    """Which calls are bad, of which all."""

    subject: str
    parameter: str
    all: str  # what the recorded rate of all calls is called
    bad: str
    every: str  # the rate of all calls, with WINDOW
    fault: str  # the rate of bad ones
    sentence: str

    def rate(self, name: str, window: str) -> str:
        return f"job_service:grpc_server_{name}:rate{window}"

    def ratio(self, window: str) -> str:
        return f"job_service:grpc_server_{self.bad}_per_{self.all}:ratio_rate{window}"

    def records(self, window: str) -> tuple[Record, ...]:
        rates = [
            Record(
                self.rate(name, window),
                raw.replace("WINDOW", window)
                if window in RAW
                else f"avg_over_time({self.rate(name, '5m')}{{<selector>}}[{window}])",
            )
            for name, raw in ((self.all, self.every), (self.bad, self.fault))
        ]
        bad, every = self.rate(self.bad, window), self.rate(self.all, window)
        divided = f"{bad}{{<selector>}} / {every}{{<selector>}}"
        return (*rates, Record(self.ratio(window), divided))

    def alert(self, burn: Burn) -> Alert:
        limit = f"{burn.factor:g} * (1 - <{self.parameter}>)"
        return Alert(
            name=f"Grpc{self.subject}Budget{burn.suffix}",
            severity=burn.severity,
            expr=f"""
                {self.ratio(burn.long)}{{<selector>}} > {limit}
                and {self.ratio(burn.short)}{{<selector>}} > {limit}
                and {self.rate(self.bad, burn.long)}{{<selector>}} * {SECONDS[burn.long]} >= <faults>
                """,
            summary=f"{{{{ $value | humanizePercentage }}}} of the calls of {{{{ $labels.grpc_service }}}}"
            f" {self.sentence} in the last {burn.long}.",
            description=f"This uses up {burn.used}, or more.",
        )


AVAILABILITY = Objective(
    subject="Availability",
    parameter="availability",
    all="handled",
    bad="faults",
    every=f"sum by ({BY}) (rate(grpc_server_handled_total{{<selector>,{OWN}}}[WINDOW]))",
    fault=f"sum by ({BY}) (rate(grpc_server_handled_total{{<selector>,{OWN},{FAULTY}}}[WINDOW]))",
    sentence="failed by the server's fault",
)

_TIMED = f'grpc_server_handling_seconds_count{{<selector>,{OWN},grpc_type="unary"}}'
_FAST = f'grpc_server_handling_seconds_bucket{{<selector>,{OWN},grpc_type="unary",le="<seconds>"}}'

# Streams last as long as their clients want.
LATENCY = Objective(
    subject="Latency",
    parameter="latency",
    all="timed",
    bad="slow",
    every=f"sum by ({BY}) (rate({_TIMED}[WINDOW]))",
    fault=f"sum by ({BY}) (rate({_TIMED}[WINDOW])) - sum by ({BY}) (rate({_FAST}[WINDOW]))",
    sentence="took longer than <seconds> s",
)

OBJECTIVES = (AVAILABILITY, LATENCY)


def target(subject: str) -> str:
    """The recorded objective, for dashboards."""
    return f"job:grpc_server_{subject}_objective:ratio"


def groups() -> tuple[Group, ...]:
    fast = tuple(
        Group(
            group(one.subject.lower()),
            "30s",
            (
                *(record for window in (*RAW, "6h") for record in one.records(window)),
                *(one.alert(burn) for burn in BURNS[:2]),
            ),
        )
        for one in OBJECTIVES
    )
    slow = Group(
        group("budget"),
        "5m",
        (
            *(
                Record(
                    target(one.parameter),
                    f"group by (namespace, job) (up{{<selector>}}) * <{one.parameter}>",
                )
                for one in OBJECTIVES
            ),
            *(record for one in OBJECTIVES for window in ("3d", "30d") for record in one.records(window)),
            *(one.alert(BURNS[2]) for one in OBJECTIVES),
        ),
    )
    return (*fast, slow)

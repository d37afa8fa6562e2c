"""The overview: how the service does against its objectives, and rate, errors and duration of its calls."""

from deploy.grafana.dashboard import Dashboard
from deploy.grafana.panels import METHOD, RECORDED, TARGET, Panel, Query, Row, Threshold
from deploy.prometheus.codes import FAULTY, OWN
from deploy.prometheus.objectives import AVAILABILITY, BURNS, LATENCY, Objective, target

SCOPE = f"{METHOD},{OWN}"
BUDGET = (Threshold(None, "red"), Threshold(0, "orange"), Threshold(0.25, "green"))
BURN = (
    Threshold(None, "green"),
    Threshold(BURNS[2].factor, "yellow"),
    Threshold(BURNS[1].factor, "orange"),
    Threshold(BURNS[0].factor, "red"),
)
PER = "on (namespace, job) group_left ()"


def _allowed(one: Objective) -> str:
    return f'(1 - {target(one.parameter)}{{namespace=~"$namespace",job=~"$job"}})'


def _stats(one: Objective, title: str, words: str) -> tuple[Panel, Panel]:
    spent = f"{one.ratio('30d')}{{{RECORDED}}} / {PER} {_allowed(one)}"
    return (
        Panel(
            f"{title}, 30 days",
            f"{words} The lowest of the chosen services, and the objective. If it is below the objective, put"
            " reliability before features.",
            "percentunit",
            (
                Query(f"min(1 - {one.ratio('30d')}{{{RECORDED}}})", "now"),
                Query(f'min({target(one.parameter)}{{namespace=~"$namespace",job=~"$job"}})', "objective"),
            ),
            kind="stat",
            width=8,
        ),
        Panel(
            f"{title}: budget left",
            "What is left of the error budget of 30 days, in the service that has least. Below 0 the"
            " objective is missed: postpone risky changes.",
            "percentunit",
            (Query(f"min(1 - {spent})", "left"),),
            kind="stat",
            width=4,
            thresholds=BUDGET,
        ),
    )


def _burn(one: Objective, title: str) -> Panel:
    ratio = f"{one.ratio('1h')}{{{RECORDED}}}"
    return Panel(
        title,
        "How many times as fast as it may be the error budget was used up in the last hour. 1 uses it up in"
        " 30 days; the lines are those of the alerts: 14.4 and 6 page, 1 opens a ticket. See the alert's"
        " section in docs/monitoring.md.",
        "short",
        (Query(f"{ratio} / {PER} {_allowed(one)}", "{{job}} {{grpc_service}}"),),
        thresholds=BURN,
    )


def _rate(by: str, matchers: str = "") -> str:
    return f"sum by ({by}) (rate(grpc_server_handled_total{{{SCOPE}{matchers}}}[$__rate_interval]))"


def _quantile(part: float) -> str:
    bucket = f'grpc_server_handling_seconds_bucket{{{SCOPE},grpc_type="unary"}}'
    by = "grpc_service, grpc_method, le"
    return f"histogram_quantile({part}, sum by ({by}) (rate({bucket}[$__rate_interval])))"


NAMED = "{{grpc_service}}/{{grpc_method}}"

DASHBOARD = Dashboard(
    "overview",
    "overview",
    "Objectives and error budgets; rate, errors and duration of calls by service, method and code.",
    "grpc_server_started_total",
    (
        Row(
            "Objectives (need the recording rules)",
            (
                *_stats(AVAILABILITY, "Availability", "Calls that did not fail by the server's fault."),
                *_stats(LATENCY, "Fast calls", "Unary calls that took no longer than the objective says."),
                _burn(AVAILABILITY, "Burn rate of availability"),
                _burn(LATENCY, "Burn rate of latency"),
            ),
        ),
        Row(
            "Calls",
            (
                Panel(
                    "Rate by method",
                    "Calls that ended, per second. A fall to 0 while clients call means that they do not get"
                    " here: run the doctor from where they are.",
                    "reqps",
                    (Query(_rate("grpc_service, grpc_method"), NAMED),),
                ),
                Panel(
                    "Rate by code",
                    "Calls that ended, per second, by status code. docs/outcomes.md says when a call ends"
                    " with which code.",
                    "reqps",
                    (Query(f"{_rate('grpc_code')} > 0", "{{grpc_code}}"),),
                ),
                Panel(
                    "Failed by the server's fault",
                    "The part of calls with a code that counts as the server's fault. Look for the method"
                    " here, and for the reason in the log of its calls.",
                    "percentunit",
                    (
                        Query(
                            f"{_rate('grpc_service, grpc_method', f',{FAULTY}')}"
                            f" / {_rate('grpc_service, grpc_method')}",
                            NAMED,
                        ),
                    ),
                ),
                Panel(
                    "Refused, by reason",
                    "Calls per second that were refused before their handler ran. For `limit`, add pods; for"
                    " `share`, one client makes too many calls; for `unauthenticated`, check its token.",
                    "reqps",
                    (
                        Query(
                            "sum by (reason) "
                            f"(rate(grpc_server_refused_total{{{METHOD}}}[$__rate_interval])) > 0",
                            "{{reason}}",
                        ),
                    ),
                ),
                Panel(
                    "Duration of unary calls",
                    "Median and 99th percentile of unary calls. If all methods are slow, look at saturation"
                    " on the dashboard of instances; if one is, at its traces.",
                    "s",
                    (
                        Query(_quantile(0.5), f"p50 {NAMED}"),
                        Query(_quantile(0.99), f"p99 {NAMED}"),
                    ),
                ),
                Panel(
                    "In flight",
                    "Calls that were accepted and are not over. Growth without growth of the rate means that"
                    " calls take longer.",
                    "short",
                    (Query(f"sum by (grpc_service, grpc_method) (grpc_server_in_flight{{{SCOPE}}})", NAMED),),
                ),
                Panel(
                    "Instances",
                    "Instances that Prometheus can scrape, and those that drain. Fewer than you expect: see"
                    " the alert GrpcTargetGone.",
                    "short",
                    (
                        Query(f"sum by (namespace, job) (up{{{TARGET}}})", "up {{namespace}} {{job}}"),
                        Query(
                            f"sum by (namespace, job) (grpc_server_draining{{{TARGET}}})",
                            "draining {{namespace}} {{job}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
)

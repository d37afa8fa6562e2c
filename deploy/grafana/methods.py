"""One method in detail: durations with traces, messages, codes and refusals."""

from deploy.grafana.dashboard import Dashboard
from deploy.grafana.panels import METHOD, Panel, Query, Row
from deploy.prometheus.codes import FAULTY

NAMED = "{{grpc_service}}/{{grpc_method}}"
BY = "grpc_service, grpc_method"


def _rate(metric: str, by: str = BY, matchers: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{METHOD}{matchers}}}[$__rate_interval]))"


def _quantile(part: float) -> str:
    return f"histogram_quantile({part}, {_rate('grpc_server_handling_seconds_bucket', 'le')})"


HANDLED = "grpc_server_handled_total"
RECEIVED, SENT = "grpc_server_msg_received_total", "grpc_server_msg_sent_total"
STARTED = "grpc_server_started_total"

DASHBOARD = Dashboard(
    "methods",
    "methods",
    "Durations with exemplars that lead to traces, messages, codes and refusals of the chosen methods.",
    STARTED,
    (
        Row(
            "Durations",
            (
                Panel(
                    "Durations",
                    "How many calls took how long. The dots are calls with a trace: click one to open it, if"
                    " the data source has a link for trace_id. A second band of slow calls is a second path.",
                    "s",
                    (Query(_rate("grpc_server_handling_seconds_bucket", "le"), "{{le}}", exemplars=True),),
                    kind="heatmap",
                    width=24,
                ),
                Panel(
                    "Percentiles",
                    "Percentiles of the durations, streams included, which last as long as their clients"
                    " want. p99 far above p50: look at the traces of slow calls.",
                    "s",
                    tuple(
                        Query(_quantile(part), f"p{100 * part:g}", exemplars=part == 0.99)  # noqa: PLR2004 - one is enough
                        for part in (0.5, 0.9, 0.99)
                    ),
                ),
                Panel(
                    "Mean duration",
                    "What a call takes on average, by method. Times the rate, it is how many calls are at"
                    " work at once: compare that with the number of workers.",
                    "s",
                    (
                        Query(
                            f"{_rate('grpc_server_handling_seconds_sum')}"
                            f" / {_rate('grpc_server_handling_seconds_count')}",
                            NAMED,
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Calls",
            (
                Panel(
                    "Rate by code",
                    "Calls that ended, per second, by status code. A code that is new since an update is"
                    " worth a look at its log lines.",
                    "reqps",
                    (Query(f"{_rate(HANDLED, f'{BY}, grpc_code')} > 0", f"{NAMED} {{{{grpc_code}}}}"),),
                ),
                Panel(
                    "Failed by the server's fault",
                    "The part of calls with a code that counts as the server's fault. The log has each of"
                    " them with its reason.",
                    "percentunit",
                    (Query(f"{_rate(HANDLED, BY, f',{FAULTY}')} / {_rate(HANDLED)}", NAMED),),
                ),
                Panel(
                    "Refusals by reason",
                    "Calls per second that were refused before their handler ran. `validation` is a client"
                    " with wrong requests, `deadline` one that waited too long already.",
                    "reqps",
                    (
                        Query(
                            f"{_rate('grpc_server_refused_total', f'{BY}, reason')} > 0",
                            f"{NAMED} {{{{reason}}}}",
                        ),
                    ),
                ),
                Panel(
                    "In flight",
                    "Calls that were accepted and are not over, streams included. Streams that only grow are"
                    " not closed by their clients.",
                    "short",
                    (Query(f"sum by ({BY}) (grpc_server_in_flight{{{METHOD}}})", NAMED),),
                ),
            ),
        ),
        Row(
            "Messages",
            (
                Panel(
                    "Messages received",
                    "Request messages per second. For unary calls it is the rate of calls.",
                    "cps",
                    (Query(_rate(RECEIVED), NAMED),),
                ),
                Panel(
                    "Messages sent",
                    "Reply messages per second. If a stream sends none any more while it is in flight, its"
                    " client does not read, or its handler waits.",
                    "cps",
                    (Query(_rate(SENT), NAMED),),
                ),
                Panel(
                    "Messages per call",
                    "Messages received and sent for each call that began. It says how long streams are.",
                    "short",
                    (
                        Query(f"{_rate(RECEIVED)} / {_rate(STARTED)}", f"received {NAMED}"),
                        Query(f"{_rate(SENT)} / {_rate(STARTED)}", f"sent {NAMED}"),
                    ),
                ),
            ),
        ),
    ),
)

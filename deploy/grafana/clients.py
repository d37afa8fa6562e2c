"""The calls that programs make with this project's client."""

from deploy.grafana.dashboard import Dashboard
from deploy.grafana.panels import METHOD, Panel, Query, Row
from deploy.prometheus.codes import FAULTY

NAMED = "{{job}} {{grpc_service}}/{{grpc_method}}"
BY = "namespace, job, grpc_service, grpc_method"
HANDLED = "grpc_client_handled_total"
RECEIVED, SENT = "grpc_client_msg_received_total", "grpc_client_msg_sent_total"


def _rate(metric: str, by: str = BY, matchers: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{METHOD}{matchers}}}[$__rate_interval]))"


def _quantile(part: float) -> str:
    by = "grpc_service, grpc_method, le"
    return f"histogram_quantile({part}, {_rate('grpc_client_handling_seconds_bucket', by)})"


DASHBOARD = Dashboard(
    "clients",
    "clients",
    "Calls as their clients see them: grpc_client metrics of this project's client, or of Go's.",
    "grpc_client_started_total",
    (
        Row(
            "Calls",
            (
                Panel(
                    "Rate by method",
                    "Calls that clients made, per second. More than the server counts: calls do not reach it,"
                    " or a proxy answers.",
                    "reqps",
                    (Query(_rate(HANDLED), NAMED),),
                ),
                Panel(
                    "Rate by code",
                    "Calls by the status code that the client saw, after its retries. UNAVAILABLE only here"
                    " is the network or the name resolution.",
                    "reqps",
                    (Query(f"{_rate(HANDLED, 'job, grpc_code')} > 0", "{{job}} {{grpc_code}}"),),
                ),
                Panel(
                    "Failed by the server's fault",
                    "The part of calls with a code that counts as the server's fault, as the client saw it."
                    " Above the server's own figure: look between the two.",
                    "percentunit",
                    (Query(f"{_rate(HANDLED, BY, f',{FAULTY}')} / {_rate(HANDLED)}", NAMED),),
                ),
                Panel(
                    "In flight",
                    "Calls that were started and are not over. Growth without growth of the rate: the server"
                    " has become slower, or calls have no deadline.",
                    "short",
                    (Query(f"sum by ({BY}) (grpc_client_in_flight{{{METHOD}}})", NAMED),),
                ),
            ),
        ),
        Row(
            "Durations and messages",
            (
                Panel(
                    "Duration",
                    "Median and 99th percentile as the client saw them. What exceeds the server's figure is"
                    " the network, the queue in the client, and retries.",
                    "s",
                    tuple(
                        Query(_quantile(part), f"p{100 * part:g} {{{{grpc_service}}}}/{{{{grpc_method}}}}")
                        for part in (0.5, 0.99)
                    ),
                ),
                Panel(
                    "Durations",
                    "How many calls took how long, as the client saw them. The dots are calls with a trace.",
                    "s",
                    (Query(_rate("grpc_client_handling_seconds_bucket", "le"), "{{le}}", exemplars=True),),
                    kind="heatmap",
                ),
                Panel(
                    "Messages received",
                    "Reply messages per second.",
                    "cps",
                    (Query(_rate(RECEIVED), NAMED),),
                ),
                Panel(
                    "Messages sent",
                    "Request messages per second.",
                    "cps",
                    (Query(_rate(SENT), NAMED),),
                ),
            ),
        ),
    ),
)

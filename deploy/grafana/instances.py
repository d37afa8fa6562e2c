"""Each instance: its share of the calls, how full it is, its drain, and what its process uses."""

from deploy.grafana.dashboard import Dashboard
from deploy.grafana.panels import BY_POD, METHOD, POD, TARGET, Panel, Query, Row, Threshold
from deploy.prometheus.codes import OWN
from deploy.prometheus.instances import STREAMS

CALLS_KIND = ',kind="calls"'
KIND = f"{POD} {{{{kind}}}}"
CALLS = f"sum by ({BY_POD}) (rate(grpc_server_handled_total{{{METHOD},{OWN}}}[$__rate_interval]))"
EVEN = f"on (namespace, job) group_left () avg by (namespace, job) ({CALLS})"
EXPIRES = "tls_certificate_expiration_timestamp_seconds"
DAYS = 86400.0
FULL = (Threshold(None, "green"), Threshold(0.8, "orange"), Threshold(1, "red"))
EXPIRY = (Threshold(None, "red"), Threshold(2 * DAYS, "orange"), Threshold(14 * DAYS, "green"))


def _rate(metric: str, by: str = BY_POD) -> str:
    return f"sum by ({by}) (rate({metric}{{{TARGET}}}[$__rate_interval]))"


def _gauge(metric: str, matchers: str = "", by: str = BY_POD) -> str:
    return f"max by ({by}) ({metric}{{{TARGET}{matchers}}})"


DASHBOARD = Dashboard(
    "instances",
    "instances",
    "The share, load, drain and resources of each instance.",
    "grpc_server_started_total",
    (
        Row(
            "Share",
            (
                Panel(
                    "Share of the calls",
                    "An instance's calls, as a part of an even share: 1 is even. An instance that stays above"
                    " 1.5, or at 0, has clients that do not balance: see the alert GrpcUnevenCalls.",
                    "short",
                    (
                        Query(
                            f"{CALLS} / {EVEN}",
                            POD,
                        ),
                    ),
                ),
                Panel(
                    "Calls",
                    "Calls per second of each instance. New instances should reach the rate of the others"
                    " within a minute.",
                    "reqps",
                    (Query(CALLS, POD),),
                ),
            ),
        ),
        Row(
            "Load",
            (
                Panel(
                    "Saturation",
                    "Unary calls for each worker, and streams as a part of their limit. Above 80 % for long:"
                    " add pods. Above 100 %, unary calls wait.",
                    "percentunit",
                    (
                        Query(
                            f"{_gauge('grpc_server_concurrency', CALLS_KIND)}"
                            f" / {_gauge('grpc_server_workers')}",
                            f"{POD} calls",
                        ),
                        Query(
                            f"{_gauge('grpc_server_concurrency', f',{STREAMS}', f'{BY_POD}, kind')}"
                            f" / {_gauge('grpc_server_concurrency_limit', f',{STREAMS}', f'{BY_POD}, kind')}",
                            KIND,
                        ),
                    ),
                    thresholds=FULL,
                ),
                Panel(
                    "In flight, by kind",
                    "Calls that run or wait for a worker, by the limit that they count against.",
                    "short",
                    (Query(_gauge("grpc_server_concurrency", by=f"{BY_POD}, kind"), KIND),),
                ),
                Panel(
                    "Queue",
                    "Unary calls that wait for a worker. It should be 0 most of the time; APP_MAX_QUEUE_TIME"
                    " bounds how long they wait.",
                    "short",
                    (Query(_gauge("grpc_server_queued"), POD),),
                ),
                Panel(
                    "Ready",
                    "1 while an instance is ready. One that stays at 0 and does not drain has a service that"
                    " cannot answer: see the alert GrpcServerNotReady.",
                    "short",
                    (Query(_gauge("grpc_server_ready"), POD),),
                    most=1,
                ),
                Panel(
                    "Draining",
                    "1 while an instance drains: it still serves, and ends when its last call is over. One"
                    " that drains for longer than its delay has long streams.",
                    "short",
                    (Query(_gauge("grpc_server_draining"), POD),),
                    most=1,
                ),
                Panel(
                    "Restarts in an hour",
                    "How often the process of an instance was started again. More than 0: see the previous"
                    " log and the reason of the last state of its pod.",
                    "short",
                    (Query(f"sum by ({BY_POD}) (changes(process_start_time_seconds{{{TARGET}}}[1h]))", POD),),
                ),
                Panel(
                    "Uptime",
                    "Since when the process runs.",
                    "s",
                    (Query(f"time() - {_gauge('process_start_time_seconds')}", POD),),
                ),
            ),
        ),
        Row(
            "Process",
            (
                Panel(
                    "CPU",
                    "Cores that are used. A process uses at most one for calls: near 1, add pods.",
                    "short",
                    (Query(_rate("process_cpu_seconds_total"), POD),),
                ),
                Panel(
                    "Memory",
                    "Resident memory. Steady growth over days is a leak; compare it with resources.limits.",
                    "bytes",
                    (Query(_gauge("process_resident_memory_bytes"), POD),),
                ),
                Panel(
                    "Threads",
                    "Threads of the process. Each open stream and health Watch has one.",
                    "short",
                    (Query(_gauge("process_threads"), POD),),
                ),
                Panel(
                    "Garbage collections",
                    "Collections per second, by generation. Many of generation 2 cost CPU: look for handlers"
                    " that make large objects.",
                    "ops",
                    (
                        Query(
                            _rate("python_gc_collections_total", f"{BY_POD}, generation"),
                            f"{POD} {{{{generation}}}}",
                        ),
                    ),
                ),
                Panel(
                    "File descriptors",
                    "Open descriptors as a part of their limit. Each connection has one: near 1, connections"
                    " are closed at once.",
                    "percentunit",
                    (Query(f"{_gauge('process_open_fds')} / {_gauge('process_max_fds')}", POD),),
                    thresholds=FULL,
                ),
                Panel(
                    "Dropped log lines",
                    "Log lines per second that were not written. docs/telemetry.md has the reasons.",
                    "cps",
                    (Query(_rate("log_lines_dropped_total", f"{BY_POD}, reason"), f"{POD} {{{{reason}}}}"),),
                ),
                Panel(
                    "Dropped spans",
                    "Spans per second that no collector has. No call waits for it: see whether the collector"
                    " is gone, full or slow: see the alert GrpcSpansDropped.",
                    "cps",
                    (Query(_rate("otel_spans_dropped_total", f"{BY_POD}, reason"), f"{POD} {{{{reason}}}}"),),
                ),
            ),
        ),
        Row(
            "Certificates and versions",
            (
                Panel(
                    "Certificates expire in",
                    "The time until a certificate expires; nothing without TLS. Below 14 days: see the alert"
                    " GrpcCertificateExpires.",
                    "s",
                    (
                        Query(
                            f"{_gauge(EXPIRES, by=f'{BY_POD}, certificate')} - time()",
                            f"{POD} {{{{certificate}}}}",
                        ),
                    ),
                    thresholds=EXPIRY,
                    least=None,
                ),
                Panel(
                    "Versions",
                    "How many instances run which version. Two at once are an update that is under way, or"
                    " stuck.",
                    "short",
                    (Query(f"count by (version) (app_build_info{{{TARGET}}})", "{{version}}"),),
                ),
            ),
        ),
    ),
)

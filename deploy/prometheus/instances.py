"""Rules about single instances: saturation, balancing, certificates, targets and restarts."""

from deploy.identity import group
from deploy.prometheus.codes import OWN
from deploy.prometheus.model import Alert, Group, Record

BY = "namespace, job, instance, pod"

SATURATION = "instance:grpc_server_saturation:ratio"
SHARE = "instance:grpc_server_handled:rate5m"
# The same of instances whose share counts: ready, not draining, and old enough for every client to know them.
SETTLED = "instance:grpc_server_settled_handled:rate5m"
SETTLED_SECONDS = 600

# Kinds of calls with a thread each; unary calls share the workers.
STREAMS = 'kind=~"streams|health_watches"'


def groups() -> tuple[Group, ...]:
    records = (
        Record(
            SATURATION,
            f"""
            max by ({BY}) (
              grpc_server_concurrency{{<selector>,kind="calls"}}
                / ignoring (kind) grpc_server_workers{{<selector>}}
              or
              grpc_server_concurrency{{<selector>,{STREAMS}}}
                / grpc_server_concurrency_limit{{<selector>,{STREAMS}}}
            )
            """,
        ),
        Record(SHARE, f"sum by ({BY}) (rate(grpc_server_handled_total{{<selector>,{OWN}}}[5m]))"),
        Record(
            SETTLED,
            f"""
            {SHARE}{{<selector>}}
            and on ({BY}) (time() - process_start_time_seconds{{<selector>}} > {SETTLED_SECONDS})
            and on ({BY}) (grpc_server_draining{{<selector>}} == 0)
            and on ({BY}) (grpc_server_ready{{<selector>}} == 1)
            """,
        ),
    )
    return (Group(group("instances"), "30s", (*records, *_alerts())),)


def _alerts() -> tuple[Alert, ...]:
    where = "{{ with $labels.namespace }}{{ . }}/{{ end }}{{ $labels.job }}"
    service = "namespace, job, grpc_service"
    one = "{{ or $labels.pod $labels.instance }}"
    certificate = f"The certificate {{{{ $labels.certificate }}}} of {where}"
    expires = f"{certificate} expires in {{{{ $value | humanizeDuration }}}}."
    calls = f"avg by (namespace, job) ({SETTLED}{{<selector>}})"
    return (
        Alert(
            name="GrpcServerDown",
            severity="critical",
            expr="sum by (namespace, job) (up{<selector>}) == 0 or absent(up{<selector>})",
            wait="1m",
            summary=f"No instance of {where} can be scraped.",
            description="The server is down, or Prometheus does not find it: nothing else about it is known.",
        ),
        Alert(
            name="GrpcTargetGone",
            severity="warning",
            expr="up{<selector>} == 0",
            wait="5m",
            summary=f"{one} of {where} cannot be scraped.",
            description="Its metrics port has not answered for five minutes.",
        ),
        Alert(
            name="GrpcServerNotReady",
            severity="warning",
            expr="grpc_server_ready{<selector>} == 0 unless grpc_server_draining{<selector>} == 1",
            wait="5m",
            summary=f"{one} of {where} is not ready.",
            description="It is alive and does not drain; a service says that it cannot answer.",
        ),
        Alert(
            name="GrpcServerSaturated",
            severity="warning",
            expr=f"avg_over_time({SATURATION}{{<selector>}}[5m]) > <saturation>",
            wait="5m",
            summary=f"{one} of {where} uses {{{{ $value | humanizePercentage }}}} of its workers or streams.",
            description="Above 100 %, calls wait for a worker. If this goes on, calls are refused.",
        ),
        Alert(
            name="GrpcServerRefuses",
            severity="warning",
            expr=f"""
                sum by ({service}) (
                  rate(grpc_server_refused_total{{<selector>,{OWN},reason="limit"}}[5m])
                )
                  / sum by ({service}) (rate(grpc_server_handled_total{{<selector>,{OWN}}}[5m]))
                > 0.01
                """,
            wait="5m",
            summary="{{ $value | humanizePercentage }} of the calls of {{ $labels.grpc_service }} are"
            " refused.",
            description=f"{where} has as many calls as its limits admit.",
        ),
        Alert(
            name="GrpcPodWithoutCalls",
            severity="warning",
            expr=f"""
                max_over_time({SETTLED}{{<selector>}}[10m]) == 0
                and on (namespace, job) {calls} * 600 > 20
                """,
            wait="5m",
            summary=f"{one} of {where} gets no calls, while others do.",
            description="Its clients do not know it, or do not balance.",
        ),
        Alert(
            name="GrpcUnevenCalls",
            severity="warning",
            expr=f"""
                {SETTLED}{{<selector>}} / on (namespace, job) group_left () {calls} > <imbalance>
                and on (namespace, job) {calls} > 1
                """,
            wait="15m",
            summary=f"{one} of {where} gets {{{{ $value | humanize }}}} times an even share of the calls.",
            description="Some clients do not balance, or a few clients make most calls.",
        ),
        Alert(
            name="GrpcCertificateExpires",
            severity="warning",
            expr=_expires("<days>"),
            wait="15m",
            summary=expires,
            description="It should have been renewed by now.",
        ),
        Alert(
            name="GrpcCertificateExpiresSoon",
            severity="critical",
            expr=_expires("2"),
            summary=expires,
            description="Then every new connection fails.",
        ),
        Alert(
            name="GrpcSpansDropped",
            severity="warning",
            expr=f"""
                {_spans("dropped")} / ({_spans("dropped")} + {_spans("exported")}) > 0.01
                """,
            wait="10m",
            summary=f"{{{{ $value | humanizePercentage }}}} of the spans of {where} are lost.",
            description="Its collector is gone, full or slow. Calls are not affected; traces have gaps.",
        ),
        Alert(
            name="GrpcRestartInDrain",
            severity="warning",
            expr="""
                changes(process_start_time_seconds{<selector>}[15m]) > 0
                and max_over_time(grpc_server_draining{<selector>}[15m]) == 1
                """,
            summary=f"{one} of {where} was started again after a drain.",
            description="Its process was asked to end, but its pod was not deleted; calls may have been cut.",
        ),
    )


def _spans(fate: str) -> str:
    """Spans per second that were exported, or dropped."""
    return f"sum by (namespace, job) (rate(otel_spans_{fate}_total{{<selector>}}[5m]))"


def _expires(days: str) -> str:
    """The certificates that expire within so many days."""
    return f"""
                min by (namespace, job, certificate) (
                  tls_certificate_expiration_timestamp_seconds{{<selector>}}
                ) - time() < {days} * 86400
                """

"""The figures of `top`, from scrapes that a test wrote."""

import asyncio
import io
import json
import math
import re
import time
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from app.core.errors import UsageError
from app.tools.top.addresses import DEFAULT_PORT, Endpoint, LookUp, parse_targets, servers_of
from app.tools.top.as_json import as_json
from app.tools.top.figures import Figures, Reading, ServerFigures, State, Usage, figures_of, without_figures
from app.tools.top.names import READ
from app.tools.top.quantile import histogram_quantile
from app.tools.top.report import report
from app.tools.top.samples import parse_samples

INF = math.inf


def method(name: str = "Get", service: str = "acme.Shop") -> str:
    return f'grpc_type="unary",grpc_service="{service}",grpc_method="{name}"'


def scrape(*lines: str, ready: int = 1) -> str:
    """The text of a server's metrics, with these lines."""
    return "\n".join(["# HELP a help", f"grpc_server_ready {ready}.0", *lines, ""])


def handled(count: float, code: str = "OK", **of: str) -> str:
    return f'grpc_server_handled_total{{{method(**of)},grpc_code="{code}"}} {count}'


def reading(at: float, *lines: str, ready: int = 1) -> Reading:
    return Reading(at, 1000.0, parse_samples(scrape(*lines, ready=ready)))


def between(before: list[str], now: list[str], seconds: float = 2) -> ServerFigures:
    return figures_of("a:1", reading(10 + seconds, *now), reading(10, *before))


@pytest.mark.parametrize(
    ("quantile", "buckets", "expected"),
    [
        # Ten observations spread evenly over 0 to 1, and over 1 to 2.
        (0.5, {1.0: 10, 2.0: 20, INF: 20}, 1.0),
        (0.25, {1.0: 10, 2.0: 20, INF: 20}, 0.5),
        (0.75, {1.0: 10, 2.0: 20, INF: 20}, 1.5),
        # Beyond the last bound: that bound.
        (0.99, {1.0: 10, 2.0: 20, INF: 40}, 2.0),
        # In an empty first bucket, from its bound on.
        (0.5, {1.0: 0, 2.0: 4, INF: 4}, 1.5),
        # A count that falls counts as the one before.
        (0.5, {1.0: 10, 2.0: 9, INF: 20}, 1.0),
        # Negative bounds.
        (0.1, {-1.0: 10, 2.0: 20, INF: 20}, -1.0),
        (0.5, {1.0: 0, INF: 0}, None),
        (0.5, {INF: 3}, None),
        (0.5, {1.0: 3, 2.0: 3}, None),
        (0.5, {}, None),
    ],
)
def test_a_quantile_is_that_of_prometheus(
    quantile: float, buckets: Mapping[float, float], expected: float | None
) -> None:
    assert histogram_quantile(quantile, buckets) == (None if expected is None else pytest.approx(expected))


def test_rates_are_increases_per_second_by_method_and_code() -> None:
    found = between([handled(100), handled(5, "NotFound")], [handled(140), handled(6, "NotFound")])
    [figures] = found.methods.values()
    assert figures.codes == {"OK": 20.0, "NotFound": 0.5}
    assert figures.errors == {"NotFound": 0.5}
    assert (found.rate, found.state) == (20.5, State.READY)


def test_a_counter_that_starts_again_counts_from_0() -> None:
    assert between([handled(1000)], [handled(30)]).rate == 15


def test_a_series_that_was_not_there_has_no_rate_yet() -> None:
    assert between([handled(1)], [handled(1), handled(500, "Internal")]).rate == 0


def test_without_an_earlier_scrape_there_is_no_rate() -> None:
    found = figures_of("a:1", reading(10, handled(7)), None)
    assert (found.rated, found.rate) == (False, 0)
    assert Figures((found,)).share(found) is None


def test_probes_and_unknown_methods_are_no_calls() -> None:
    lines = [
        [handled(count), handled(count, service="grpc.health.v1.Health"), handled(count, service="unknown")]
        for count in (0, 10)
    ]
    found = between(lines[0], lines[1])
    assert found.rate == 5
    assert len(found.methods) == 3


def test_durations_of_several_servers_are_added_before_the_quantile() -> None:
    def buckets(small: int, large: int) -> list[str]:
        counts = {"1.0": small, "2.0": small + large, "+Inf": small + large}
        return [
            handled(small + large),
            *(
                f'grpc_server_handling_seconds_bucket{{{method()},le="{bound}"}} {count}'
                for bound, count in counts.items()
            ),
        ]

    one, other = between(buckets(0, 0), buckets(30, 0)), between(buckets(0, 0), buckets(0, 10))
    [together] = Figures((one, other)).methods.values()
    assert together.latency(50) == pytest.approx(2 / 3)
    assert together.latency(95) == pytest.approx(1.8)


@pytest.mark.parametrize(
    ("lines", "ready", "state"),
    [
        ([], 1, State.READY),
        ([], 0, State.NOT_READY),
        (["grpc_server_draining 1.0"], 0, State.DRAINING),
    ],
)
def test_the_state_is_that_of_the_metrics(lines: list[str], ready: int, state: State) -> None:
    assert figures_of("a:1", reading(0, handled(0), *lines, ready=ready), None).state is state


def test_the_uptime_is_by_the_clock_of_the_server() -> None:
    now = reading(0, handled(0), "process_start_time_seconds 7e2")
    assert figures_of("a:1", now, None).uptime == 300


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no metric grpc_server_handled_total"),
        ("<html>", "there is no metric grpc_server_handled_total"),
        ('grpc_server_handled_total{grpc_type="unary"} 1', "a metric has no label 'grpc_service'"),
        ('grpc_server_handled_total{grpc_type="} 1', "not in Prometheus' text format"),
        (f"{handled(1)}x", "a value of grpc_server_handled_total is not a number"),
    ],
)
def test_what_is_not_a_servers_metrics_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse_samples(text)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(READ)),
            st.text(alphabet='{}",=\\ \t_lekind012+#grpc', max_size=30),
            st.sampled_from(["1", "NaN", "+Inf", "-1", "1e300", "x", ""]),
        ),
        max_size=5,
    )
)
@settings(max_examples=300, deadline=None)
def test_hostile_metrics_give_figures_or_an_error(parts: list[tuple[str, str, str]]) -> None:
    text = "\n".join([handled(1), *(f"{name}{labels} {value}" for name, labels, value in parts)])
    try:
        now = Reading(2, 0, parse_samples(text))
    except ValueError:
        return
    figures = Figures((figures_of("a:1", now, Reading(1, 0, now.samples)),))
    assert shown(figures)
    assert json.dumps(as_json(figures), allow_nan=False)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1", "1e300"])
def test_values_that_nothing_can_have_are_left_out(value: str) -> None:
    lines = [handled(1), "process_resident_memory_bytes " + value, handled(0, "Internal").replace("0", value)]
    found = figures_of("a:1", reading(0, *lines), None)
    assert found.memory is None
    assert json.dumps(as_json(Figures((found,))), allow_nan=False)


def shown(figures: Figures, width: int = 80, height: int | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(report(figures, width, height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


HOSTILE = "\x1b]0;title\x07\x9b2J[red]x[/red]\u202e"


def test_what_a_server_sends_is_printed_as_text() -> None:
    escaped = HOSTILE.replace('"', "")
    lines = [
        [
            handled(count, HOSTILE, name=escaped),
            f'app_build_info{{version="{HOSTILE}"}} 1',
            f'grpc_server_concurrency{{kind="{HOSTILE}"}} 5',
        ]
        for count in (0, 10)
    ]
    text = "\n".join(shown(Figures((between(lines[0], lines[1]),)), 400))
    assert all(one.isprintable() or one == "\n" for one in text)
    assert "\\x1b]0;title\\x07\\x9b2J[red]x[/red]\\u202e" in text


BUSY = [
    [
        *(
            line
            for number in range(40)
            for line in (
                handled(count * number, name=f"VeryLongMethodName{number}", service="acme.inventory.v1.Shop"),
                handled(
                    count, "Internal", name=f"VeryLongMethodName{number}", service="acme.inventory.v1.Shop"
                ),
            )
        ),
        'grpc_server_concurrency{kind="calls"} 900',
        'grpc_server_concurrency_limit{kind="calls"} 1000',
    ]
    for count in (0, 100_000)
]


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("height", [20, 24, 60])
def test_the_tables_fit_the_terminal(width: int, height: int) -> None:
    one = between(BUSY[0], BUSY[1])
    several = [
        one,
        *(without_figures(f"10.0.0.{number}:9464", "gone", answered=True) for number in range(300)),
    ]
    lines = shown(Figures(tuple(several)), width, height)
    assert max(map(len, lines)) <= width
    assert len(lines) <= height
    assert any("more servers" in line for line in lines)
    assert any("more rows" in line for line in lines)


def test_where_there_is_no_place_for_all_the_busiest_and_the_worst_come_first() -> None:
    servers = (
        *(ServerFigures(label=f"a:{port}", state=State.READY) for port in range(1, 20)),
        ServerFigures(label="b:1", state=State.DRAINING),
        between(BUSY[0], BUSY[1]),
    )
    lines = shown(Figures(servers), 80, 24)
    assert lines[3].startswith("b:1")
    busiest = next(at for at, line in enumerate(lines) if line.startswith("method")) + 1
    assert "VeryLongMethodName39" in lines[busiest]


def test_a_narrow_terminal_shows_the_rate_and_the_percentiles() -> None:
    lines = shown(Figures((between(BUSY[0], BUSY[1]),)), 60)
    assert next(line for line in lines if line.startswith("method")).split() == [
        "method",
        "calls/s",
        "p50",
        "p95",
        "p99",
    ]


def test_a_limit_is_compared_on_the_server_that_has_used_most_of_it() -> None:
    servers = tuple(
        ServerFigures(label=f"a:{used}", state=State.READY, limits={"calls": Usage(used, 100)})
        for used in (10, 90)
    )
    assert shown(Figures(servers))[-1].split() == ["calls", "100", "200", "50", "%", "90", "%"]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost", "localhost", DEFAULT_PORT),
        ("10.0.0.1:80", "10.0.0.1", 80),
        ("[::1]:80", "::1", 80),
        ("http://127.0.0.1:9464/metrics", "127.0.0.1", 9464),
        ("dns:///shop-headless:9464", "shop-headless", 9464),
        ("shop-headless.shop.svc", "shop-headless.shop.svc", DEFAULT_PORT),
    ],
)
def test_addresses_are_read_in_each_usual_form(text: str, host: str, port: int) -> None:
    [target] = parse_targets([text])
    assert (target.host, target.port) == (host, port)


@pytest.mark.parametrize("text", ["", "a:0", "a:70000", "a:x", "::1:80", "https://a:80", "a:1/other", "a,,b"])
def test_an_invalid_address_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="invalid address"):
        parse_targets([text])


def resolved(text: str, look_up: LookUp) -> tuple[Endpoint, ...]:
    [target] = parse_targets([text])
    return asyncio.run(servers_of(target, look_up, 1))


def test_a_name_is_every_server_that_it_resolves_to() -> None:
    found = resolved("shop:80", lambda name: ["10.0.0.2", "10.0.0.1", "10.0.0.2"] if name == "shop" else [])
    assert [one.label for one in found] == ["10.0.0.1:80", "10.0.0.2:80"]


def test_a_server_with_an_address_of_each_family_is_one_server() -> None:
    assert [one.label for one in resolved("shop:80", lambda _: ["fd00::1", "10.0.0.1"])] == ["10.0.0.1:80"]
    assert [one.label for one in resolved("shop:80", lambda _: ["fd00::1"])] == ["[fd00::1]:80"]
    assert resolved("localhost:80", lambda _: []) == (Endpoint("localhost:80", ("127.0.0.1", "::1"), 80),)


def test_a_name_server_that_does_not_answer_is_not_waited_for() -> None:
    [target] = parse_targets(["shop:80"])
    began = time.monotonic()

    def slow(_name: str) -> list[str]:
        time.sleep(1)
        return []

    with pytest.raises(TimeoutError):
        asyncio.run(servers_of(target, slow, 0.1))
    assert time.monotonic() - began < 0.8

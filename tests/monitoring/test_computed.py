"""Prometheus computes what tests/support/computed.py says; `make page` compares the status page with that."""

from pathlib import Path

from tests.monitoring.promtool import evaluate
from tests.support.computed import BUCKETS, EVERY, QUANTILES, RATES


def test_prometheus_computes_these_rates_and_quantiles(tmp_path: Path) -> None:
    last = (max(map(len, RATES)) - 1) * EVERY
    counters = [
        {"series": f'counter{{number="{number}"}}', "values": " ".join(map(str, values))}
        for number, values in enumerate(RATES)
    ]
    buckets = [
        {"series": f'seconds_bucket{{of="{name}", le="{bound}"}}', "values": f"{count}x{last // EVERY}"}
        for name, counts in BUCKETS.items()
        for bound, count in counts.items()
    ]
    # Of a window that holds all samples, which rate() takes to begin one interval before the first.
    expected = [
        (f'rate(counter{{number="{number}"}}[{last + EVERY}s])', rate)
        for number, rate in enumerate(RATES.values())
    ]
    expected += [
        (f'histogram_quantile({q}, seconds_bucket{{of="{name}"}})', value)
        for (name, q), value in QUANTILES.items()
        if value is not None
    ]
    none = [
        f'histogram_quantile({q}, seconds_bucket{{of="{name}"}}) >= 0'
        for (name, q), value in QUANTILES.items()
        if value is None
    ]
    case: dict[str, object] = {
        "interval": f"{EVERY}s",
        "input_series": [*counters, *buckets],
        "promql_expr_test": [
            *(
                {
                    "expr": f"abs(sum({text}) - {value}) < bool 0.000001",
                    "eval_time": f"{last}s",
                    "exp_samples": [{"labels": "{}", "value": 1}],
                }
                for text, value in expected
            ),
            *({"expr": text, "eval_time": f"{last}s", "exp_samples": []} for text in none),
        ],
    }
    done = evaluate(tmp_path, "groups: []", [case], EVERY)
    assert done.returncode == 0, done.stdout + done.stderr

"""`top` computes the quantiles that Prometheus computes, which promtool evaluates here."""

import math
import random
from collections.abc import Mapping
from pathlib import Path

from app.telemetry.metric_names import BUCKETS
from app.tools.top.quantile import histogram_quantile
from tests.monitoring.promtool import Scenario, Series, evaluate

QUANTILES = (0.01, 0.5, 0.95, 0.99, 1.0)
BOUNDS = {
    "of the server": (*BUCKETS, math.inf),
    "one": (1.0, math.inf),
    "negative": (-2.0, -1.0, 0.0, 1.0, math.inf),
}
METRIC = "a_bucket"


def histograms() -> list[Mapping[float, float]]:
    """Some with empty buckets, with observations beyond the last bound, and with counts that fall."""
    chance = random.Random(7)  # noqa: S311 - the same histograms each time
    found = []
    for bounds in BOUNDS.values():
        for _ in range(30):
            counts, total = {}, 0
            for bound in bounds:
                total += chance.choice((0, 0, 1, 5, 40, 300))
                counts[bound] = float(total)
            if chance.random() < 0.2:
                counts[chance.choice(bounds[:-1])] = 0.0
            found.append(counts)
    return [one for one in found if max(one.values()) > 0]


def series(buckets: Mapping[float, float], number: int) -> list[Series]:
    return [
        Series(METRIC, {"n": str(number), "le": "+Inf" if math.isinf(bound) else repr(bound)}, f"{count}")
        for bound, count in buckets.items()
    ]


def test_quantiles_are_those_of_prometheus(tmp_path: Path) -> None:
    several = histograms()
    scenario = Scenario(
        "quantiles",
        [one for number, buckets in enumerate(several) for one in series(buckets, number)],
        {0: ()},
        values={
            f'histogram_quantile({quantile}, {METRIC}{{n="{number}"}})': value
            for number, buckets in enumerate(several)
            for quantile in QUANTILES
            if (value := histogram_quantile(quantile, buckets)) is not None
        },
    )
    assert len(scenario.values) > len(several)
    rules = '{"groups": [{"name": "none", "rules": [{"record": "a", "expr": "1"}]}]}'
    done = evaluate(tmp_path, rules, [scenario], 15)
    assert done.returncode == 0, done.stdout + done.stderr

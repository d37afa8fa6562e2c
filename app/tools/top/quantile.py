"""Quantiles of a histogram, as `histogram_quantile` of Prometheus computes them."""

import math
from collections.abc import Mapping


def histogram_quantile(quantile: float, buckets: Mapping[float, float]) -> float | None:
    """Returns the quantile, from 0 to 1, of a histogram's rates by upper bound (`le`).

    Observations are taken to be spread evenly within a bucket, so the result is as exact as the buckets are
    narrow; beyond the last finite bound it is that bound. Returns None without observations, or without a
    bucket for all of them.
    """
    bounds = sorted(buckets)
    if len(bounds) <= 1 or not math.isinf(bounds[-1]):
        return None
    counts: list[float] = []
    for bound in bounds:  # as Prometheus does where scrapes and rounding let a count fall
        counts.append(max(buckets[bound], counts[-1] if counts else 0.0))
    if counts[-1] <= 0:
        return None
    rank = quantile * counts[-1]
    position = next((at for at, count in enumerate(counts[:-1]) if count >= rank), len(counts) - 1)
    if position == len(counts) - 1:
        return bounds[-2]
    if position == 0 and bounds[0] <= 0:
        return bounds[0]
    start, below = (bounds[position - 1], counts[position - 1]) if position else (0.0, 0.0)
    within = counts[position] - below
    return start + (bounds[position] - start) * ((rank - below) / within if within else 1.0)

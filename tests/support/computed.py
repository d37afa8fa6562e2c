"""What Prometheus computes: `make monitoring` asks it, and `make page` the status page."""

# Counters, scraped every two seconds, and their rate over the time between the first and the last.
EVERY = 2  # seconds
RATES: dict[tuple[int, ...], float] = {
    (1000, 1000, 1000, 1000, 1000): 0.0,
    (1000, 1010, 1030, 1030, 1100): 12.5,
    (1000, 1010, 7, 9, 25): 4.375,  # began again at 0 after the second
    (1000, 3, 5, 1, 2): 0.875,  # began again twice
}

# Counts by upper bound, a quantile, and its value; NaN (None) without a call.
BUCKETS = {
    "even": {"0.005": 10, "0.01": 20, "0.025": 30, "0.05": 40, "+Inf": 40},
    "fast": {"0.005": 100, "0.01": 100, "0.025": 100, "0.05": 100, "+Inf": 100},
    "slow": {"0.005": 0, "0.01": 0, "0.025": 0, "0.05": 1, "+Inf": 100},
    "gaps": {"0.005": 0, "0.01": 7, "0.025": 7, "0.05": 9, "+Inf": 9},
    "none": {"0.005": 0, "0.01": 0, "0.025": 0, "0.05": 0, "+Inf": 0},
}
QUANTILES: dict[tuple[str, float], float | None] = {
    ("even", 0.5): 0.01,
    ("even", 0.95): 0.045,
    ("even", 0.99): 0.049,
    ("fast", 0.5): 0.0025,
    ("fast", 0.99): 0.00495,
    ("slow", 0.01): 0.05,
    ("slow", 0.5): 0.05,  # it is above the highest bound
    ("gaps", 0.5): 0.005 + 0.005 * 4.5 / 7,
    ("gaps", 0.95): 0.025 + 0.025 * 1.55 / 2,
    ("none", 0.5): None,
}

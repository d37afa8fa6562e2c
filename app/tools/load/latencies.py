"""How long many calls took, in little room."""

import math

# Slots for a doubling of the time: two times of one slot are at most 1.1 % apart.
_SLOTS = 64
_LEAST = 1e-6  # seconds; anything shorter is counted as this
_COUNT = math.ceil(math.log2(7 * 86_400 / _LEAST)) * _SLOTS


class Latencies:
    """Counts times in seconds; their percentiles are within 1 % of the truth, however many there are."""

    def __init__(self, counts: list[int] | None = None, longest: float = 0.0) -> None:
        self.counts = counts or [0] * _COUNT
        self.longest = longest

    def add(self, seconds: float) -> None:
        slot = int(math.log2(seconds / _LEAST) * _SLOTS) if seconds > _LEAST else 0
        self.counts[min(slot, _COUNT - 1)] += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, percent: float) -> float:
        """The time that this many percent did not exceed; 0 where there is none at all."""
        rank = max(1, math.ceil(sum(self.counts) * percent / 100))
        seen = 0
        for slot, count in enumerate(self.counts):
            seen += count
            if seen >= rank:
                return min(self.longest, _LEAST * 2 ** ((slot + 0.5) / _SLOTS))
        return 0.0

    def copy(self) -> "Latencies":
        return Latencies(self.counts.copy(), self.longest)

    def since(self, earlier: "Latencies") -> "Latencies":
        """Those that were added since; the longest is known to within a slot."""
        counts = [now - then for now, then in zip(self.counts, earlier.counts, strict=True)]
        last = max((slot for slot, count in enumerate(counts) if count), default=None)
        longest = 0.0 if last is None else min(self.longest, _LEAST * 2 ** ((last + 1) / _SLOTS))
        return Latencies(counts, longest)

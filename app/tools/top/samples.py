"""The samples of a scrape that `top` reads."""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from app.tools.top.names import BUCKET, HANDLED, READ

# The values of a metric's labels, in the order of names.READ.
Values = tuple[str, ...]

# A series and its value; a time may follow.
_LINE = re.compile(rf"^((?:{'|'.join(READ)})(?:\{{.*\}})?) +(\S+)(?: +-?\d+)?$", re.MULTILINE)
# Floats count exactly up to here.
_MOST = 2.0**53


class Samples(NamedTuple):
    """The values of each metric of names.READ, by its labels; none of a metric that was not there."""

    metrics: Mapping[str, Mapping[Values, float]]

    def of(self, name: str) -> Mapping[Values, float]:
        return self.metrics.get(name, {})

    def single(self, name: str) -> float | None:
        """The value of a metric without labels."""
        return next(iter(self.of(name).values()), None)


def parse_samples(text: str) -> Samples:
    """Parses Prometheus' text format. Raises ValueError if these are not the metrics of a gRPC server.

    Values that no counter and no gauge of a server can have are left out.
    """
    found: dict[str, dict[Values, float]] = {}
    for series, number in _LINE.findall(text):
        name, labels = _series(series)
        try:
            value = float(number)
        except ValueError:
            raise ValueError(f"a value of {name} is not a number") from None
        if math.isfinite(value) and 0 <= value <= _MOST:
            found.setdefault(name, {})[labels] = value
    if HANDLED not in found:
        raise ValueError(f"there is no metric {HANDLED}")
    return Samples(found)


# Parsing labels takes most of the time, and they are the same in each scrape and on each server.
@lru_cache(2**16)
def _series(text: str) -> tuple[str, Values]:
    """Returns the name of a series and the values of the labels that are read. Raises ValueError."""
    try:
        [family] = text_string_to_metric_families(f"{text} 0\n")
        [sample] = family.samples
        labels = tuple(sample.labels[label] for label in READ[sample.name])
    except KeyError as error:
        raise ValueError(f"a metric has no label {error}") from None
    except (ValueError, IndexError):
        raise ValueError("a metric is not in Prometheus' text format") from None
    if sample.name == BUCKET and math.isnan(float(labels[-1])):
        raise ValueError("a bucket has no bound")
    return sample.name, labels

"""Outlier detection (gRPC proposal A50): backends that fail more often than others get no calls."""

from dataclasses import dataclass
from typing import Any

from app.client.validated_config import ValidatedConfig, duration


@dataclass(frozen=True, kw_only=True)
class FailurePercentage(ValidatedConfig):
    """Ejects backends whose failures exceed `threshold` percent of the calls of one interval.

    It counts only backends with at least `request_volume` calls in the interval, and ejects none if fewer
    than `minimum_hosts` have as many.
    """

    threshold: int = 50
    request_volume: int = 20
    minimum_hosts: int = 2

    def __post_init__(self) -> None:
        self._check_integer("threshold", 0, 99)
        self._check_integer("request_volume", 1, 1_000_000)
        self._check_integer("minimum_hosts", 1, 1_000_000)

    def as_dict(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold,
            "requestVolume": self.request_volume,
            "minimumHosts": self.minimum_hosts,
        }


@dataclass(frozen=True, kw_only=True)
class SuccessRate(ValidatedConfig):
    """Ejects backends whose success rate is `stdev_factor` standard deviations below the mean of all.

    The other settings are as in `FailurePercentage`. The worst of n backends is at most √(n - 1) standard
    deviations below the mean, so a larger `stdev_factor` ejects none.
    """

    stdev_factor: float = 1.9
    request_volume: int = 100
    minimum_hosts: int = 5

    def __post_init__(self) -> None:
        self._check_integer("minimum_hosts", 2, 1_000_000, "a mean of one backend is meaningless")
        self._check_number("stdev_factor", 0.001, 1000)
        self._check_integer("request_volume", 1, 1_000_000)

    def as_dict(self) -> dict[str, Any]:
        return {
            "stdevFactor": round(self.stdev_factor * 1000),
            "requestVolume": self.request_volume,
            "minimumHosts": self.minimum_hosts,
        }


@dataclass(frozen=True, kw_only=True)
class OutlierDetection(ValidatedConfig):
    """Ejects the backends that a rule finds, every `interval` seconds.

    An ejection lasts `base_ejection_time` seconds at first, and as much longer each time that it happens
    again, up to `max_ejection_time` seconds. At most `max_ejection_percent` of the backends are ejected at
    once, but always at least one may be. Each attempt of a retried call counts. Every code other than OK
    counts as a failure, including the caller's own mistakes.
    """

    interval: float = 10.0
    base_ejection_time: float = 30.0
    max_ejection_time: float = 300.0
    max_ejection_percent: int = 50
    failure_percentage: FailurePercentage | None = FailurePercentage()
    success_rate: SuccessRate | None = None

    def __post_init__(self) -> None:
        self._check_seconds("interval")
        self._check_seconds("base_ejection_time")
        self._check_seconds("max_ejection_time", self.base_ejection_time, "not less than base_ejection_time")
        self._check_integer("max_ejection_percent", 0, 100)
        self._check_type("failure_percentage", FailurePercentage | None, "a FailurePercentage or None")
        self._check_type("success_rate", SuccessRate | None, "a SuccessRate or None")
        if self.failure_percentage is None and self.success_rate is None:
            self._reject(
                "failure_percentage",
                "a FailurePercentage, or else a success_rate",
                "without a rule nothing is ejected",
            )

    def as_dict(self) -> dict[str, Any]:
        """The policy's configuration, without its child policy."""
        found: dict[str, Any] = {
            "interval": duration(self.interval),
            "baseEjectionTime": duration(self.base_ejection_time),
            "maxEjectionTime": duration(self.max_ejection_time),
            "maxEjectionPercent": self.max_ejection_percent,
        }
        if self.failure_percentage is not None:
            found["failurePercentageEjection"] = self.failure_percentage.as_dict()
        if self.success_rate is not None:
            found["successRateEjection"] = self.success_rate.as_dict()
        return found

"""Backends that fail more than others are left out for a while (gRPC proposal A50)."""

from dataclasses import dataclass
from typing import Any

from app.client.validated_config import ValidatedConfig, duration


@dataclass(frozen=True, kw_only=True)
class FailurePercentage(ValidatedConfig):
    """Finds a backend of whose calls more than `threshold` percent failed within one interval.

    It looks at those that had at least `request_volume` calls in it, and only where at least `minimum_hosts`
    had.
    """

    threshold: int = 50
    request_volume: int = 20
    minimum_hosts: int = 2

    def __post_init__(self) -> None:
        self._whole("threshold", 0, 99, "more than all calls cannot fail")
        self._whole("request_volume", 1, 1_000_000)
        self._whole("minimum_hosts", 1, 1_000_000)

    def rendered(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold,
            "requestVolume": self.request_volume,
            "minimumHosts": self.minimum_hosts,
        }


@dataclass(frozen=True, kw_only=True)
class SuccessRate(ValidatedConfig):
    """Finds a backend whose share of successes is `stdev_factor` standard deviations under the mean of all.

    The other settings are as in `FailurePercentage`. The worst of n backends is at most √(n - 1) standard
    deviations under the mean, and is never found by a `stdev_factor` of more.
    """

    stdev_factor: float = 1.9
    request_volume: int = 100
    minimum_hosts: int = 5

    def __post_init__(self) -> None:
        self._whole("minimum_hosts", 2, 1_000_000, "a mean takes several")
        self._number("stdev_factor", 0.001, 1000)
        self._whole("request_volume", 1, 1_000_000)

    def rendered(self) -> dict[str, Any]:
        return {
            "stdevFactor": round(self.stdev_factor * 1000),
            "requestVolume": self.request_volume,
            "minimumHosts": self.minimum_hosts,
        }


@dataclass(frozen=True, kw_only=True)
class OutlierDetection(ValidatedConfig):
    """Every `interval` seconds, backends that the rules find get no calls for a while.

    That is `base_ejection_time` the first time and grows by as much each time that it happens again, up to
    `max_ejection_time`, both in seconds. Further backends are left out only while fewer than
    `max_ejection_percent` are; one may always be. Every attempt of a call that is retried counts, and a code
    other than OK is a failure, the caller's own mistakes too.
    """

    interval: float = 10.0
    base_ejection_time: float = 30.0
    max_ejection_time: float = 300.0
    max_ejection_percent: int = 50
    failure_percentage: FailurePercentage | None = FailurePercentage()
    success_rate: SuccessRate | None = None

    def __post_init__(self) -> None:
        self._seconds("interval")
        self._seconds("base_ejection_time")
        self._seconds("max_ejection_time", self.base_ejection_time, "it is no shorter than the base")
        self._whole("max_ejection_percent", 0, 100)
        self._kind("failure_percentage", FailurePercentage | None, "a FailurePercentage or None")
        self._kind("success_rate", SuccessRate | None, "a SuccessRate or None")
        if self.failure_percentage is None and self.success_rate is None:
            self._wrong(
                "failure_percentage", "a FailurePercentage, or a success_rate", "no rule finds nothing"
            )

    def rendered(self) -> dict[str, Any]:
        """The policy's configuration, without its child policy."""
        found: dict[str, Any] = {
            "interval": duration(self.interval),
            "baseEjectionTime": duration(self.base_ejection_time),
            "maxEjectionTime": duration(self.max_ejection_time),
            "maxEjectionPercent": self.max_ejection_percent,
        }
        if self.failure_percentage is not None:
            found["failurePercentageEjection"] = self.failure_percentage.rendered()
        if self.success_rate is not None:
            found["successRateEjection"] = self.success_rate.rendered()
        return found

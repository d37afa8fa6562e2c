"""A Prometheus that scrapes the cluster's pods, by way of its HTTP API."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

_WEB = build_opener(ProxyHandler({}))  # it is on this machine, or in its network


@dataclass(frozen=True)
class Prometheus:
    """It has the pods' namespace as the label `namespace`, and their name as `pod`."""

    address: str

    def answers(self) -> bool:
        try:
            with _WEB.open(f"{self.address}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def counts(self, expression: str, *labels: str) -> Counter[tuple[str, ...]]:
        """The samples of an expression in PromQL by the values of these labels, but those that are 0."""
        found = self._get("query", query=expression)["result"]
        samples = {
            tuple(one["metric"].get(label, "") for label in labels): float(one["value"][1]) for one in found
        }
        assert all(value.is_integer() for value in samples.values()), samples
        return Counter({key: int(value) for key, value in samples.items() if value})

    def targets(self, namespace: str) -> dict[str, Any]:
        """What is scraped in the namespace: a target for each pod's name."""
        active = self._get("targets", state="active")["activeTargets"]
        ours = [one for one in active if one["labels"].get("namespace") == namespace]
        return {one["labels"]["pod"]: one for one in ours}

    def _get(self, what: str, **parameters: str) -> Any:
        with _WEB.open(f"{self.address}/api/v1/{what}?{urlencode(parameters)}", timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

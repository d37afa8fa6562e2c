"""A Prometheus of its own, on this machine, by way of its HTTP API."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import pytest
import yaml

from tests.support.waiting import until

PROMETHEUS = Path(sys.executable).with_name("prometheus")

_WEB = build_opener(ProxyHandler({}))  # it is on this machine

Target = tuple[str, Mapping[str, str]]  # an address, and labels


class Prometheus:
    """A Prometheus that scrapes and evaluates each second."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, what: str, **parameters: str) -> Any:
        with _WEB.open(f"{self._address}/api/v1/{what}?{urlencode(parameters)}", timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

    def rules(self) -> list[Any]:
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def values(self, expression: str) -> list[float]:
        """The values of an expression now, without those that are not a number."""
        found = self.get("query", query=expression)["result"]
        values = [float(one["value"][1]) for one in found]
        return [value for value in values if value == value]  # noqa: PLR0124 - NaN is not equal to itself


def scraping(jobs: Mapping[str, Sequence[Target]]) -> list[dict[str, Any]]:
    """The configuration of what is scraped: the targets of each job."""
    return [
        {
            "job_name": job,
            "static_configs": [{"targets": [address], "labels": dict(labels)} for address, labels in targets],
        }
        for job, targets in jobs.items()
    ]


@contextmanager
def prometheus(folder: Path, rules: str, scraped: Sequence[Mapping[str, Any]]) -> Iterator[Prometheus]:
    """Starts it on a port that the system chooses; it does not outlive the context."""
    if not PROMETHEUS.exists():
        pytest.skip("prometheus is required: make monitoring builds it")
    (folder / "rules.yml").write_text(re.sub(r"interval: \w+", "interval: 1s", rules))
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": list(scraped),
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    log = folder / "log"
    command = [
        str(PROMETHEUS),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--enable-feature=exemplar-storage",
    ]
    with log.open("w") as output:
        process = subprocess.Popen(command, stderr=output)
    try:
        until(lambda: "Server is ready" in log.read_text(), seconds=20)
        found = re.search(r"Listening on.* address=(\S+)", log.read_text())
        assert found is not None, log.read_text()
        yield Prometheus(f"http://{found[1]}")
    finally:
        process.terminate()
        process.wait(20)

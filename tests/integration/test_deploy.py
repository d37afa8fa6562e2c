"""What deploy/ says of the server's metrics is what the server exports."""

import re
from typing import Any

import yaml

from app.runtime.server_settings import ServerSettings
from tests.support.servers.process import ROOT
from tests.support.servers.server import Server

PROMETHEUS = ROOT / "deploy" / "prometheus"


def loaded(name: str) -> Any:
    return yaml.safe_load((PROMETHEUS / name).read_text())


def test_prometheus_scrapes_the_default_port_and_reads_the_rules_beside_it() -> None:
    config = loaded("prometheus.yml")
    [port] = {address.port for address in ServerSettings().metrics_listen}
    assert config["scrape_configs"][0]["static_configs"] == [{"targets": [f"localhost:{port}"]}]
    for name in config["rule_files"]:
        assert (PROMETHEUS / name).exists()


def test_every_metric_label_and_value_of_the_alerts_is_exported(server: Server) -> None:
    text = server.get("/metrics")[1]
    rules = [rule for group in loaded("alerts.yml")["groups"] for rule in group["rules"]]
    assert len(rules) == 3
    for rule in rules:
        metrics = set(re.findall(r"\bgrpc_server_\w+", rule["expr"]))
        assert metrics
        for metric in metrics:
            assert re.search(rf"^{metric}\{{", text, flags=re.MULTILINE), metric
        for label, values in re.findall(r"(grpc_\w+)=~?\"([^\"]+)\"", rule["expr"]):
            for value in values.split("|"):
                assert f'{label}="{value}"' in text
        used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        kept = {name for group in re.findall(r"by \(([^)]*)\)", rule["expr"]) for name in group.split(", ")}
        assert used <= kept, "a summary may name only what the sum keeps"
        assert kept <= set(re.findall(r"(\w+)=\"", text))

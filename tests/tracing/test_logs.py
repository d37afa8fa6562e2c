"""The collector reads the log of a server with the configuration of docs/logs.md."""

import json
import signal
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import yaml

from tests.docs.pages import Page
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.support.servers.process import server_process
from tests.support.waiting import until
from tests.tracing.programs import collector_command

SEVERITIES = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
# What a container writes when it cannot start.
PLAIN = "cannot start: 1 configuration error"


def records(folder: Path) -> list[Any]:
    """The records that the collector has written."""
    file = folder / "records.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return [
        record
        for line in lines
        if line.endswith("\n")
        for resource in json.loads(line)["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]


def configuration(folder: Path) -> dict[str, Any]:
    """The page's, with the files of the test in place of a node's, and a file in place of Loki."""
    [found] = [
        yaml.safe_load(block.text)
        for block in Page("docs/logs.md").blocks
        if block.language == "yaml" and "receivers:" in block.text
    ]
    [include] = found["receivers"]["filelog"]["include"]
    assert include.startswith("/var/log/pods/")
    found["receivers"]["filelog"] |= {"include": [f"{folder}{include}"], "start_at": "beginning"}
    found["exporters"] = {"file": {"path": str(folder / "records.jsonl"), "flush_interval": "50ms"}}
    found["service"]["pipelines"]["logs"]["exporters"] = ["file"]
    found["service"]["telemetry"] = {"metrics": {"level": "none"}}
    return dict(found)


def test_every_line_is_a_record_with_its_severity_time_trace_and_text(tmp_path: Path) -> None:
    with server_process(OTEL_TRACES_SAMPLER="wrong") as server:
        with grpc.insecure_channel(server.target) as channel:
            stub: Any = probe_pb2_grpc.ProbeStub(channel)
            for _ in range(3):
                stub.Unary(pb.ProbeRequest(text="a"), timeout=5)
        server.end()
    lines = [json.loads(line) for line in server.output]
    pod = tmp_path / "var/log/pods/shop_inventory-5f_0a1b2c3d-0000-0000-0000-000000000000/inventory"
    pod.mkdir(parents=True)
    texts = [*(("stdout", line.rstrip()) for line in server.output), ("stderr", PLAIN)]
    (pod / "0.log").write_text("".join(f"2026-01-01T00:00:00Z {where} F {text}\n" for where, text in texts))

    (tmp_path / "collector.yaml").write_text(yaml.safe_dump(configuration(tmp_path)))
    log = tmp_path / "collector.log"
    with log.open("w") as output:
        command = [*collector_command(), "--config", str(tmp_path / "collector.yaml")]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        found = until(lambda: len(read := records(tmp_path)) > len(lines) and read, seconds=15)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    assert [body(record) for record in found] == [*(line["event"] for line in lines), PLAIN]
    for record, line in zip(found, lines, strict=False):
        assert record["severityNumber"] == SEVERITIES[line["level"]]
        moment = datetime.fromisoformat(line["timestamp"])
        assert int(record["timeUnixNano"]) == round(moment.timestamp() * 1_000_000) * 1000
        assert record.get("traceId", "") == line.get("trace_id", "")
    assert sum(bool(record.get("traceId")) for record in found) == 3
    assert {line["level"] for line in lines} == {"info", "warning"}
    assert '"level":"error"' not in log.read_text().replace(" ", "")


def body(record: Any) -> str:
    return str(record["body"]["stringValue"])

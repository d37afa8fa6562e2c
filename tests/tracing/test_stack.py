"""The collector of deploy/compose.yaml: its configuration, checked by the program itself."""

import subprocess

from tests.support.servers.process import ROOT
from tests.tracing.programs import collector_command


def test_the_collector_takes_its_configuration() -> None:
    file = ROOT / "deploy" / "stack" / "collector.yaml"
    done = subprocess.run(
        [*collector_command(), "validate", "--config", str(file)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

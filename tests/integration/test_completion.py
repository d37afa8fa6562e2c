"""Shell completion."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.core.name import NAME, variable
from tests.support.servers.probe import METHODS
from tests.support.servers.process import ROOT, environment, with_probe

pytestmark = pytest.mark.slow

# As bash does it: the words, and which of them the cursor is on.
FUNCTION = f"_{NAME.replace('-', '_')}_completion"
COMPLETE = f"_{variable('--complete')}"
PROGRAM = f"""
source <({COMPLETE}=source_bash {NAME})
COMP_WORDS=({NAME} "$@") COMP_CWORD=$#
{FUNCTION} {NAME}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def in_bash(*words: str) -> list[str]:
    done = subprocess.run(
        ["bash", "-c", PROGRAM, "bash", *words],
        env=with_probe(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["ca"], ["call"]),
        (["call", "probe.Probe/U"], ["probe.Probe/Unary"]),
        (["call", "Probe/Un"], ["Probe/Unary"]),
        (["load", "probe.Probe/"], [f"probe.Probe/{method}" for method in METHODS]),
        (["health", "l"], ["liveness"]),
        (["health", "probe"], ["probe.Probe"]),
        (["call", "--ser"], ["--server-name"]),
    ],
)
def test_bash_completes_commands_options_methods_and_services(words: list[str], completed: list[str]) -> None:
    assert in_bash(*words) == completed


def test_zsh_gets_the_same_completions() -> None:
    done = subprocess.run(
        [NAME],
        env=with_probe(**{COMPLETE: "complete_zsh", "_TYPER_COMPLETE_ARGS": f"{NAME} call Probe/Un"}),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "_arguments '*: :((\"Probe/Unary\"))'\n"


def test_installed_completion_works_in_a_new_shell(tmp_path: Path) -> None:
    given = environment(HOME=str(tmp_path))
    subprocess.run(["bash", "-c", f"{NAME} --install-completion; true"], env=given, check=True, timeout=30)
    done = subprocess.run(
        ["bash", "-ic", f"complete -p {NAME}"],
        env=given,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert FUNCTION in done.stdout


def test_completion_does_not_import_the_server_or_the_client() -> None:
    program = """
import sys
from app import cli
slow = {"app.server", "app.wiring", "app.client.channel", "structlog", "pydantic", "cryptography"}
slow |= {"opentelemetry.sdk", "prometheus_client"}
assert not slow & set(sys.modules), slow & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment(), check=True, timeout=30)

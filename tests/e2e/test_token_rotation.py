"""The commands of the chart's README replace a token while clients use it."""

import re
import time
from pathlib import Path
from textwrap import dedent

import pytest

from app.core.name import NAME
from tests.e2e.calling import HEADLESS, Pod, failed, own, summary
from tests.e2e.cluster import RELEASE, Namespace, succeed
from tests.e2e.plugin import Measured
from tests.support.chart import CHART

UNAUTHENTICATED = 64 + 16

SECTION = (CHART / "README.md").read_text().partition("\n## Tokens\n")[2].partition("\n## ")[0]
# Blocks of indented lines, in their order.
FUNCTIONS, ADD, HAND_OUT, REMOVE, HURRY = map(dedent, re.findall(r"(?:^    .*\n)+", SECTION, re.MULTILINE))

pytestmark = pytest.mark.timeout(600, func_only=True)


class Terminal:
    """Runs the README's commands, with the namespace of the release."""

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        default = "NAMESPACE=default "
        assert FUNCTIONS.startswith(default)
        self._functions = FUNCTIONS.replace(default, f"NAMESPACE={namespace.name} ")
        self._env = namespace.cluster.env
        self._directory = directory

    def paste(self, commands: str) -> float:
        """Runs commands, and returns the seconds they took."""
        began = time.monotonic()
        strict = ("bash", "-eu", "-o", "pipefail", "-c")
        succeed(*strict, self._functions + commands, env=self._env, folder=self._directory, seconds=180)
        return time.monotonic() - began


def codes(namespace: Namespace, pod: Pod, token: str) -> set[int]:
    """The exit codes of calls with the token to each pod's own address."""
    addresses = [one["status"]["podIP"] for one in namespace.pods(RELEASE)]
    call = (NAME, "call", "probe.Probe/Unary", "--token-file", "/dev/stdin", "--allow-plaintext-token")
    calls = [pod.attempt(*call, "--target", f"{address}:50051", stdin=token) for address in addresses]
    return {done.returncode for done in calls}


def arrived(pod: Pod, token: str) -> float:
    """Waits until the client's pod has the token, and returns the seconds it took."""
    began = time.monotonic()
    while pod.run("cat", "/token/token") != token:
        assert time.monotonic() < began + 120, "the token did not arrive"
        time.sleep(0.2)
    return time.monotonic() - began


def test_the_readmes_commands_replace_a_token_without_a_restart_and_without_a_lost_call(
    installed: Namespace, pod: Pod, tmp_path: Path, measured: Measured
) -> None:
    terminal, before, old = Terminal(installed, tmp_path), installed.restarts(RELEASE), installed.token()
    with pod.calling(own(HEADLESS, "--token-file", "/token/token")) as calls:
        added = terminal.paste(ADD)
        new = (tmp_path / "token").read_text()
        assert new != old
        assert installed.token() == old
        assert codes(installed, pod, new) == codes(installed, pod, old) == {0}

        terminal.paste(HAND_OUT)
        handed_out = arrived(pod, new)
        time.sleep(2)  # the client reads its file once a second

        removed = terminal.paste(REMOVE)
        assert codes(installed, pod, new) == {0}
        assert codes(installed, pod, old) == {UNAUTHENTICATED}
    measured(
        f"token rotation: every pod accepts the new token after {added:.0f} s, the client has it after"
        f" {handed_out:.0f} s, every pod rejects the old one after {removed:.0f} s: {summary(calls)}"
    )
    assert not failed(calls), failed(calls)[:20]
    assert installed.restarts(RELEASE) == before
    assert installed.token() == new
    assert installed.token(key="tokens") == f"default:{new}\n"
    assert list(tmp_path.iterdir()) == []


def test_an_upgrade_keeps_the_new_token_and_only_a_rollback_to_an_earlier_revision_restores_the_old_one(
    installed: Namespace,
) -> None:
    before, new, tokens = installed.restarts(RELEASE), installed.token(), installed.token(key="tokens")
    installed.upgrade(RELEASE)
    assert (installed.token(), installed.token(key="tokens")) == (new, tokens)
    installed.helm("rollback", RELEASE, "1")
    assert installed.token() != new
    installed.helm("rollback", RELEASE, "2")
    assert (installed.token(), installed.token(key="tokens")) == (new, tokens)
    assert installed.restarts(RELEASE) == before


def test_a_change_of_annotations_updates_secrets_immediately(
    installed: Namespace, tmp_path: Path, measured: Measured
) -> None:
    terminal = Terminal(installed, tmp_path)
    add, until = ADD.split("until ")
    terminal.paste(add)
    seconds = terminal.paste(f"{HURRY}until {until}")
    measured(f"a token added, and the pods annotated: every pod accepts it after {seconds:.0f} s")
    assert seconds < 15  # without it, up to a minute, with the defaults of kubelets

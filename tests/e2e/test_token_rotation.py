"""A token is replaced by the commands of the chart's README, while clients use it."""

import re
import time
from pathlib import Path
from textwrap import dedent

import pytest

from tests.e2e.calling import HEADLESS, Pod, failed, own, summary
from tests.e2e.cluster import CHART, RELEASE, Namespace, succeed
from tests.e2e.conftest import Measured

UNAUTHENTICATED = 64 + 16

SECTION = (CHART / "README.md").read_text().partition("\n## Tokens\n")[2].partition("\n## ")[0]
# Blocks of indented lines, in their order.
FUNCTIONS, ADD, HAND_OUT, REMOVE, HURRY = map(dedent, re.findall(r"(?:^    .*\n)+", SECTION, re.MULTILINE))

pytestmark = pytest.mark.timeout(600, func_only=True)


class Terminal:
    """Where the README's commands are pasted, with the namespace that they are for."""

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        default = "NAMESPACE=default "
        assert FUNCTIONS.startswith(default)
        self._functions = FUNCTIONS.replace(default, f"NAMESPACE={namespace.name} ")
        self._env = namespace.cluster.env
        self._directory = directory

    def paste(self, commands: str) -> float:
        """Returns how many seconds they took."""
        began = time.monotonic()
        strict = ("bash", "-eu", "-o", "pipefail", "-c")
        succeed(*strict, self._functions + commands, env=self._env, folder=self._directory, seconds=180)
        return time.monotonic() - began


def codes(namespace: Namespace, pod: Pod, token: str) -> set[int]:
    """How the command line ends that calls each pod with the token, by its own address."""
    addresses = [one["status"]["podIP"] for one in namespace.pods(RELEASE)]
    get = ("quoter", "get", "--token-file", "/dev/stdin", "--allow-plaintext-token")
    calls = [pod.attempt(*get, "--target", f"{address}:50051", stdin=token) for address in addresses]
    return {call.returncode for call in calls}


def arrived(pod: Pod, token: str) -> float:
    """Returns once the client's pod has the token, with how many seconds that took."""
    began = time.monotonic()
    while pod.run("cat", "/token/token") != token:
        assert time.monotonic() < began + 120, "the token does not arrive"
        time.sleep(0.2)
    return time.monotonic() - began


def test_a_token_is_replaced_by_the_readmes_commands_without_a_restart_and_without_a_lost_call(
    quoter: Namespace, pod: Pod, tmp_path: Path, measured: Measured
) -> None:
    terminal, before, old = Terminal(quoter, tmp_path), quoter.restarts(RELEASE), quoter.token()
    with pod.calling(own(HEADLESS, "--token-file", "/token/token")) as calls:
        added = terminal.paste(ADD)
        new = (tmp_path / "token").read_text()
        assert new != old
        assert quoter.token() == old
        assert codes(quoter, pod, new) == codes(quoter, pod, old) == {0}

        terminal.paste(HAND_OUT)
        handed_out = arrived(pod, new)
        time.sleep(2)  # the client looks at its file once a second

        removed = terminal.paste(REMOVE)
        assert codes(quoter, pod, new) == {0}
        assert codes(quoter, pod, old) == {UNAUTHENTICATED}
    measured(
        f"a token replaced: each pod takes the new one after {added:.0f} s, the client's pod has it after"
        f" {handed_out:.0f} s, each pod refuses the old one after {removed:.0f} s: {summary(calls)}"
    )
    assert not failed(calls), failed(calls)[:20]
    assert quoter.restarts(RELEASE) == before
    assert quoter.token() == new
    assert quoter.token(key="tokens") == f"default:{new}\n"
    assert list(tmp_path.iterdir()) == []


def test_an_upgrade_keeps_the_new_token_and_only_a_rollback_to_before_it_brings_the_old_one_back(
    quoter: Namespace,
) -> None:
    before, new, tokens = quoter.restarts(RELEASE), quoter.token(), quoter.token(key="tokens")
    quoter.upgrade(RELEASE)
    assert (quoter.token(), quoter.token(key="tokens")) == (new, tokens)
    quoter.helm("rollback", RELEASE, "1")
    assert quoter.token() != new
    quoter.helm("rollback", RELEASE, "2")
    assert (quoter.token(), quoter.token(key="tokens")) == (new, tokens)
    assert quoter.restarts(RELEASE) == before


def test_a_change_of_annotations_brings_what_is_new_at_once(
    quoter: Namespace, tmp_path: Path, measured: Measured
) -> None:
    terminal = Terminal(quoter, tmp_path)
    add, until = ADD.split("until ")
    terminal.paste(add)
    seconds = terminal.paste(f"{HURRY}until {until}")
    measured(f"a token added, and the pods annotated: each takes it after {seconds:.0f} s")
    assert seconds < 15  # by itself it would take a minute, where kubelets have their defaults

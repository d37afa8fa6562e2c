"""`make pin` writes the commits of actions' tags, as GitHub's API names them, and no others."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.servers.process import ROOT, environment
from tests.support.servers.web import send, web

ONE, TWO = "1" * 40, "2" * 40
WORKFLOW = """\
jobs:
  test:
    steps:
      - uses: actions/checkout@v6.0.2
      - name: a step
        uses: acme/tools/setup@v1.3.0
        with: {version: v6.0.2}
      - uses: ./.github/actions/own
      - run: echo "uses: none@v1"
"""
PINNED = WORKFLOW.replace("checkout@v6.0.2", f"checkout@{ONE} # v6.0.2").replace(
    "setup@v1.3.0", f"setup@{TWO} # v1.3.0"
)
CHECKOUT, TOOLS = "/repos/actions/checkout/commits/tags/v6.0.2", "/repos/acme/tools/commits/tags/v1.3.0"


@dataclass
class GitHub:
    """GitHub's API, with a commit for each path."""

    url: str = ""
    commits: dict[str, str] = field(default_factory=lambda: {CHECKOUT: ONE, TOOLS: TWO})
    token: str | None = None
    asked: list[str] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        expected = f"Bearer {self.token}" if self.token else None
        if request.headers.get("Authorization") != expected:
            send(request, b"{}", 401 if self.token else 400)
        elif request.headers.get("Accept") != "application/vnd.github.sha":
            send(request, b"{}")
        elif request.path not in self.commits:
            send(request, b"{}", 422)
        else:
            send(request, self.commits[request.path].encode())


def api_of(url: str) -> str:
    return f"http://{urlsplit(url).netloc}"


@pytest.fixture
def github() -> Iterator[GitHub]:
    with web() as server:
        found = GitHub(api_of(server.url))
        server.answer = found.answer
        yield found


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    file = tmp_path / "ci.yml"
    file.write_text(WORKFLOW)
    return file


def pin(github: GitHub, *files: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    given = environment(no_proxy="localhost,127.0.0.1", GITHUB_API_URL=github.url, GITHUB_TOKEN="")
    return subprocess.run(
        [sys.executable, "-m", "deploy.pin_actions", *files],
        cwd=ROOT,
        env=given | variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def refused(github: GitHub, *files: Path, **variables: str) -> str:
    """Returns the reason, after checking that nothing has changed."""
    before = [file.read_text() for file in files]
    done = pin(github, *files, **variables)
    assert done.returncode == 1
    assert [file.read_text() for file in files] == before
    reason, changed = done.stderr.splitlines()
    assert changed == "pin: nothing is changed"
    return reason.removeprefix("pin: ")


def test_tags_become_commits_with_the_tag_behind_them(github: GitHub, workflow: Path) -> None:
    done = pin(github, workflow)
    assert done.returncode == 0, done.stderr
    assert workflow.read_text() == PINNED
    assert f"{workflow}: actions/checkout@{ONE} # v6.0.2\n" in done.stdout

    assert pin(github, workflow).returncode == 0
    assert workflow.read_text() == PINNED


def test_each_tag_is_asked_for_once(github: GitHub, workflow: Path, tmp_path: Path) -> None:
    other = tmp_path / "release.yml"
    other.write_text(WORKFLOW)
    assert pin(github, workflow, other).returncode == 0
    assert sorted(github.asked) == sorted([CHECKOUT, TOOLS])
    assert other.read_text() == PINNED


def test_a_token_of_the_environment_is_used(github: GitHub, workflow: Path) -> None:
    github.token = "a-token"  # noqa: S105 - of a server that is ours
    assert pin(github, workflow, GITHUB_TOKEN="a-token").returncode == 0  # noqa: S106 - the same
    workflow.write_text(WORKFLOW)
    reason = refused(github, workflow, GITHUB_TOKEN="another")  # noqa: S106 - the same
    assert reason == "actions/checkout@v6.0.2: GITHUB_TOKEN is not valid (HTTP 401)"


def test_a_tag_that_was_moved_is_an_error(github: GitHub, workflow: Path) -> None:
    workflow.write_text(PINNED)
    github.commits[TOOLS] = "3" * 40
    reason = refused(github, workflow)
    assert reason.startswith(f"acme/tools/setup@v1.3.0: the tag was moved from {TWO} to {'3' * 40};")


def test_one_action_that_cannot_be_read_leaves_every_file_as_it_was(
    github: GitHub, workflow: Path, tmp_path: Path
) -> None:
    other = tmp_path / "release.yml"
    other.write_text(WORKFLOW.replace("v1.3.0", "v1.4.0"))
    assert refused(github, workflow, other) == "acme/tools/setup@v1.4.0: no such tag (HTTP 422)"


def test_a_commit_without_a_tag_is_an_error(github: GitHub, workflow: Path) -> None:
    workflow.write_text(WORKFLOW.replace("v6.0.2", ONE))
    assert refused(github, workflow).startswith(f"actions/checkout@{ONE}: has no tag")


def test_an_answer_that_is_no_commit_is_an_error(github: GitHub, workflow: Path) -> None:
    github.commits[CHECKOUT] = "<html>"
    reason = "actions/checkout@v6.0.2: GitHub answered with '<html>': expected a commit of 40 digits"
    assert refused(github, workflow) == reason


def test_an_unreachable_api_is_an_error_in_one_line(workflow: Path) -> None:
    with web() as server:
        gone = GitHub(api_of(server.url))
    reason = "actions/checkout@v6.0.2: GitHub cannot be read: [Errno 111] Connection refused"
    assert refused(gone, workflow) == reason


def test_the_projects_own_workflows_are_pinned() -> None:
    recipe = subprocess.run(
        ["make", "-n", "pin"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    [line] = [line for line in recipe.splitlines() if "deploy.pin_actions" in line]
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / ".github/workflows").glob("*.yml"))
    assert line.split("deploy.pin_actions ")[1].split() == files

"""Forks pass their own checks, whatever their names are."""

import shutil
from pathlib import Path

import pytest

from tests.support.servers.process import ROOT
from tests.template.forks import commit, done, fork

pytestmark = pytest.mark.timeout(1800)

LONGEST = {
    "project": "a-project-with-forty-letters-in-its-name",
    "description": "x" * 100,
    "service": "A" + 29 * "b",
    "package": f"acme.{'x' * 39}.v1",
    "examples": "all",
}
FORKS = {
    "one letter": {"project": "a"},
    "two words": {
        "project": "stock-keeper",
        "service": "Stock",
        "package": "acme.stock.v1",
        "license": "MIT",
    },
    "the longest names": LONGEST,
}


@pytest.fixture(scope="session", params=FORKS)
def project(request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fork, set up and committed as its message says."""
    found = fork("copier", template, tmp_path_factory.mktemp("fork"), **FORKS[request.param])
    done("make", "setup", folder=found)
    commit(found, "Start from the template")
    return found


def test_it_passes_lint_and_is_up_to_date(project: Path) -> None:
    done(".uv/bin/uv", "lock", "--check", folder=project)
    done("make", "gen", folder=project)
    assert done("git", "status", "--porcelain", folder=project) == ""
    done("make", "lint", folder=project, seconds=900)


def test_its_chart_renders_as_its_golden_files(project: Path) -> None:
    bin_ = project / ".venv" / "bin"
    shutil.copy(ROOT / ".venv/bin/helm", bin_ / "helm")
    chart = f"helm/{project.name}"
    done(bin_ / "helm", "lint", "--strict", chart, folder=project)
    tests = ("tests/chart/test_golden.py", "tests/chart/test_image.py", "tests/chart/test_notes.py")
    done(bin_ / "python", "-m", "pytest", "-q", *tests, folder=project)


def test_its_first_service_and_its_documentation_pass_their_tests(project: Path) -> None:
    done(
        ".venv/bin/python", "-m", "pytest", "-q", "tests/services", "tests/docs", folder=project, seconds=900
    )


@pytest.mark.alone
@pytest.mark.parametrize("project", ["two words"], indirect=True)
def test_it_passes_all_tests(project: Path) -> None:
    """As in CI: up to three tests that fail are run once more, alone."""
    done("bash", "-c", "make test || bash .ci/again .venv/bin/python", folder=project, seconds=1500)

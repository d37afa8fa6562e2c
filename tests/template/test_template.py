"""What copier and cookiecutter make of the template."""

import re
from pathlib import Path

import pytest
import yaml

from deploy import checkout
from deploy.template.repository import write
from tests.support.servers.process import ROOT
from tests.template.forks import TOOLS, commit, done, fork, make, texts

pytestmark = pytest.mark.timeout(300)

PROJECT = checkout.project()
EXAMPLES = checkout.folders()


@pytest.mark.parametrize("tool", TOOLS)
def test_with_its_own_name_the_template_gives_this_repository(
    template: Path, tmp_path: Path, tool: str
) -> None:
    project = fork(tool, template, tmp_path, project=PROJECT)
    assert commit(project) == done("git", "rev-parse", "HEAD^{tree}", folder=ROOT).strip()


def test_the_same_commit_gives_the_same_template(template: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert write(again)
    tree = ("git", "rev-parse", "HEAD^{tree}")
    assert done(*tree, folder=again) == done(*tree, folder=template)
    assert not write(again), "nothing has changed since"
    assert done("git", "tag", folder=again).split() == [checkout.version()]


@pytest.mark.parametrize("examples", ["none", "all", "greeter", "quotes, calculator"])
def test_both_tools_give_the_same_project(template: Path, tmp_path: Path, examples: str) -> None:
    answers = {"project": "stock-keeper", "examples": examples, "description": "Bob's stock of a shop"}
    one, other = (texts(fork(tool, template, tmp_path / tool, **answers)) for tool in TOOLS)
    assert one.pop(".copier-answers.yml").count(": ") == other.pop(".copier-answers.yml").count(": ")
    assert one == other
    kept = EXAMPLES if examples == "all" else examples.split(", ") if examples != "none" else []
    assert [name for name in EXAMPLES if f"app/services/{name}/__init__.py" in one] == sorted(kept)
    assert "app/services/stock_keeper/__init__.py" in one


@pytest.mark.parametrize("tool", TOOLS)
def test_without_examples_nothing_is_left_of_this_project(template: Path, tmp_path: Path, tool: str) -> None:
    answers = {"owner": "acme/shop", "registry": "ghcr.io/acme", "license": "MIT", "service": "Stock"}
    project = fork(tool, template, tmp_path, project="stock-keeper", **answers)
    words = re.compile(rf"(?i){PROJECT}|(?<![a-z])quotes(?![a-z])")
    left = [
        f"{path}: {line}"
        for path, text in texts(project).items()
        for line in [path, *text.splitlines()]
        if words.search(line.replace(str(template), ""))
    ]
    assert left == []
    assert [path for path in project.rglob("*") if path.is_dir() and not any(path.iterdir())] == []
    assert not list(project.rglob(".left-out*"))
    assert [path for path, text in texts(project).items() if "template only" in text] == []


def test_answers_are_where_they_belong(template: Path, tmp_path: Path) -> None:
    answers = {"description": "The stock of a shop", "owner": "acme/shop", "registry": "ghcr.io/acme"}
    project = fork("copier", template, tmp_path, project="stock-keeper", license="MIT", **answers)
    found = texts(project)
    for path in ("pyproject.toml", "helm/stock-keeper/Chart.yaml", "Dockerfile", "README.md"):
        assert "The stock of a shop" in found[path]
    assert "\n  registry: ghcr.io/acme\n" in found["helm/stock-keeper/values.yaml"]
    assert 'license = "MIT"' in found["pyproject.toml"]
    assert found["LICENSE"].startswith("MIT License\n\nCopyright (c) acme/shop\n")
    assert found["LICENSE.template"] == (ROOT / "LICENSE").read_text()
    assert 'version = "0.1.0"' in found["pyproject.toml"]
    other = fork("copier", template, tmp_path, project="other")
    assert (other / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert not (other / "LICENSE.template").exists()


FOLLOWING = {
    "map": ("Item", "map_api.v1"),  # a keyword of protos
    "service": ("Item", "service_api.v1"),
    "calculator": ("Item", "calculator.v1"),  # an example
    "s-3": ("Item", "s_3.v1"),
    "order-service": ("Order", "order_service.v1"),
    "a-project-with-forty-letters-in-its-name": ("Item", "a_project_with_forty_letters_in_its_name.v1"),
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("project", FOLLOWING)
def test_what_follows_from_a_valid_name_is_valid(
    template: Path, tmp_path: Path, tool: str, project: str
) -> None:
    made = fork(tool, template, tmp_path, project=project)
    answers = yaml.safe_load((made / ".copier-answers.yml").read_text())
    assert (answers["service"], answers["package"]) == FOLLOWING[project]


WRONG = {
    "project": "a_b",
    "description": 'a "service"',
    "owner": "a b",
    "registry": "https://ghcr.io",
    "license": "GPL",
    "service": "StockService",
    "package": "acme.message.v1",
    "examples": "quotes;greeter",
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_answer_is_refused_in_words(template: Path, tmp_path: Path, tool: str, key: str) -> None:
    finished = make(tool, template, tmp_path, **{"project": "stock-keeper", key: WRONG[key]})
    assert finished.returncode != 0
    printed = " ".join((finished.stdout + finished.stderr).split())
    assert f"invalid {key} '{WRONG[key]}'" in printed
    assert ": expected " in printed or " is a keyword of Python or of protos" in printed
    assert not list(tmp_path.glob("*/pyproject.toml"))
